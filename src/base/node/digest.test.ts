import { expect, test } from 'vitest';
import { systemDigest } from './digest.ts';

const bytes = new TextEncoder().encode('123456789');

test('crc32 is the IEEE one', () => {
  expect(systemDigest().crc32(bytes, 0)).toBe(0xcbf43926);
});

test('crc32 continues from a seed', () => {
  const digest = systemDigest();
  expect(digest.crc32(bytes.subarray(4), digest.crc32(bytes.subarray(0, 4), 0))).toBe(0xcbf43926);
});

test('nothing more leaves a checksum as it is', () => {
  const { crc32 } = systemDigest();
  const empty = new Uint8Array(0);
  for (const nothing of [empty, empty.subarray(0), new Uint8Array(new ArrayBuffer(0))]) {
    expect(crc32(nothing, 0x1234)).toBe(0x1234);
  }
});
