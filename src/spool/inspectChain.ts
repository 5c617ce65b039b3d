import type { Digest } from '../base/ports.ts';
import { blockBytes, decodeSegmentHeader, type SegmentHeader, type SegmentHeaderRead } from './frame.ts';
import { headerFromBatches } from './lostHeader.ts';
import { type Link, linksBack, type Stretch } from './segmentChain.ts';
import type { ReadableFile } from './segmentFile.ts';
import { coveredThrough, findBatches } from './segmentScan.ts';
import type { SpoolDamage } from './spoolDamage.ts';

/** Opens a segment for reading, and closes it behind the work. */
export type WithSegment = <T>(number: number, work: (file: ReadableFile) => Promise<T>) => Promise<T>;

export interface SegmentOnDisk {
  readonly number: number;
  readonly sizeBytes: number;
  readonly read: SegmentHeaderRead;
  readonly block: Uint8Array;
}

export interface JudgedLink extends Omit<Link, 'block'> {
  /** What was before it on the chain cannot be read, or not all of it. */
  readonly isBehindGap: boolean;
}

export async function readSegment(
  within: WithSegment,
  number: number,
  digest: Digest,
): Promise<SegmentOnDisk> {
  return within(number, async (file) => {
    const block = await file.read(0, blockBytes);
    return { number, sizeBytes: await file.sizeBytes(), read: decodeSegmentHeader(block, digest), block };
  });
}

/**
 * Oldest first: every segment of which something counts. Where a start would refuse, the chain goes on with the
 * next segment below, and a lost header is made up for where that can be done.
 */
export async function judgedChain(
  files: readonly SegmentOnDisk[],
  within: WithSegment,
  digest: Digest,
): Promise<{ readonly chain: readonly JudgedLink[]; readonly damages: readonly SpoolDamage[] }> {
  const damages = files.flatMap(foreignHeader);
  const chain: JudgedLink[] = [];
  for (const { missing, links } of stretchesOf(files)) {
    let header: SegmentHeader | undefined;
    if (missing !== undefined) {
      const { segment, lastBatch: limit, syncedThrough: vouchedThrough } = missing;
      const file = files.find(({ number }) => number === segment);
      if (file?.read.kind === 'broken') {
        header = await within(segment, (open) => headerFromBatches(open, segment, digest));
        damages.push({ kind: 'header', segment, isReadable: header !== undefined });
      } else if (file === undefined) damages.push({ kind: 'segment', segment });
      // Nobody knows whether the first batch that can be read is its first.
      if (header !== undefined) chain.push({ header, limit, vouchedThrough, isBehindGap: true });
    }
    const isGap = missing !== undefined && header === undefined;
    chain.push(...links.map((link, i) => ({ ...link, isBehindGap: isGap && i === 0 })));
  }
  const newest = chain.at(-1)?.header.number ?? 0;
  for (const { number, read } of files) {
    if (number < newest || read.kind !== 'broken') continue;
    const header = await within(number, (file) => publishedHeader(file, number, digest));
    if (header === undefined) continue;
    damages.push({ kind: 'header', segment: number, isReadable: true });
    chain.push({ header, limit: undefined, vouchedThrough: 0, isBehindGap: true });
  }
  return { chain, damages };
}

/** A file under another's name, or one that is not read here. A broken header may never have been whole. */
function foreignHeader({ number, read }: SegmentOnDisk): SpoolDamage[] {
  if (read.kind === 'otherVersion') return [{ kind: 'segment', segment: number }];
  const isForeign = read.kind === 'whole' && read.header.number !== number;
  return isForeign ? [{ kind: 'header', segment: number, isReadable: false }] : [];
}

/** The header and its first batch are synced as one: where a later batch says that it was, both were there. */
async function publishedHeader(
  file: ReadableFile,
  number: number,
  digest: Digest,
): Promise<SegmentHeader | undefined> {
  const header = await headerFromBatches(file, number, digest);
  if (header === undefined) return undefined;
  return coveredThrough(await findBatches(file, header, digest)) > 0 ? header : undefined;
}

/** The chain as far as it can be followed; where it breaks, it goes on with the next whole header below. */
function stretchesOf(files: readonly SegmentOnDisk[]): readonly Stretch[] {
  const found = new Map(
    files.flatMap(({ number, read, block }) =>
      read.kind === 'whole' && read.header.number === number
        ? [[number, { header: read.header, block }] as const]
        : [],
    ),
  );
  const headers = { found, numbers: files.map(({ number }) => number) };
  const stretches: Stretch[] = [];
  for (let below: number | undefined = Number.POSITIVE_INFINITY; below !== undefined; ) {
    const stretch = linksBack(headers, below);
    stretches.push(stretch);
    below = stretch.missing?.segment;
  }
  return stretches.reverse();
}
