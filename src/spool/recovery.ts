import type { Digest, Disk, DiskError, DiskFile } from '../base/ports.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import {
  blockBytes,
  decodeBatchHeader,
  frameBytes,
  type Predecessor,
  type SegmentHeader,
  segmentName,
  segmentNumber,
} from './frame.ts';
import type { SpoolRecord } from './record.ts';
import { type FoundBatch, findBatch, readBatchRecords, readSegmentHeader } from './segmentFile.ts';

/** A message that still owes an outcome to at least one recipient. */
export interface OwedAfterRestart {
  readonly id: MessageId;
  readonly location: SpoolLocation;
  readonly vmta: string;
  readonly timeQueuedMs: number;
  readonly recipients: readonly OwedRecipient[];
}

export interface OwedRecipient {
  readonly index: number;
  readonly domain: string;
  readonly attempts: number;
  /** Wall time; 0 when it was never deferred. */
  readonly nextTryMs: number;
}

export interface RecoveredSegment {
  readonly number: number;
  readonly epoch: number;
  /** The last batch that counts; 0 for none. */
  readonly lastBatch: number;
}

export interface Recovered {
  readonly kind: 'recovered';
  /** Above every epoch ever used here. */
  readonly epoch: number;
  readonly lastSegment: number;
  readonly predecessor: Predecessor | undefined;
  /** Every segment file, oldest first, those that count for nothing included. */
  readonly segments: readonly RecoveredSegment[];
  readonly owed: readonly OwedAfterRestart[];
  /** Batches at the ends of segments that were never acknowledged and are dropped. */
  readonly droppedBatches: number;
}

export type RecoveryFailure =
  /** A batch that was synced is damaged, or a segment header is. No byte was changed. */
  | { readonly kind: 'damaged'; readonly segment: string; readonly at: number }
  | { readonly kind: 'otherVersion'; readonly segment: string; readonly version: number }
  /** The disk kept failing. */
  | { readonly kind: 'disk'; readonly code: string };

export interface RecoveryPorts {
  readonly disk: Disk;
  readonly digest: Digest;
}

const attemptsMax = 5;

/**
 * Reads what the folder holds and makes it durable (architecture 5, Recovery). `cursorEpoch` is the
 * largest epoch any accounting cursor names. Interrupted and run again it gives the same answer. A sync
 * that fails starts it over; it never goes on.
 */
export async function recover(
  ports: RecoveryPorts,
  folder: string,
  cursorEpoch: number,
): Promise<Recovered | RecoveryFailure> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await recoverOnce(ports, folder, cursorEpoch);
    } catch (error) {
      const code = (error as Partial<DiskError>).code;
      if (code === undefined) throw error;
      if (attempt === attemptsMax) return { kind: 'disk', code };
    }
  }
}

async function recoverOnce(
  { disk, digest }: RecoveryPorts,
  folder: string,
  cursorEpoch: number,
): Promise<Recovered | RecoveryFailure> {
  await disk.makeFolder(folder);
  // A folder made just now is itself a name that a power loss may take.
  await disk.syncFolder(parentOf(folder));
  const numbers = (await disk.list(folder))
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
  const within = async <T>(number: number, work: (file: DiskFile) => Promise<T>): Promise<T> => {
    const file = await disk.open(`${folder}/${segmentName(number)}`, 'write');
    return work(file).finally(() => file.close());
  };

  for (const number of numbers) await within(number, (file) => makeDurable(file, digest));
  await disk.syncFolder(folder);

  // What is read from here on is what the disk holds.
  const headers = new Map<number, SegmentHeader>();
  for (const number of numbers) {
    const read = await within(number, (file) => readSegmentHeader(file, digest));
    if (read.kind === 'otherVersion') {
      return { kind: 'otherVersion', segment: segmentName(number), version: read.version };
    }
    if (read.kind === 'broken') continue;
    if (read.header.number !== number) return damaged(number, 0);
    headers.set(number, read.header);
  }
  const chain = chainOf(headers, numbers);
  if ('kind' in chain) return chain;
  const owed = new OwedMessages();
  const lastBatches = new Map<number, number>();
  let predecessor: Predecessor | undefined;
  let droppedBatches = 0;
  for (const link of chain) {
    const { number } = link.header;
    const counted = await within(number, (file) => countBatches(file, link, digest, owed));
    if ('kind' in counted) return counted;
    droppedBatches += counted.dropped;
    if (counted.lastBatch === 0) continue;
    lastBatches.set(number, counted.lastBatch);
    predecessor = { segment: number, lastBatch: counted.lastBatch };
  }
  let lastEpoch = cursorEpoch;
  for (const { epoch } of headers.values()) lastEpoch = Math.max(lastEpoch, epoch);
  return {
    kind: 'recovered',
    epoch: lastEpoch + 1,
    lastSegment: numbers.at(-1) ?? 0,
    predecessor,
    segments: numbers.map((number) => ({
      number,
      epoch: headers.get(number)?.epoch ?? 0,
      lastBatch: lastBatches.get(number) ?? 0,
    })),
    owed: owed.all(),
    droppedBatches,
  };
}

function parentOf(folder: string): string {
  return folder.slice(0, folder.lastIndexOf('/')) || '/';
}

function damaged(number: number, at: number): RecoveryFailure {
  return { kind: 'damaged', segment: segmentName(number), at };
}

/**
 * After a failed sync the cache may show clean pages that the disk never got; only a new write makes a
 * sync mean something. So the header and every batch that no later batch of this segment covers are
 * written again in place, byte for byte, before the sync.
 */
async function makeDurable(file: DiskFile, digest: Digest): Promise<void> {
  const read = await readSegmentHeader(file, digest);
  if (read.kind === 'whole') {
    await writeSame(file, 0, blockBytes);
    const found = await findBatches(file, read.header, digest);
    const covered = coveredThrough(found);
    for (const { header, startAt } of found) {
      if (header.number > covered) await writeSame(file, startAt, frameBytes(header));
    }
  }
  await file.sync();
}

async function writeSame(file: DiskFile, at: number, lengthBytes: number): Promise<void> {
  await file.write([await file.read(at, lengthBytes)], at);
}

/** A segment that counts, and up to which batch its successor says so; undefined for the newest. */
interface Link {
  readonly header: SegmentHeader;
  readonly limit: number | undefined;
}

/**
 * Oldest first: from the newest whole header back along the predecessors. A newest file whose header
 * is broken never published anything (header and first batch are synced as one). Segments off the
 * chain count for nothing.
 */
function chainOf(
  headers: ReadonlyMap<number, SegmentHeader>,
  numbers: readonly number[],
): readonly Link[] | RecoveryFailure {
  const chain: Link[] = [];
  let header = headers.get(numbers.findLast((number) => headers.has(number)) ?? 0);
  let limit: number | undefined;
  while (header !== undefined) {
    chain.push({ header, limit });
    const { predecessor }: SegmentHeader = header;
    if (predecessor === undefined) break;
    limit = predecessor.lastBatch;
    header = headers.get(predecessor.segment);
    // Reclaiming goes oldest first: one that is missing although older ones are there is damage, and so
    // is one whose header is broken, for it was durable when its successor named it.
    if (header === undefined && predecessor.segment >= numbers[0]!) return damaged(predecessor.segment, 0);
  }
  return chain.reverse();
}

/** The last batch counted (0 for none), and how many whole frames were not. */
interface Counted {
  readonly lastBatch: number;
  readonly dropped: number;
}

/**
 * Which batches of a segment count: up to the first broken one that nothing covers, or the successor's
 * limit. What they hold goes into `owed`.
 */
async function countBatches(
  file: DiskFile,
  { header, limit }: Link,
  digest: Digest,
  owed: OwedMessages,
): Promise<Counted | RecoveryFailure> {
  const found = await findBatches(file, header, digest);
  const covered = Math.max(limit ?? 0, coveredThrough(found));
  const byNumber = new Map(found.map((batch) => [batch.header.number, batch]));
  let lastBatch = 0;
  let counted = 0;
  let endAt = blockBytes;
  for (let number = header.firstBatch; number <= (limit ?? Number.POSITIVE_INFINITY); number++) {
    const batch = byNumber.get(number);
    const isCovered = number <= covered;
    const records = batch && (await readBatchRecords(file, batch, header.salt, digest));
    const whole = records && (isCovered || (await bodiesWhole(file, records, header.salt, digest)));
    if (batch === undefined || records === undefined || !whole) {
      if (isCovered) return damaged(header.number, endAt);
      break;
    }
    for (const record of records) owed.apply(record, header.number);
    lastBatch = number;
    counted += 1;
    endAt = batch.startAt + frameBytes(batch.header);
  }
  return { lastBatch, dropped: found.length - counted };
}

/** The last batch that a later one of the same segment says was synced. */
function coveredThrough(found: readonly FoundBatch[]): number {
  return found.reduce((through, { header }) => Math.max(through, header.syncedThrough), 0);
}

/** Every batch frame of a segment; behind a broken frame it looks for the next at each block. */
async function findBatches(
  file: DiskFile,
  header: SegmentHeader,
  digest: Digest,
): Promise<readonly FoundBatch[]> {
  const sizeBytes = await file.sizeBytes();
  const found: FoundBatch[] = [];
  for (let at = blockBytes; at < sizeBytes; ) {
    const batch = await findBatch(file, at, sizeBytes, header, digest);
    if (batch === undefined) {
      at = await nextFrame(file, at + blockBytes, sizeBytes, header, digest);
      continue;
    }
    found.push(batch);
    at += frameBytes(batch.header);
  }
  return found;
}

const searchBytes = 1024 * 1024;

async function nextFrame(
  file: DiskFile,
  from: number,
  sizeBytes: number,
  segment: SegmentHeader,
  digest: Digest,
): Promise<number> {
  for (let at = from; at < sizeBytes; at += searchBytes) {
    const window = await file.read(at, searchBytes);
    for (let offset = 0; offset < window.length; offset += blockBytes) {
      if (decodeBatchHeader(window.subarray(offset), digest, segment.salt) !== undefined) return at + offset;
    }
  }
  return sizeBytes;
}

async function bodiesWhole(
  file: DiskFile,
  records: readonly SpoolRecord[],
  salt: number,
  digest: Digest,
): Promise<boolean> {
  for (const record of records) {
    if (record.kind !== 'envelope') continue;
    const { at, sizeBytes, crc } = record.body;
    const bytes = await file.read(at, sizeBytes);
    if (bytes.length < sizeBytes || digest.crc32(bytes, salt) !== crc) return false;
  }
  return true;
}

/** Messages minus terminal outcomes, with what deferrals say of the rest: one object a message. */
class OwedMessages {
  readonly #epochs = new Map<number, Map<number, Owed>>();
  /** Domains and virtual MTAs are few; each is kept once. */
  readonly #names = new Map<string, string>();

  apply(record: SpoolRecord, segment: number): void {
    if (record.kind === 'envelope') {
      const { id, vmta, timeQueuedMs, recipients } = record.envelope;
      this.#epoch(id.epoch).set(id.sequence, {
        id,
        location: { segment, recordAt: record.at, recordBytes: record.bytes },
        vmta: this.#name(vmta),
        timeQueuedMs,
        recipients: recipients.map(({ domain }, index) => ({
          index,
          domain: this.#name(domain),
          attempts: 0,
          nextTryMs: 0,
        })),
      });
      return;
    }
    const { id, recipientIndex, kind, attempts, nextTryMs } = record.event;
    const messages = this.#epoch(id.epoch);
    const recipients = messages.get(id.sequence)?.recipients ?? [];
    const at = recipients.findIndex(({ index }) => index === recipientIndex);
    if (at < 0) return;
    if (kind === 'deferred') recipients[at] = { ...recipients[at]!, attempts, nextTryMs };
    else if (recipients.length > 1) recipients.splice(at, 1);
    else messages.delete(id.sequence);
  }

  all(): readonly OwedAfterRestart[] {
    return [...this.#epochs.values()].flatMap((messages) => [...messages.values()]);
  }

  #epoch(epoch: number): Map<number, Owed> {
    const messages = this.#epochs.get(epoch) ?? new Map<number, Owed>();
    this.#epochs.set(epoch, messages);
    return messages;
  }

  #name(name: string): string {
    const known = this.#names.get(name);
    if (known === undefined) this.#names.set(name, name);
    return known ?? name;
  }
}

interface Owed extends OwedAfterRestart {
  readonly recipients: OwedRecipient[];
}
