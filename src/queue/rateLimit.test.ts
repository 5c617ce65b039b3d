import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Happening, mostInAnyWindow } from '../base/anyWindow.ts';
import { RateLimit } from './rateLimit.ts';

const rates = fc.constantFrom(
  { count: 1, perMs: 1_200_000 },
  { count: 10, perMs: 1_000 },
  { count: 1_000, perMs: 60_000 },
  { count: 400, perMs: 86_400_000 },
  { count: 10_485_760, perMs: 60_000 },
);

test('no window of any position holds more than the rate, whatever is asked for and when', () => {
  const asks = fc.array(
    fc.record({ waits: fc.double({ min: 0, max: 0.4, noNaN: true }), share: fc.nat(1_200) }),
    {
      minLength: 1,
      maxLength: 300,
    },
  );
  fc.assert(
    fc.property(rates, asks, (rate, asked) => {
      const limit = new RateLimit(rate);
      const happenings: Happening[] = [];
      let nowMs = 0;
      for (const { waits, share } of asked) {
        nowMs += waits * waits * waits * rate.perMs;
        const amount = Math.min(limit.room(nowMs), Math.ceil((rate.count * share) / 1_000));
        expect(limit.freeAtMs(1, Math.max(1, amount), nowMs) === nowMs).toBe(
          limit.room(nowMs) >= Math.max(1, amount),
        );
        limit.reserve(amount);
        limit.settle(amount, amount, nowMs);
        happenings.push({ atMs: nowMs, amount });
      }
      expect(mostInAnyWindow(happenings, rate.perMs)).toBeLessThanOrEqual(rate.count);
    }),
  );
});

test('what takes its time counts wherever within it it happens', () => {
  const asks = fc.array(
    fc.record({
      waitsMs: fc.nat(300),
      takesMs: fc.nat(3_000),
      happens: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 200 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), asks, (count, asked) => {
      const perMs = 1_000;
      const limit = new RateLimit({ count, perMs });
      const happenings: Happening[] = [];
      let underWay: number[] = [];
      let nowMs = 0;
      const settleUntil = (untilMs: number): void => {
        for (const endMs of underWay.toSorted((x, y) => x - y))
          if (endMs <= untilMs) limit.settle(1, 1, endMs);
        underWay = underWay.filter((endMs) => endMs > untilMs);
      };
      for (const { waitsMs, takesMs, happens } of asked) {
        nowMs += waitsMs;
        settleUntil(nowMs);
        if (limit.room(nowMs) < 1) continue;
        limit.reserve(1);
        underWay.push(nowMs + takesMs);
        happenings.push({ atMs: nowMs + happens * takesMs, amount: 1 });
      }
      expect(mostInAnyWindow(happenings, perMs)).toBeLessThanOrEqual(count);
    }),
  );
});

test('work that waits goes out at nearly the full rate', () => {
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 7 }), (rate, windows) => {
      const limit = new RateLimit(rate);
      const piece = Math.max(1, Math.floor(rate.count / 1_000));
      const untilMs = windows * rate.perMs;
      let sum = 0;
      for (let nowMs = 0; nowMs < untilMs; nowMs = limit.freeAtMs(1, piece, nowMs)) {
        limit.reserve(piece);
        limit.settle(piece, piece, nowMs);
        sum += piece;
      }
      const slice = rate.count / 60 + piece;
      expect(sum).toBeGreaterThanOrEqual((windows * rate.count * 59) / 60 - slice);
    }),
  );
});

test('a steady trickle reaches the rate too', () => {
  const limit = new RateLimit({ count: 600, perMs: 60_000 });
  let sum = 0;
  for (let nowMs = 0; nowMs < 600_000; nowMs += 20) {
    if (limit.room(nowMs) < 1) continue;
    limit.reserve(1);
    limit.settle(1, 1, nowMs);
    sum += 1;
  }
  expect(sum).toBeGreaterThan(6_000 * (59 / 60) - 10);
  expect(sum).toBeLessThanOrEqual(6_600);
});

test('the next one may go a whole window after the last, and the answer is exact for a rate of one', () => {
  const limit = new RateLimit({ count: 1, perMs: 1_200_000 });
  limit.reserve(1);
  expect(limit.freeAtMs(1, 1, 5)).toBe(Number.POSITIVE_INFINITY);
  limit.settle(1, 1, 70);
  expect(limit.freeAtMs(1, 1, 80)).toBe(1_200_071);
  expect(limit.room(1_200_070)).toBe(0);
  expect(limit.room(1_200_071)).toBe(1);
});

test('between two whole milliseconds there is room exactly when the answer says so', () => {
  const limit = new RateLimit({ count: 1, perMs: 60 });
  limit.reserve(1);
  limit.settle(1, 1, 1.75);
  const freeAtMs = limit.freeAtMs(1, 1, 2);
  expect(freeAtMs).toBe(62.75);
  for (const nowMs of [62, 62.5]) {
    expect(limit.room(nowMs)).toBe(0);
    expect(limit.freeAtMs(1, 1, nowMs)).toBe(freeAtMs);
  }
  expect(limit.room(freeAtMs)).toBe(1);
});

test('what was reserved and did not happen is given back', () => {
  const limit = new RateLimit({ count: 5, perMs: 1_000 });
  limit.reserve(5);
  limit.settle(5, 2, 10);
  expect(limit.room(10)).toBe(3);
  expect(limit.freeAtMs(4, 1, 10)).toBe(1_011);
  expect(limit.freeAtMs(6, 1, 10)).toBe(Number.POSITIVE_INFINITY);
  expect(limit.isAtRest(1_010)).toBe(false);
  expect(limit.isAtRest(1_011)).toBe(true);
});

test('a message larger than the rate has a window for itself', () => {
  const limit = new RateLimit({ count: 1_000, perMs: 1_000 });
  limit.reserve(1);
  limit.settle(1, 1, 0);
  expect(limit.freeAtMs(1, 5_000, 10)).toBe(1_001);
  limit.reserve(5_000);
  expect(limit.freeAtMs(1, 1, 1_001)).toBe(Number.POSITIVE_INFINITY);
  limit.settle(5_000, 5_000, 1_500);
  expect(limit.freeAtMs(1, 1, 1_500)).toBe(2_501);
});
