import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, NearestNames } from './nearest.ts';

const exact = Number.POSITIVE_INFINITY;
const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), maxLength: 8 });

test('edit distance is symmetric, zero only for equals, and bounded by the longer word', () => {
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b, exact);
      expect(editDistance(b, a, exact)).toBe(distance);
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
  const known = ['retry-after', 'max-smtp-out', 'spool', 'source'];
  expect(new NearestNames().find(written, known)).toBe(meant);
});

test('a distance that is too far is only known to be too far', () => {
  fc.assert(
    fc.property(word, word, fc.nat(5), (a, b, most) => {
      const distance = editDistance(a, b, exact);
      const bounded = editDistance(a, b, most);
      if (distance <= most) expect(bounded).toBe(distance);
      else expect(bounded).toBeGreaterThan(most);
    }),
  );
});

test('after a great many names nobody looks for what was meant', () => {
  const names = new NearestNames();
  const known = Array.from({ length: 500 }, (_, i) => `known-${i}`);
  let asked = 0;
  const counted = function* (): Generator<string> {
    for (const name of known) {
      asked++;
      yield name;
    }
  };
  expect(names.find('knwon-499', counted())).toBe('known-499');
  for (let i = 0; i < 2000; i++) names.find('unknown', counted());
  expect(asked).toBeLessThan(160_000);
  expect(names.find('knwon-499', counted())).toBeUndefined();
});
