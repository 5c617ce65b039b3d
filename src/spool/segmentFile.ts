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
import { type RecordReading, readRecords } from './record.ts';

/** A segment that is only read. */
export type ReadableFile = Pick<DiskFile, 'read' | 'sizeBytes'>;

/** A batch as found in a segment; its bodies have not been looked at. */
export interface FoundBatch {
  readonly header: BatchHeader;
  readonly startAt: number;
}

export async function readSegmentHeader(
  file: Pick<DiskFile, 'read'>,
  digest: Digest,
): Promise<SegmentHeaderRead> {
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

/** A batch's record part, read in one go; undefined when damaged. All of it is checked. */
export async function readBatchRecords<T>(
  file: Pick<DiskFile, 'read'>,
  { header, startAt }: FoundBatch,
  salt: number,
  digest: Digest,
  reading: RecordReading<T>,
): Promise<readonly T[] | undefined> {
  if (header.recordBytes === 0) return [];
  const at = startAt + batchHeaderBytes;
  const bytes = await file.read(at, header.recordBytes);
  return bytes.length < header.recordBytes ? undefined : readRecords(bytes, at, digest, salt, reading);
}

const aheadBytes = 256 * 1024;

/**
 * Reads more than is asked for: small batches lie close together, and a read costs far more than its
 * bytes. It lives no longer than one look at the watermark, for what lies behind that still changes.
 */
export class ReadAhead implements Pick<DiskFile, 'read'> {
  readonly #file: Pick<DiskFile, 'read'> | undefined;
  #at = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(file: Pick<DiskFile, 'read'> | undefined) {
    this.#file = file;
  }

  async read(position: number, lengthBytes: number): Promise<Uint8Array> {
    const from = position - this.#at;
    if (from < 0 || from + lengthBytes > this.#bytes.length) {
      this.#bytes = await this.#file!.read(position, Math.max(lengthBytes, aheadBytes));
      this.#at = position;
      return this.#bytes.subarray(0, lengthBytes);
    }
    return this.#bytes.subarray(from, from + lengthBytes);
  }
}
