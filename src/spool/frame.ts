import { ByteReader } from '../base/byteReader.ts';
import { ByteWriter } from '../base/byteWriter.ts';
import type { Digest } from '../base/ports.ts';

/** Headers and batches begin on this boundary, and a batch is padded to it. */
export const blockBytes = 4096;

/** How large things are let grow. Nothing on disk depends on it: simulations use smaller ones. */
export interface SpoolSizes {
  /** A segment is closed once it has grown to this. */
  readonly segmentBytes: number;
  /** Batches are capped at this; a single larger message makes a batch of its own. */
  readonly batchBytes: number;
  /** A batch as large as this is written while the one before it is still under way. */
  readonly overlapBytes: number;
  /** A content as large as this lies in a file of its own. */
  readonly bodyFileBytes: number;
}

export const spoolSizes: SpoolSizes = {
  segmentBytes: 64 * 1024 * 1024,
  batchBytes: 4 * 1024 * 1024,
  overlapBytes: 256 * 1024,
  bodyFileBytes: 1024 * 1024,
};

/** Version 1, which is still read, knows one limit of the predecessor and keeps its header once. */
export const formatVersion = 2;

/** What a segment says of itself and of the one before it (architecture 5, Layout). */
export interface SegmentHeader {
  readonly number: number;
  readonly epoch: number;
  /** Seeds every CRC of this segment, so that bytes of another one never pass for its own. */
  readonly salt: number;
  /** Number of this segment's first batch; the others follow without gaps. */
  readonly firstBatch: number;
  /** The last segment that holds a synced batch; segments between it and this one count for nothing. */
  readonly predecessor: Predecessor | undefined;
}

export interface Predecessor {
  readonly segment: number;
  /** Its batches beyond this one count for nothing. */
  readonly lastBatch: number;
  /** Up to here they are on disk: a broken one is damage. Behind `lastBatch` only with durability os or none. */
  readonly syncedThrough: number;
}

/** A batch's frame: records first, then bodies. */
export interface BatchHeader {
  readonly epoch: number;
  readonly number: number;
  /** The last batch of this segment known synced when this one was written; 0 for none. */
  readonly syncedThrough: number;
  readonly recordBytes: number;
  readonly bodyBytes: number;
}

export const batchHeaderBytes = 64;

const segmentMagic = 0x31535350;
const batchMagic = 0x31425350;

/** `00000012.segment`: names sort as numbers do. */
export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.segment`;
}

/** undefined for a name that no segment of ours bears. */
export function segmentNumber(name: string): number | undefined {
  const number = Number(/^(\d{8,10})\.segment$/.exec(name)?.[1] ?? 0);
  return number > 0 && number <= 0xffff_ffff && segmentName(number) === name ? number : undefined;
}

/** Bytes of a whole batch on disk, padding included. */
export function frameBytes(header: Pick<BatchHeader, 'recordBytes' | 'bodyBytes'>): number {
  const used = batchHeaderBytes + header.recordBytes + header.bodyBytes;
  return Math.ceil(used / blockBytes) * blockBytes;
}

/** The header stands twice in its block: without the salt nothing of the segment can be read. */
const headerCopyAt = blockBytes / 2;

/** One block: the header, zeroes, its copy, zeroes. */
export function encodeSegmentHeader(header: SegmentHeader, digest: Digest): Uint8Array {
  const out = new ByteWriter(headerCopyAt);
  out.u32(segmentMagic);
  out.u32(formatVersion);
  out.u32(header.number);
  out.u32(header.epoch);
  out.u32(header.salt);
  out.f64(header.firstBatch);
  out.u32(header.predecessor?.segment ?? 0);
  out.f64(header.predecessor?.lastBatch ?? 0);
  out.f64(header.predecessor?.syncedThrough ?? 0);
  out.u32(digest.crc32(out.bytes, 0));
  const block = new Uint8Array(blockBytes);
  block.set(out.bytes);
  block.set(out.bytes, headerCopyAt);
  return block;
}

export type SegmentHeaderRead =
  | { readonly kind: 'whole'; readonly version: number; readonly header: SegmentHeader }
  | { readonly kind: 'otherVersion'; readonly version: number }
  | { readonly kind: 'broken' };

export function decodeSegmentHeader(block: Uint8Array, digest: Digest): SegmentHeaderRead {
  if (block.length < blockBytes) return { kind: 'broken' };
  const read = headerFrom(block, digest);
  return read.kind === 'whole' ? read : firstWhole(headerFrom(block.subarray(headerCopyAt), digest), read);
}

function firstWhole(copy: SegmentHeaderRead, original: SegmentHeaderRead): SegmentHeaderRead {
  return copy.kind === 'broken' ? original : copy;
}

function headerFrom(bytes: Uint8Array, digest: Digest): SegmentHeaderRead {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== segmentMagic) return { kind: 'broken' };
  const version = reader.u32();
  if (version !== formatVersion && version !== 1) return { kind: 'otherVersion', version };
  const number = reader.u32();
  const epoch = reader.u32();
  const salt = reader.u32();
  const firstBatch = reader.f64();
  const segment = reader.u32();
  const lastBatch = reader.f64();
  const syncedThrough = version === 1 ? lastBatch : reader.f64();
  const crc = digest.crc32(bytes.subarray(0, reader.at), 0);
  if (reader.u32() !== crc) return { kind: 'broken' };
  const predecessor = segment === 0 ? undefined : { segment, lastBatch, syncedThrough };
  return { kind: 'whole', version, header: { number, epoch, salt, firstBatch, predecessor } };
}

export function encodeBatchHeader(header: BatchHeader, digest: Digest, salt: number): Uint8Array {
  const out = new ByteWriter(batchHeaderBytes);
  out.u32(batchMagic);
  out.u32(header.epoch);
  out.f64(header.number);
  out.f64(header.syncedThrough);
  out.f64(header.recordBytes);
  out.f64(header.bodyBytes);
  out.u32(digest.crc32(out.bytes, salt));
  out.raw(new Uint8Array(batchHeaderBytes - out.length));
  return out.bytes;
}

/** undefined when these bytes are no header of a batch of this segment. */
export function decodeBatchHeader(bytes: Uint8Array, digest: Digest, salt: number): BatchHeader | undefined {
  if (bytes.length < batchHeaderBytes) return undefined;
  const reader = new ByteReader(bytes);
  if (reader.u32() !== batchMagic) return undefined;
  const header = {
    epoch: reader.u32(),
    number: reader.f64(),
    syncedThrough: reader.f64(),
    recordBytes: reader.f64(),
    bodyBytes: reader.f64(),
  };
  const crc = digest.crc32(bytes.subarray(0, reader.at), salt);
  if (reader.u32() !== crc) return undefined;
  const { number, syncedThrough, recordBytes, bodyBytes } = header;
  return [number, syncedThrough, recordBytes, bodyBytes].every(isCount) ? header : undefined;
}

/** A CRC errs once in 2^32 times; no length it lets through may lead a reader astray. */
function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
