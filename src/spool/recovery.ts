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
  /** A batch that was synced is damaged, or a segment header is. Nothing was changed. */
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
  const numbers = (await disk.list(folder))
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
  const files: DiskFile[] = [];
  try {
    const segments = new Map<number, Segment>();
    for (const number of numbers) {
      const file = await disk.open(`${folder}/${segmentName(number)}`, 'write');
      files.push(file);
      const read = await readSegmentHeader(file, digest);
      if (read.kind === 'otherVersion') {
        return { kind: 'otherVersion', segment: segmentName(number), version: read.version };
      }
      if (read.kind === 'whole') segments.set(number, { header: read.header, file });
    }
    const chain = chainOf(segments);
    if ('kind' in chain) return chain;
    const counted: CountedSegment[] = [];
    const owed = new OwedMessages();
    for (const link of chain) {
      const result = await countBatches(link, digest, owed);
      if ('kind' in result) return result;
      counted.push(result);
    }
    for (const segment of counted) await writeAgain(segment);
    for (const file of files) await file.sync();
    await disk.syncFolder(folder);

    const last = counted.findLast((segment) => segment.batches.length > 0);
    const lastBatches = new Map(counted.map((segment) => [segment.header.number, lastBatchOf(segment)]));
    return {
      kind: 'recovered',
      epoch: 1 + Math.max(cursorEpoch, ...[...segments.values()].map(({ header }) => header.epoch)),
      lastSegment: numbers.at(-1) ?? 0,
      predecessor: last && { segment: last.header.number, lastBatch: lastBatchOf(last) },
      segments: numbers.map((number) => ({
        number,
        epoch: segments.get(number)?.header.epoch ?? 0,
        lastBatch: lastBatches.get(number) ?? 0,
      })),
      owed: owed.all(),
      droppedBatches: counted.reduce((sum, { dropped }) => sum + dropped, 0),
    };
  } finally {
    await Promise.allSettled(files.map((file) => file.close()));
  }
}

interface Segment {
  readonly header: SegmentHeader;
  readonly file: DiskFile;
}

/** A segment that counts, and up to which batch its successor says so; undefined for the newest. */
interface Link extends Segment {
  readonly limit: number | undefined;
}

/**
 * Oldest first: from the newest whole header back along the predecessors. A newest file whose header
 * is broken never published anything (header and first batch are synced as one). Segments off the
 * chain count for nothing.
 */
function chainOf(segments: ReadonlyMap<number, Segment>): readonly Link[] | RecoveryFailure {
  const chain: Link[] = [];
  const oldest = Math.min(...segments.keys());
  let segment = segments.get(Math.max(...segments.keys()));
  let limit: number | undefined;
  while (segment !== undefined) {
    chain.unshift({ ...segment, limit });
    const predecessor: Predecessor | undefined = segment.header.predecessor;
    if (predecessor === undefined) break;
    limit = predecessor.lastBatch;
    segment = segments.get(predecessor.segment);
    // Reclaiming goes oldest first, so a missing predecessor with older segments beside it is damage.
    if (segment === undefined && predecessor.segment > oldest) {
      return { kind: 'damaged', segment: segmentName(predecessor.segment), at: 0 };
    }
  }
  return chain;
}

interface CountedSegment extends Link {
  readonly batches: readonly FoundBatch[];
  readonly dropped: number;
}

/**
 * Which batches of a segment count: up to the first broken one that nothing covers, or the successor's
 * limit. What they hold goes into `owed`.
 */
async function countBatches(
  link: Link,
  digest: Digest,
  owed: OwedMessages,
): Promise<CountedSegment | RecoveryFailure> {
  const { header, file, limit } = link;
  const found = await findBatches(link, digest);
  const coveredThrough = Math.max(limit ?? 0, ...found.map((batch) => batch.header.syncedThrough));
  const byNumber = new Map(found.map((batch) => [batch.header.number, batch]));
  const batches: FoundBatch[] = [];
  let endAt = blockBytes;
  for (let number = header.firstBatch; number <= (limit ?? Number.POSITIVE_INFINITY); number++) {
    const batch = byNumber.get(number);
    const covered = number <= coveredThrough;
    const records = batch && (await readBatchRecords(file, batch, header.salt, digest));
    const whole = records && (covered || (await bodiesWhole(file, records, header.salt, digest)));
    if (batch === undefined || records === undefined || !whole) {
      if (covered) return { kind: 'damaged', segment: segmentName(header.number), at: endAt };
      break;
    }
    for (const record of records) owed.apply(record, header.number);
    batches.push(batch);
    endAt = batch.startAt + frameBytes(batch.header);
  }
  return { ...link, batches, dropped: found.length - batches.length };
}

/** Every batch frame of a segment; behind a broken frame it looks for the next at each block. */
async function findBatches({ header, file }: Segment, digest: Digest): Promise<readonly FoundBatch[]> {
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

/**
 * After a failed sync the cache may show clean pages that the disk never got; only a new write makes a
 * sync mean something. So the header and every batch that no later batch of this segment covers are
 * written again in place.
 */
async function writeAgain({ file, batches }: CountedSegment): Promise<void> {
  await writeSame(file, 0, blockBytes);
  const covered = Math.max(0, ...batches.map((batch) => batch.header.syncedThrough));
  for (const { header, startAt } of batches) {
    if (header.number > covered) await writeSame(file, startAt, frameBytes(header));
  }
}

async function writeSame(file: DiskFile, at: number, lengthBytes: number): Promise<void> {
  await file.write([await file.read(at, lengthBytes)], at);
}

function lastBatchOf(segment: CountedSegment): number {
  return segment.batches.at(-1)?.header.number ?? 0;
}

/** Messages minus terminal outcomes, with what deferrals say of the rest. */
class OwedMessages {
  readonly #messages = new Map<
    string,
    { message: OwedAfterRestart; recipients: Map<number, OwedRecipient> }
  >();

  apply(record: SpoolRecord, segment: number): void {
    if (record.kind === 'envelope') {
      const { id, vmta, timeQueuedMs, recipients } = record.envelope;
      const location = { segment, recordAt: record.at, recordBytes: record.bytes };
      this.#messages.set(keyOf(id), {
        message: { id, location, vmta, timeQueuedMs, recipients: [] },
        recipients: new Map(
          recipients.map(({ domain }, index) => [index, { index, domain, attempts: 0, nextTryMs: 0 }]),
        ),
      });
      return;
    }
    const { id, recipientIndex, kind, attempts, nextTryMs } = record.event;
    const entry = this.#messages.get(keyOf(id));
    const recipient = entry?.recipients.get(recipientIndex);
    if (entry === undefined || recipient === undefined) return;
    if (kind === 'deferred') {
      entry.recipients.set(recipientIndex, { ...recipient, attempts, nextTryMs });
      return;
    }
    entry.recipients.delete(recipientIndex);
    if (entry.recipients.size === 0) this.#messages.delete(keyOf(id));
  }

  all(): readonly OwedAfterRestart[] {
    return [...this.#messages.values()].map(({ message, recipients }) => ({
      ...message,
      recipients: [...recipients.values()],
    }));
  }
}

function keyOf(id: MessageId): string {
  return `${id.epoch}.${id.sequence}`;
}
