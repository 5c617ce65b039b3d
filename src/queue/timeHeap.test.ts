import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TimeHeap } from './timeHeap.ts';

test('pairs come out in the order of their times, each once', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 300 }), (times) => {
      const heap = new TimeHeap();
      times.forEach((atMs, slot) => {
        heap.push(atMs, slot);
      });
      const popped = times.map(() => [heap.firstAtMs(), heap.pop()] as const);
      expect(popped.map(([atMs]) => atMs)).toEqual(times.toSorted((a, b) => a - b));
      expect(popped.every(([atMs, slot]) => times[slot] === atMs)).toBe(true);
      expect(new Set(popped.map(([, slot]) => slot)).size).toBe(times.length);
      expect(heap.firstAtMs()).toBe(Number.POSITIVE_INFINITY);
    }),
  );
});

test('of many pairs only those are told whose slots are wanted', () => {
  const heap = new TimeHeap();
  for (let slot = 0; slot < 200; slot++) heap.push(1000 - slot, slot);
  const isWanted = new Uint8Array(200);
  isWanted[3] = 1;
  isWanted[150] = 1;
  expect(new Map(heap.entriesOf(isWanted))).toEqual(
    new Map([
      [3, 997],
      [150, 850],
    ]),
  );
});

test('what is extracted is gone, and the rest comes in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 300 }), (times) => {
      const heap = new TimeHeap();
      times.forEach((atMs, slot) => {
        heap.push(atMs, slot);
      });
      const odd = times.map((_, slot) => slot).filter((slot) => slot % 2 === 1);
      expect([...heap.extract((slot) => slot % 2 === 1)].sort((a, b) => a - b)).toEqual(odd);
      const left = times.filter((_, slot) => slot % 2 === 0).toSorted((a, b) => a - b);
      expect(
        left.map(() => {
          const atMs = heap.firstAtMs();
          heap.pop();
          return atMs;
        }),
      ).toEqual(left);
      expect(heap.firstAtMs()).toBe(Number.POSITIVE_INFINITY);
    }),
  );
});
