import { expect, test } from 'vitest';
import { systemRandom } from './random.ts';

test('values are 32-bit integers that use both halves of the range and do not repeat by pool', () => {
  const random = systemRandom();
  const drawn = Array.from({ length: 1000 }, () => random.u32());
  expect(drawn.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true);
  expect(drawn.some((value) => value >= 2 ** 31)).toBe(true);
  expect(drawn.some((value) => value < 2 ** 31)).toBe(true);
  expect(new Set(drawn).size).toBeGreaterThan(990);
});
