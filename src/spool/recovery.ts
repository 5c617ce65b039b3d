import type { Digest, Disk, DiskError, DiskFile } from '../base/ports.ts';
import { type BatchPosition, isAfter } from '../message/batchPosition.ts';
import { readFooter, tellFooter } from './footer.ts';
import { frameBytes, type Predecessor, type SegmentHeader, segmentName, segmentNumber } from './frame.ts';
import { OwedIndex } from './owedIndex.ts';
import { restartRecords } from './record.ts';
import { type Damage, tellSalvaged } from './salvage.ts';
import { type ChainFailure, chainOf, isFailure, type Link, readHeaders } from './segmentChain.ts';
import { countedBatches, coveredThrough, findBatches, numberOf } from './segmentScan.ts';

export interface RecoveredSegment {
  readonly number: number;
  readonly epoch: number;
  /** The last batch that counts; 0 for none. */
  readonly lastBatch: number;
  readonly sizeBytes: number;
}

export interface Recovered {
  readonly kind: 'recovered';
  /** Above every epoch ever used here. */
  readonly epoch: number;
  readonly lastSegment: number;
  readonly predecessor: Predecessor | undefined;
  /** Every segment file, oldest first, those that count for nothing included. */
  readonly segments: readonly RecoveredSegment[];
  readonly owed: OwedIndex;
  /** Batches at the ends of segments that were never acknowledged and are dropped. */
  readonly droppedBatches: number;
  /** What was on disk and cannot be read any more. Its bytes are kept beside the segments. */
  readonly damages: readonly Damage[];
  /** The end of the newest segment is gone although accounting had read it: rows there may be the last trace. */
  readonly isCutShort: boolean;
}

export type RecoveryFailure =
  /** The header of a segment is damaged, or of another version. No byte was changed. */
  | ChainFailure
  /** The disk kept failing. */
  | { readonly kind: 'disk'; readonly code: string };

export interface RecoveryPorts {
  readonly disk: Disk;
  readonly digest: Digest;
}

const attemptsMax = 5;

/**
 * Reads what the folder holds and makes it durable (architecture 5, Recovery). `recorded`: the last batch
 * that any accounting file has read. Interrupted and run again it gives the same answer. A sync that fails
 * starts it over; it never goes on.
 */
export async function recover(
  ports: RecoveryPorts,
  folder: string,
  recorded: BatchPosition,
): Promise<Recovered | RecoveryFailure> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await recoverOnce(ports, folder, recorded);
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
  recorded: BatchPosition,
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

  const headers = await readHeaders(disk, folder, numbers, digest);
  if (isFailure(headers)) return headers;
  const chain = chainOf(headers);
  if (isFailure(chain)) return chain;
  for (const link of chain) {
    if (!isVouchedFor(link)) await within(link.header.number, (file) => makeDurable(file, link, digest));
  }
  await disk.syncFolder(folder);

  // What is read from here on is what the disk holds. A header of before may have been in the cache only.
  const durable = await readHeaders(disk, folder, numbers, digest);
  if (isFailure(durable)) return durable;
  for (const number of numbers) {
    if (headers.found.has(number) !== durable.found.has(number)) throw lostHeader(number);
  }
  const owed = new OwedIndex();
  const segments = new Map<number, RecoveredSegment>();
  let predecessor: Predecessor | undefined;
  let droppedBatches = 0;
  const damages: Damage[] = [];
  for (const link of chain) {
    const { number } = link.header;
    const counted = await within(number, (file) => countBatches(file, link, recorded, digest, owed));
    droppedBatches += counted.dropped;
    damages.push(...counted.damages);
    const { epoch } = link.header;
    segments.set(number, { number, epoch, lastBatch: counted.lastBatch, sizeBytes: counted.sizeBytes });
    if (counted.lastBatch === 0) continue;
    predecessor = { segment: number, lastBatch: counted.lastBatch, syncedThrough: counted.lastBatch };
  }
  for (const damage of damages)
    await within(damage.segment, (file) => keepDamaged(disk, folder, file, damage));
  let lastEpoch = recorded.epoch;
  for (const { header } of headers.found.values()) lastEpoch = Math.max(lastEpoch, header.epoch);
  return {
    kind: 'recovered',
    epoch: lastEpoch + 1,
    lastSegment: numbers.at(-1) ?? 0,
    predecessor,
    segments: numbers.map(
      (number) => segments.get(number) ?? { number, epoch: 0, lastBatch: 0, sizeBytes: 0 },
    ),
    owed,
    droppedBatches,
    damages,
    isCutShort: isAfter(recorded, lastCounted(segments, predecessor)),
  };
}

function lastCounted(
  segments: ReadonlyMap<number, RecoveredSegment>,
  predecessor: Predecessor | undefined,
): BatchPosition {
  const newest = predecessor && segments.get(predecessor.segment);
  // Without any segment there is nothing that could be missing.
  return newest === undefined ? afterAll : { epoch: newest.epoch, batch: newest.lastBatch };
}

const afterAll: BatchPosition = { epoch: Number.POSITIVE_INFINITY, batch: 0 };

/** A copy of what cannot be read, for whoever wants to look at it, before its segment goes. */
export async function keepDamaged(
  disk: Disk,
  spoolFolder: string,
  segment: DiskFile,
  { segment: number, at, sizeBytes }: Damage,
): Promise<void> {
  if (sizeBytes === 0) return;
  const folder = `${spoolFolder}/damaged`;
  await disk.makeFolder(folder);
  await disk.syncFolder(spoolFolder);
  const name = `${segmentName(number)}-${at}`;
  if ((await disk.list(folder)).includes(name)) return;
  const temporary = `${folder}/${name}.new`;
  await disk.unlink(temporary).catch(() => undefined);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write([await segment.read(at, sizeBytes)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${folder}/${name}`);
  await disk.syncFolder(folder);
}

function parentOf(folder: string): string {
  return folder.slice(0, folder.lastIndexOf('/')) || '/';
}

function lostHeader(number: number): DiskError {
  return Object.assign(new Error(`the header of ${segmentName(number)} was not on disk`), { code: 'EIO' });
}

/** A durable header says that all of it that counts is on disk; so, before, was its own header. */
export function isVouchedFor({ limit, vouchedThrough }: Pick<Link, 'limit' | 'vouchedThrough'>): boolean {
  return limit !== undefined && vouchedThrough === limit;
}

/**
 * After a failed sync the cache may show clean pages that the disk never got; only a new write makes a
 * sync mean something. So the header and every batch that no later batch of this segment covers are
 * written again in place, byte for byte, before the sync.
 */
async function makeDurable(file: DiskFile, { header, block }: Link, digest: Digest): Promise<void> {
  await file.write([block], 0);
  const found = await findBatches(file, header, digest);
  const covered = coveredThrough(found);
  for (const batch of found) {
    if (batch.header.number > covered) await writeSame(file, batch.startAt, frameBytes(batch.header));
  }
  await file.sync();
}

async function writeSame(file: DiskFile, at: number, lengthBytes: number): Promise<void> {
  await file.write([await file.read(at, lengthBytes)], at);
}

interface Counted {
  /** The last batch that counts, 0 for none. */
  readonly lastBatch: number;
  /** How many whole frames do not. */
  readonly dropped: number;
  readonly damages: readonly Damage[];
  readonly sizeBytes: number;
}

/** What of a segment counts goes into `owed`: by its footer where it may be believed, else record by record. */
async function countBatches(
  file: DiskFile,
  link: Link,
  recorded: BatchPosition,
  digest: Digest,
  owed: OwedIndex,
): Promise<Counted> {
  const sizeBytes = await file.sizeBytes();
  if (link.limit !== undefined && isVouchedFor(link)) {
    const footer = await readFooter(file, link.header, link.limit, digest);
    if (footer !== undefined) {
      tellFooter(footer, link.header.number, owed);
      return { lastBatch: link.limit, dropped: 0, damages: [], sizeBytes };
    }
  }
  return { ...(await scanBatches(file, link, recorded, digest, owed)), sizeBytes };
}

async function scanBatches(
  file: DiskFile,
  link: Link,
  recorded: BatchPosition,
  digest: Digest,
  owed: OwedIndex,
): Promise<Omit<Counted, 'sizeBytes'>> {
  const { header, limit, vouchedThrough } = link;
  const found = await findBatches(file, header, digest);
  const covered = Math.max(vouchedThrough, coveredThrough(found), readThrough(header, recorded, limit));
  const reading = restartRecords(header.number, owed);
  const damages: Damage[] = [];
  let lastBatch = 0;
  for await (const counted of countedBatches(file, link, found, covered, digest, reading)) {
    lastBatch = numberOf(counted);
    if (counted.kind === 'whole') continue;
    // Behind the end of the file every batch is missing alike: said once, however many there should be.
    if (counted.damage.sizeBytes === 0 && damages.at(-1)?.sizeBytes === 0) continue;
    tellSalvaged(counted.salvaged, header.number, owed);
    damages.push(counted.damage);
  }
  return { lastBatch, dropped: found.filter((one) => one.header.number > lastBatch).length, damages };
}

/** Accounting never reads what is not on disk: what it has read of this segment was there. */
export function readThrough(
  header: SegmentHeader,
  { epoch, batch }: BatchPosition,
  limit: number | undefined,
): number {
  const isHere = epoch === header.epoch && batch >= header.firstBatch;
  return isHere && batch <= (limit ?? Number.POSITIVE_INFINITY) ? batch : 0;
}
