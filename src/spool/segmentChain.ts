import type { Digest, Disk, DiskFile } from '../base/ports.ts';
import {
  blockBytes,
  decodeSegmentHeader,
  type Predecessor,
  type SegmentHeader,
  segmentName,
} from './frame.ts';

/** A segment that counts, and what its successor on the chain says of it. */
export interface Link {
  readonly header: SegmentHeader;
  /** The header's block as it was read: to be written again it must not be read a second time. */
  readonly block: Uint8Array;
  /** Its batches beyond this one count for nothing; undefined for the head, the newest. */
  readonly limit: number | undefined;
  /** Up to this batch a broken one is damage; 0: nothing is vouched for. */
  readonly vouchedThrough: number;
}

export type ChainFailure =
  | { readonly kind: 'damaged'; readonly segment: string; readonly at: number }
  | { readonly kind: 'otherVersion'; readonly segment: string; readonly version: number };

export function isFailure(result: object): result is ChainFailure {
  return 'kind' in result;
}

export interface Headers {
  /** Every whole header, by the number of its file. */
  readonly found: ReadonlyMap<number, { readonly header: SegmentHeader; readonly block: Uint8Array }>;
  readonly numbers: readonly number[];
}

/** The header of every segment file. A broken one is none. */
export async function readHeaders(
  disk: Disk,
  folder: string,
  numbers: readonly number[],
  digest: Digest,
): Promise<Headers | ChainFailure> {
  const found = new Map<number, { header: SegmentHeader; block: Uint8Array }>();
  for (const number of numbers) {
    const file = await disk.open(`${folder}/${segmentName(number)}`, 'read');
    const block = await readBlock(file).finally(() => file.close());
    const read = decodeSegmentHeader(block, digest);
    if (read.kind === 'otherVersion') return { ...read, segment: segmentName(number) };
    if (read.kind === 'broken') continue;
    if (read.header.number !== number) return damaged(number);
    found.set(number, { header: read.header, block });
  }
  return { found, numbers };
}

function readBlock(file: DiskFile): Promise<Uint8Array> {
  return file.read(0, blockBytes);
}

/**
 * Oldest first: from the newest whole header back along the predecessors. A newest file whose header
 * is broken never published anything (header and first batch are synced as one). Segments off the
 * chain count for nothing.
 */
export function chainOf(headers: Headers): readonly Link[] | ChainFailure {
  const { links, missing } = linksBack(headers, Number.POSITIVE_INFINITY);
  return missing === undefined ? links : damaged(missing.segment);
}

/** A stretch of the chain, oldest first, and what should come before it and cannot be read. */
export interface Stretch {
  readonly links: readonly Link[];
  readonly missing: Predecessor | undefined;
}

/** From the newest whole header below a number back, as far as the predecessors lead. */
export function linksBack({ found, numbers }: Headers, below: number): Stretch {
  const links: Link[] = [];
  let link = found.get(numbers.findLast((number) => number < below && found.has(number)) ?? 0);
  let successor: Predecessor | undefined;
  while (link !== undefined) {
    links.push({ ...link, limit: successor?.lastBatch, vouchedThrough: successor?.syncedThrough ?? 0 });
    successor = link.header.predecessor;
    if (successor === undefined) break;
    link = found.get(successor.segment);
    // Reclaiming goes oldest first: one that is missing although older ones are there is damage, and so
    // is one whose header is broken, for it was durable when its successor named it.
    if (link === undefined && successor.segment >= numbers[0]!) {
      return { links: links.reverse(), missing: successor };
    }
  }
  return { links: links.reverse(), missing: undefined };
}

function damaged(number: number): ChainFailure {
  return { kind: 'damaged', segment: segmentName(number), at: 0 };
}
