import { crc32 } from 'node:zlib';
import type { Digest } from '../ports.ts';

export function systemDigest(): Digest {
  return { crc32: (bytes, seed) => crc32(bytes, seed) };
}
