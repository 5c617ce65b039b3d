import { expect, test } from 'vitest';
import { Agenda } from './agenda.ts';
import { SeededRandom } from './seededRandom.ts';

/** What happens, in order, when these delays are asked for at once. */
function happenings(seed: number, delays: readonly number[]): readonly number[] {
  const agenda = new Agenda(new SeededRandom(seed));
  const seen: number[] = [];
  for (const delayMs of delays) agenda.after(delayMs, () => seen.push(agenda.nowMs));
  while (agenda.step());
  return seen;
}

test('appointments come in the order of their time, whatever the order of asking', () => {
  const random = new SeededRandom(7);
  const delays = Array.from({ length: 500 }, () => random.below(100));
  expect(happenings(1, delays)).toEqual(delays.toSorted((a, b) => a - b));
});

test('of one moment any order is possible, and a seed always chooses the same', () => {
  const order = (seed: number): string => {
    const agenda = new Agenda(new SeededRandom(seed));
    const seen: string[] = [];
    for (const name of ['a', 'b', 'c']) agenda.after(5, () => seen.push(name));
    while (agenda.step());
    return seen.join('');
  };
  const orders = Array.from({ length: 100 }, (_, seed) => order(seed));
  expect(new Set(orders).size).toBe(6);
  expect(Array.from({ length: 100 }, (_, seed) => order(seed))).toEqual(orders);
});

test('what was cancelled does not happen, and takes no time', () => {
  const agenda = new Agenda(new SeededRandom(1));
  const seen: string[] = [];
  agenda.after(50, () => seen.push('late')).cancel();
  agenda.after(10, () => agenda.after(5, () => seen.push('new')));
  expect(agenda.step() && agenda.step()).toBe(true);
  expect(agenda.step()).toBe(false);
  expect([seen, agenda.nowMs, agenda.nextMs]).toEqual([['new'], 15, Number.POSITIVE_INFINITY]);
});
