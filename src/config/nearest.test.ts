import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearestName } from './nearest.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), maxLength: 8 });

test('edit distance is symmetric, zero only for equals, and bounded by the longer word', () => {
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(editDistance(b, a)).toBe(distance);
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
    }),
  );
});

test.each([
  ['retry-afer', 'retry-after'],
  ['max-smpt-out', 'max-smtp-out'],
  ['spol', 'spool'],
  ['xylophone', undefined],
])('%s is meant as %s', (written, meant) => {
  expect(nearestName(written, ['retry-after', 'max-smtp-out', 'spool', 'source'])).toBe(meant);
});
