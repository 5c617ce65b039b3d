import type { Digest, DiskFile } from '../base/ports.ts';
import {
  type BatchHeader,
  batchHeaderBytes,
  blockBytes,
  decodeBatchHeader,
  decodeSegmentHeader,
  frameBytes,
  type SegmentHeader,
  type SegmentHeaderRead,
} from './frame.ts';
import { readRecords, type SpoolRecord } from './record.ts';

/** A batch as found in a segment; its bodies have not been looked at. */
export interface FoundBatch {
  readonly header: BatchHeader;
  readonly startAt: number;
}

export async function readSegmentHeader(file: DiskFile, digest: Digest): Promise<SegmentHeaderRead> {
  return decodeSegmentHeader(await file.read(0, blockBytes), digest);
}

/** The batch that begins at `startAt`, when it belongs to this segment and lies within the file. */
export async function findBatch(
  file: Pick<DiskFile, 'read'>,
  startAt: number,
  sizeBytes: number,
  segment: SegmentHeader,
  digest: Digest,
): Promise<FoundBatch | undefined> {
  const header = decodeBatchHeader(await file.read(startAt, batchHeaderBytes), digest, segment.salt);
  if (header === undefined || header.epoch !== segment.epoch) return undefined;
  return startAt + frameBytes(header) <= sizeBytes ? { header, startAt } : undefined;
}

/** A batch's record part, read in one go; undefined when damaged. `only`: what is wanted of it; all is checked. */
export async function readBatchRecords(
  file: Pick<DiskFile, 'read'>,
  { header, startAt }: FoundBatch,
  salt: number,
  digest: Digest,
  only?: SpoolRecord['kind'],
): Promise<readonly SpoolRecord[] | undefined> {
  if (header.recordBytes === 0) return [];
  const at = startAt + batchHeaderBytes;
  const bytes = await file.read(at, header.recordBytes);
  return bytes.length < header.recordBytes ? undefined : readRecords(bytes, at, digest, salt, only);
}
