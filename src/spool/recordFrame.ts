import { ByteReader } from '../base/byteReader.ts';
import type { ByteWriter } from '../base/byteWriter.ts';
import type { Digest } from '../base/ports.ts';

/** Type, payload length, CRC: four bytes each. */
export const recordHeaderBytes = 12;

/** One record of a batch's record part. */
export interface RecordPlace {
  readonly type: number;
  /** Offset of the record in the bytes. */
  readonly at: number;
  /** Header and payload. */
  readonly sizeBytes: number;
}

/** Begins a record with an empty CRC: `sealRecords` fills it once the segment, so the salt, is known. */
export function openRecord(out: ByteWriter, type: number): number {
  const start = out.length;
  out.u32(type);
  out.u32(0);
  out.u32(0);
  return start;
}

export function closeRecord(out: ByteWriter, start: number): void {
  out.setU32(start + 4, out.length - start - recordHeaderBytes);
}

/** Fills the CRC of every record of a batch: over type, length and payload, seeded with the salt. */
export function sealRecords(out: ByteWriter, digest: Digest, salt: number): void {
  const { bytes } = out;
  for (const place of recordPlaces(bytes)) out.setU32(place.at + 8, recordCrc(bytes, place, digest, salt));
}

/** Every record, as far as the lengths lead; the last one may reach past the end. */
export function* recordPlaces(bytes: Uint8Array): Iterable<RecordPlace> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + recordHeaderBytes <= bytes.length; ) {
    const sizeBytes = recordHeaderBytes + view.getUint32(at + 4, true);
    yield { type: view.getUint32(at, true), at, sizeBytes };
    at += sizeBytes;
  }
}

/** It lies within the bytes and its CRC is right. */
export function isWhole(bytes: Uint8Array, place: RecordPlace, digest: Digest, salt: number): boolean {
  if (place.at + place.sizeBytes > bytes.length) return false;
  const crc = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(place.at + 8, true);
  return crc === recordCrc(bytes, place, digest, salt);
}

/** Reads the payload of a record. */
export function payloadOf(bytes: Uint8Array, { at }: RecordPlace): ByteReader {
  return new ByteReader(bytes, at + recordHeaderBytes);
}

function recordCrc(bytes: Uint8Array, { at, sizeBytes }: RecordPlace, digest: Digest, salt: number): number {
  const head = digest.crc32(bytes.subarray(at, at + 8), salt);
  return digest.crc32(bytes.subarray(at + recordHeaderBytes, at + sizeBytes), head);
}
