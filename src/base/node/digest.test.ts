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
