import type { Digest } from '../base/ports.ts';
import { blockBytes, decodeBatchHeader, frameBytes, type SegmentHeader } from './frame.ts';
import { type BodyPlace, type RecordReading, type SpoolRecord, wholeRecords } from './record.ts';
import { type Damage, damageOf, type Salvaged, salvage } from './salvage.ts';
import type { Link } from './segmentChain.ts';
import { type FoundBatch, findBatch, ReadAhead, type ReadableFile, readBatchRecords } from './segmentFile.ts';

/** Every batch frame of a segment; behind a broken frame it looks for the next at each block. */
export async function findBatches(
  file: ReadableFile,
  header: SegmentHeader,
  digest: Digest,
): Promise<readonly FoundBatch[]> {
  const sizeBytes = await file.sizeBytes();
  const ahead = new ReadAhead(file);
  const found: FoundBatch[] = [];
  for (let at = blockBytes; at < sizeBytes; ) {
    const batch = await findBatch(ahead, at, sizeBytes, header, digest);
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
  file: ReadableFile,
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

/** The last batch that a later one of the same segment says was synced. */
export function coveredThrough(found: readonly FoundBatch[]): number {
  return found.reduce((through, { header }) => Math.max(through, header.syncedThrough), 0);
}

/** A batch that counts: what it says, or what of it can still be read. */
export type CountedBatch<T> =
  | { readonly kind: 'whole'; readonly batch: FoundBatch; readonly records: readonly T[] }
  | {
      readonly kind: 'damaged';
      readonly number: number;
      readonly damage: Damage;
      readonly salvaged: readonly Salvaged[];
    };

export function numberOf(counted: CountedBatch<unknown>): number {
  return counted.kind === 'whole' ? counted.batch.header.number : counted.number;
}

/**
 * Batches count up to the first broken one that nothing covers, or the successor's limit. A broken one
 * that was once on disk (up to `covered`) is damage: what can be read of it counts, and so does what is
 * behind it.
 */
export async function* countedBatches<T>(
  file: ReadableFile,
  { header, limit }: Pick<Link, 'header' | 'limit'>,
  found: readonly FoundBatch[],
  covered: number,
  digest: Digest,
  reading: RecordReading<T>,
): AsyncGenerator<CountedBatch<T>, void> {
  const byNumber = new Map(found.map((batch) => [batch.header.number, batch]));
  let endAt = blockBytes;
  for (let number = header.firstBatch; number <= (limit ?? Number.POSITIVE_INFINITY); number++) {
    const batch = byNumber.get(number);
    if (number > covered) {
      const records = batch && (await readBatchRecords(file, batch, header.salt, digest, wholeRecords));
      if (records === undefined || !(await bodiesWhole(file, records, header.salt, digest))) return;
    }
    const records = batch && (await readBatchRecords(file, batch, header.salt, digest, reading));
    if (batch !== undefined && records !== undefined) {
      yield { kind: 'whole', batch, records };
      endAt = batch.startAt + frameBytes(batch.header);
      continue;
    }
    const next = found.find((one) => one.header.number > number);
    const damage = damageOf(header.number, endAt, batch, next, await file.sizeBytes());
    yield { kind: 'damaged', number, damage, salvaged: await salvage(file, damage, batch, header, digest) };
    endAt = damage.at + damage.sizeBytes;
  }
}

/** Whether every content that these records name in the segment is whole. */
async function bodiesWhole(
  file: Pick<ReadableFile, 'read'>,
  records: readonly SpoolRecord[],
  salt: number,
  digest: Digest,
): Promise<boolean> {
  for (const record of records) {
    if ('body' in record && !record.body.inFile && !(await isBodyWhole(file, record.body, salt, digest))) {
      return false;
    }
  }
  return true;
}

/** Whether a content that lies in the segment is. */
export async function isBodyWhole(
  file: Pick<ReadableFile, 'read'>,
  { at, sizeBytes, crc }: BodyPlace,
  salt: number,
  digest: Digest,
): Promise<boolean> {
  const bytes = await file.read(at, sizeBytes);
  return bytes.length === sizeBytes && digest.crc32(bytes, salt) === crc;
}
