import type { Digest, DiskFile } from '../base/ports.ts';
import { blockBytes, decodeBatchHeader, frameBytes, type SegmentHeader } from './frame.ts';
import type { SpoolRecord } from './record.ts';
import { type FoundBatch, findBatch, ReadAhead } from './segmentFile.ts';

/** Every batch frame of a segment; behind a broken frame it looks for the next at each block. */
export async function findBatches(
  file: DiskFile,
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

/** The last batch that a later one of the same segment says was synced. */
export function coveredThrough(found: readonly FoundBatch[]): number {
  return found.reduce((through, { header }) => Math.max(through, header.syncedThrough), 0);
}

/** Whether every content that these records name in the segment is whole. */
export async function bodiesWhole(
  file: DiskFile,
  records: readonly SpoolRecord[],
  salt: number,
  digest: Digest,
): Promise<boolean> {
  for (const record of records) {
    if (!('body' in record) || record.body.inFile) continue;
    const { at, sizeBytes, crc } = record.body;
    const bytes = await file.read(at, sizeBytes);
    if (bytes.length < sizeBytes || digest.crc32(bytes, salt) !== crc) return false;
  }
  return true;
}
