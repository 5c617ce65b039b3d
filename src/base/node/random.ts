import { randomFillSync } from 'node:crypto';
import type { Random } from '../ports.ts';

/** The system's cryptographic generator, drawn a pool at a time. */
export function systemRandom(): Random {
  const pool = new Uint32Array(256);
  let used = pool.length;
  return {
    u32() {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      return pool[used++]!;
    },
  };
}
