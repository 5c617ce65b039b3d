import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from './clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a delay is never cut short, however long it is', () => {
  const rang = vi.fn();
  const twoMonthsMs = 60 * 86_400_000;
  systemClock().after(twoMonthsMs, rang);
  vi.advanceTimersByTime(twoMonthsMs - 1);
  expect(rang).not.toHaveBeenCalled();
  vi.advanceTimersByTime(2);
  expect(rang).toHaveBeenCalledTimes(1);
});

test('a cancelled timer is silent', () => {
  const rang = vi.fn();
  const timer = systemClock().after(10, rang);
  timer.cancel();
  vi.advanceTimersByTime(100);
  expect(rang).not.toHaveBeenCalled();
});

test('the zone offset agrees with the local zone at every quarter of an hour of a year', () => {
  const clock = systemClock();
  const start = Date.UTC(2026, 0, 1);
  for (let at = start; at < start + 366 * 86_400_000; at += 900_000) {
    expect(clock.zoneOffsetMinutes(at) + new Date(at).getTimezoneOffset()).toBe(0);
  }
});

test('monotonic time is not wall time', () => {
  const clock = systemClock();
  const before = clock.monotonicMs();
  vi.setSystemTime(0);
  expect(clock.wallMs()).toBe(0);
  expect(clock.monotonicMs()).toBe(before);
});
