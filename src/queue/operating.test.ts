import { expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import { type QueueName, queueName } from '../message/names.ts';
import { wholeShare } from './limitShares.ts';
import { PauseRules } from './pauseRules.ts';
import { parseQueueSelector } from './queueSelector.ts';
import type { Batch, OwedMessage } from './schedule.ts';
import { Scheduler } from './scheduler.ts';

const settings = {
  ...domainDefaults,
  maxSmtpOut: 2,
  retryAfterMs: [100, 300],
  retryRecipientsAfterMs: 50,
  bounceAfterMs: 1_000,
  maxRcptPerMessage: 3,
};
const a = queueName('a.test', 'v');
const b = queueName('b.test', 'v');
const all = (): boolean => true;
const only =
  (name: QueueName) =>
  (queue: QueueName): boolean =>
    queue === name;

function setUp() {
  const rules = new PauseRules();
  const scheduler = new Scheduler({
    settingsFor: () => settings,
    connectionLeases: wholeShare(100),
    isPaused: (queue) => rules.isPaused(queue),
  });
  let sequence = 0;
  const add = (domains: string, more: Partial<OwedMessage> & { nextTryInMs?: number } = {}, nowMs = 0) => {
    const recipients = [...domains].map((letter, index) => ({
      index,
      domain: `${letter}.test`,
      attempts: 1,
      nextTryInMs: more.nextTryInMs ?? 0,
    }));
    const location = { segment: 7, recordAt: sequence * 100, recordBytes: 100 };
    const id = { epoch: 3, sequence: ++sequence };
    return scheduler.add({ id, location, vmta: 'v', ageMs: 0, recipients, ...more }, nowMs);
  };
  const pause = (text: string, isPaused: boolean, nowMs = 0): number => {
    const selector = parseQueueSelector(text)!;
    rules.set(selector, isPaused);
    return scheduler.operating.pause((queue) => selector.matches(queue), isPaused, nowMs).queues;
  };
  const summary = (name: QueueName, nowMs = 0) => scheduler.queue(name, nowMs);
  return { scheduler, add, pause, summary };
}

const on = (queue: QueueName) => ({ queue, sourceHost: 0 });

function take(scheduler: Scheduler, queue: QueueName, nowMs: number): Batch {
  scheduler.step(nowMs);
  scheduler.connectionOpened(on(queue), nowMs);
  return scheduler.take(on(queue), nowMs) as Batch;
}

test('a paused queue opens nothing and takes nothing, mail comes in, and a resumed one goes on', () => {
  const { scheduler, add, pause } = setUp();
  expect(pause('a.test', true)).toBe(0);
  add('ab');
  expect(scheduler.step(0).open).toEqual([on(b)]);
  expect(pause('*', true)).toBe(2);
  scheduler.connectionOpened(on(b), 0);
  expect(scheduler.take(on(b), 0)).toBe('wait');
  pause('a.test', false);
  const step = scheduler.step(0);
  expect([step.open, step.offer]).toEqual([[on(a)], []]);
  pause('*', false);
  expect(scheduler.step(0).offer).toEqual([on(b)]);
});

test('a batch under way when its queue is paused ends as it ends', () => {
  const { scheduler, add, pause, summary } = setUp();
  add('a');
  add('a');
  const batch = take(scheduler, a, 0);
  pause('*', true);
  scheduler.settle(batch, 0, 'delivered', 0);
  expect(summary(a)).toMatchObject({ recipients: 1, isPaused: true });
  expect(scheduler.take(on(a), 0)).toBe('wait');
});

test('paused mail expires', () => {
  const { scheduler, add, pause } = setUp();
  add('a');
  pause('*', true);
  expect(scheduler.step(1_001).expired).toHaveLength(1);
});

test('retry ends the wait of a queue and of its deferred recipients, and of no others', () => {
  const { scheduler, add, summary } = setUp();
  add('ab', { nextTryInMs: 500 });
  add('a');
  scheduler.step(0);
  scheduler.connectionAbandoned(on(a), 0);
  scheduler.queueFailed(a, 0);
  scheduler.step(0);
  expect(summary(a)).toMatchObject({ ready: 1, waiting: 1, retryInMs: 100 });
  expect(scheduler.operating.retry(only(a), 10)).toEqual({ queues: 1, recipients: 1 });
  expect(summary(a, 10)).toMatchObject({ ready: 2, waiting: 0, retryInMs: 0, retryStep: 1 });
  expect(summary(b)).toMatchObject({ ready: 0, waiting: 1 });
  const step = scheduler.step(10);
  expect(step.open).toEqual([on(a), on(a)]);
  expect(step.retryClocks).toEqual([{ queue: a, retryStep: 1, retryInMs: 0 }]);
  // The wait that was ended does not end the next one.
  scheduler.queueFailed(a, 20);
  scheduler.step(100);
  expect(summary(a, 100)).toMatchObject({ retryStep: 2, retryInMs: 220 });
});

test('deleted recipients leave their queues, ready or waiting, and are told once', () => {
  const { scheduler, add, summary } = setUp();
  add('aab');
  const second = add('a', { nextTryInMs: 500 });
  const { named, ...counts } = scheduler.operating.delete({ matches: only(a), queuedBeforeMs: 0 }, 0);
  expect(counts).toEqual({ queues: 1, recipients: 3, inDelivery: 0 });
  const names = [0, 3, 6].map((at) => [named[at + 1], named[at + 2]]);
  expect(names.sort()).toEqual([
    [1, 0],
    [1, 1],
    [2, 0],
  ]);
  expect(summary(a)).toBeUndefined();
  expect(scheduler.counts()).toMatchObject({ recipients: 4, messages: 2 });
  const first = scheduler.operating.takeDeleted(2);
  const rest = scheduler.operating.takeDeleted(2);
  expect([first.length, rest.length]).toEqual([2, 1]);
  expect([...first, ...rest].find(({ handle }) => handle === second)).toMatchObject({
    id: { epoch: 3, sequence: 2 },
    recipientIndex: 0,
    attempts: 1,
  });
  expect(scheduler.operating.takeDeleted(2)).toEqual([]);
  expect(scheduler.counts()).toMatchObject({ recipients: 1, messages: 1 });
  expect(scheduler.step(5_000).expired).toHaveLength(1);
});

test('deletion leaves those in delivery alone, counts them, and keeps to younger mail and single recipients', () => {
  const { scheduler, add, summary } = setUp();
  add('aa');
  const batch = take(scheduler, a, 0);
  const old = add('a', { ageMs: 600 });
  add('a');
  const olderThan = scheduler.operating.delete({ matches: all, queuedBeforeMs: -500 }, 0);
  expect(olderThan).toMatchObject({ recipients: 1, inDelivery: 0 });
  expect(scheduler.operating.takeDeleted(9)).toMatchObject([{ handle: old }]);
  const ofOne = add('aa');
  const of = (handle: number, index: number): boolean => handle === ofOne && index === 1;
  expect(scheduler.operating.delete({ matches: all, queuedBeforeMs: 0, of }, 0)).toMatchObject({
    recipients: 1,
  });
  expect(scheduler.operating.delete({ matches: all, queuedBeforeMs: 0 }, 0)).toMatchObject({
    recipients: 2,
    inDelivery: 2,
  });
  scheduler.settle(batch, 0, 'deferred', 0);
  scheduler.settle(batch, 1, 'delivered', 0);
  expect(summary(a)).toMatchObject({ recipients: 1, waiting: 1 });
});

test('a trial counts and takes nobody out', () => {
  const { scheduler, add, summary } = setUp();
  add('aab');
  add('a', { nextTryInMs: 500 });
  const counts = scheduler.operating.delete({ matches: only(a), queuedBeforeMs: 0, isTrial: true }, 0);
  expect(counts).toEqual({ queues: 1, recipients: 3, inDelivery: 0, named: new Float64Array(0) });
  expect(summary(a)).toMatchObject({ recipients: 3, ready: 2, waiting: 1 });
  expect(scheduler.operating.takeDeleted(9)).toEqual([]);
});

test('messages of which somebody is meant are told in turns', () => {
  const { scheduler, add } = setUp();
  const [first, , third] = ['ab', 'b', 'a', 'a'].map((domains) => add(domains));
  const what = { matches: only(a), queuedBeforeMs: 0 };
  const turn = scheduler.operating.messagesMeant(what, 0, 2);
  expect(turn.map(({ handle }) => handle)).toEqual([first, third]);
  expect(scheduler.operating.messagesMeant(what, third! + 1, 2)).toHaveLength(1);
});

test('what is owed of a message says who of it is deleted', () => {
  const { scheduler, add } = setUp();
  add('ab');
  scheduler.operating.delete({ matches: only(b), queuedBeforeMs: 0 }, 0);
  const messages = scheduler.standing.messagesIn(7);
  const [owed] = scheduler.standing.recipientsOf(messages, 0);
  expect(owed!.map(({ index, isDeleted }) => [index, isDeleted])).toEqual([
    [0, undefined],
    [1, true],
  ]);
});
