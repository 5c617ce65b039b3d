import type { Digest } from '../base/ports.ts';
import { batchHeaderBytes, blockBytes, decodeBatchHeader, type SegmentHeader } from './frame.ts';
import { wholeRecords } from './record.ts';
import { type ReadableFile, readBatchRecords } from './segmentFile.ts';

/** Where a batch header has its checksum. */
const crcAt = 40;

/**
 * What can be known of a segment whose header and its copy are lost: CRC-32 is linear, so the header of any
 * batch tells the salt it was seeded with, and the checksums of its records say whether that is so. Its
 * predecessor stays unknown. undefined: no batch of it can be read.
 */
export async function headerFromBatches(
  file: ReadableFile,
  number: number,
  digest: Digest,
): Promise<SegmentHeader | undefined> {
  const sizeBytes = await file.sizeBytes();
  for (let startAt = blockBytes; startAt < sizeBytes; startAt += blockBytes) {
    const bytes = await file.read(startAt, batchHeaderBytes);
    if (bytes.length < batchHeaderBytes) return undefined;
    const crc = new DataView(bytes.buffer, bytes.byteOffset).getUint32(crcAt, true);
    const salt = crcSeed(bytes.subarray(0, crcAt), crc, digest);
    const header = decodeBatchHeader(bytes, digest, salt);
    if (header === undefined || header.recordBytes === 0) continue;
    if (startAt + header.recordBytes > sizeBytes) continue;
    const records = await readBatchRecords(file, { header, startAt }, salt, digest, wholeRecords);
    if (records === undefined) continue;
    return { number, epoch: header.epoch, salt, firstBatch: header.number, predecessor: undefined };
  }
  return undefined;
}

/** The seed with which the CRC-32 of these bytes is `crc`: there is one. */
export function crcSeed(bytes: Uint8Array, crc: number, digest: Digest): number {
  const unseeded = digest.crc32(bytes, 0);
  // What each bit of a seed changes, brought into steps: `pivots[i]` has no bit above the ith.
  const pivots: { readonly change: number; readonly seed: number }[] = [];
  for (let bit = 0; bit < 32; bit++) {
    let seed = (1 << bit) >>> 0;
    let change = (digest.crc32(bytes, seed) ^ unseeded) >>> 0;
    for (let top = 31; top >= 0 && change !== 0; top--) {
      if (change >>> top !== 1) continue;
      const pivot = pivots[top];
      if (pivot === undefined) {
        pivots[top] = { change, seed };
        break;
      }
      change = (change ^ pivot.change) >>> 0;
      seed = (seed ^ pivot.seed) >>> 0;
    }
  }
  let rest = (crc ^ unseeded) >>> 0;
  let found = 0;
  for (let top = 31; top >= 0; top--) {
    if (rest >>> top !== 1) continue;
    rest = (rest ^ pivots[top]!.change) >>> 0;
    found = (found ^ pivots[top]!.seed) >>> 0;
  }
  return found;
}
