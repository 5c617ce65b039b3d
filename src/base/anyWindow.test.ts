import fc from 'fast-check';
import { expect, test } from 'vitest';
import { busiestWindow, mostInAnyWindow } from './anyWindow.ts';

test('the busiest window is found wherever it begins', () => {
  const happening = fc.record({ atMs: fc.nat(60), amount: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 25 }), fc.nat(30), (happenings, perMs) => {
      const windows = Array.from({ length: 120 }, (_, begin) =>
        happenings.filter(({ atMs }) => atMs >= begin - 50 && atMs <= begin - 50 + perMs),
      );
      const sum = (window: typeof happenings): number => window.reduce((all, { amount }) => all + amount, 0);
      expect(mostInAnyWindow(happenings, perMs)).toBe(Math.max(...windows.map(sum)));
      const busy = windows.filter((window) => window.length > 1);
      expect(busiestWindow(happenings, perMs, 2)).toBe(Math.max(0, ...busy.map(sum)));
    }),
  );
});
