import { beforeEach, expect, test } from 'vitest';
import type { QueueState } from '../message/queueState.ts';
import { QueueStates } from './queueStates.ts';
import { Reclaim } from './reclaim.ts';

let reclaim: Reclaim;
let states: QueueStates;

beforeEach(() => {
  reclaim = new Reclaim(1000);
  states = new QueueStates(reclaim);
  for (let number = 1; number <= 3; number++) {
    reclaim.opened(number);
    reclaim.published(number, { epoch: 1, batch: number }, 1000);
  }
  reclaim.recorded({ epoch: 1, batch: 3 });
});

const state = (retryStep: number): QueueState => ({
  queue: 'a.test/v',
  retryStep,
  retryAtMs: retryStep,
});

function putAndPublish(of: QueueState, segment: number): void {
  states.put(of);
  states.published(of, segment);
}

test('a state keeps the segment of its record, until a younger record is durable', () => {
  putAndPublish(state(1), 1);
  expect(reclaim.keptByQueueStates()).toBe(1);
  states.put(state(2));
  expect(reclaim.keptByQueueStates()).toBe(1);
  states.published(state(2), 2);
  expect(reclaim.next()).toBe(1);
});

test('what is put again is the state of now; nothing is, while a record is under way', () => {
  states.found(state(1), 1);
  expect(states.keptBy(1)).toEqual([state(1)]);
  states.put(state(2));
  expect(states.keptBy(1)).toEqual([]);
  states.put(state(3));
  states.published(state(2), 2);
  expect(states.keptBy(2)).toEqual([]);
  states.published(state(3), 2);
  expect(states.keptBy(2)).toEqual([state(3)]);
  expect(states.keptBy(1)).toEqual([]);
});

test('a queue at rest keeps nothing, and is forgotten', () => {
  putAndPublish(state(1), 1);
  putAndPublish(state(0), 2);
  expect(reclaim.next()).toBe(1);
  reclaim.gone(1);
  expect(reclaim.next()).toBe(2);
  expect(states.keptBy(1)).toEqual([]);
});

test('a queue that leaves its rest before that is durable is not forgotten', () => {
  putAndPublish(state(1), 1);
  states.put(state(0));
  states.put(state(2));
  states.published(state(0), 2);
  states.published(state(2), 3);
  expect(states.keptBy(3)).toEqual([state(2)]);
});

test('a queue in backoff mode is not at rest, nor is one with a disabled address', () => {
  const clock = { queue: 'a.test/v' as const, retryStep: 0, retryAtMs: 0 };
  for (const state of [
    { ...clock, backoff: { sinceMs: 1, untilMs: 0 } },
    { ...clock, disabledSources: [{ address: '192.0.2.1', untilMs: 0 }] },
  ]) {
    putAndPublish(state, 1);
    expect(states.keptBy(1)).toEqual([state]);
    putAndPublish({ ...clock, disabledSources: [] }, 1);
    expect(states.keptBy(1)).toEqual([]);
  }
});
