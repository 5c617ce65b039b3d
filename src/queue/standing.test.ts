import { beforeEach, expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import { queueName } from '../message/names.ts';
import { wholeShare } from './limitShares.ts';
import { Scheduler } from './scheduler.ts';

const connection = { queue: queueName('a.example', 'v'), sourceHost: 0 };
let scheduler: Scheduler;

beforeEach(() => {
  scheduler = new Scheduler({
    settingsFor: () => ({
      ...domainDefaults,
      maxSmtpOut: 1,
      retryAfterMs: [100],
      retryRecipientsAfterMs: 50,
      bounceAfterMs: 1_000,
      maxRcptPerMessage: 0,
    }),
    connectionLeases: wholeShare(10),
  });
});

/** One recipient for each wait. */
function add(sequence: number, segment: number, nextTryInMs: readonly number[] = [0]) {
  const id = { epoch: 3, sequence };
  const location = { segment, recordAt: sequence * 100, recordBytes: 100 };
  const recipients = nextTryInMs.map((inMs, index) => ({
    index,
    domain: 'a.example',
    attempts: sequence + index,
    nextTryInMs: inMs,
  }));
  return { id, location, handle: scheduler.add({ id, location, vmta: 'v', ageMs: 0, recipients }, 0) };
}

const byIndex = (one: { readonly index: number }, other: { readonly index: number }): number =>
  one.index - other.index;

function recipientsOf(...messages: Parameters<typeof scheduler.standing.recipientsOf>[0]) {
  return scheduler.standing.recipientsOf(messages, 10).map((recipients) => recipients.toSorted(byIndex));
}

test('the messages of a segment are those whose records lie there', () => {
  const [first, , third] = [add(1, 7), add(2, 8), add(3, 7)];
  expect(scheduler.standing.messagesIn(7)).toEqual([first, third]);
  expect(scheduler.standing.messagesIn(9)).toEqual([]);
});

test('recipients are told wherever they wait: ready, deferred, in delivery', () => {
  const ready = add(1, 7);
  const waiting = add(2, 7, [40, 0, 90]);
  scheduler.step(0);
  scheduler.connectionOpened(connection, 0);
  scheduler.take(connection, 0);
  expect(recipientsOf(waiting, ready)).toEqual([
    [
      { index: 0, attempts: 2, nextTryInMs: 30 },
      { index: 1, attempts: 3, nextTryInMs: 0 },
      { index: 2, attempts: 4, nextTryInMs: 80 },
    ],
    [{ index: 0, attempts: 1, nextTryInMs: 0 }],
  ]);
});

test('a recipient with its outcome is not told any more, and a deferral is told at once', () => {
  const message = add(1, 7, [0, 0]);
  scheduler.step(0);
  scheduler.connectionOpened(connection, 0);
  const batch = scheduler.take(connection, 0);
  if (typeof batch === 'string') throw new Error(batch);
  scheduler.settle(batch, 0, 'delivered', 0);
  scheduler.settle(batch, 1, 'deferred', 0);
  expect(recipientsOf(message)).toEqual([[{ index: 1, attempts: 3, nextTryInMs: 40 }]]);
});

test('who was moved lies there, and a handle given again is another message', () => {
  const gone = add(1, 7);
  scheduler.step(0);
  scheduler.connectionOpened(connection, 0);
  const batch = scheduler.take(connection, 0);
  if (typeof batch === 'string') throw new Error(batch);
  const to = { segment: 9, recordAt: 4, recordBytes: 5 };
  scheduler.standing.moved(gone, to);
  expect(scheduler.standing.locationOf(gone)).toEqual(to);
  // An outcome counts where the message lies by then.
  expect(scheduler.settle(batch, 0, 'delivered', 0).segment).toBe(9);
  const next = add(2, 7);
  expect(next.handle).toBe(gone.handle);
  scheduler.standing.moved(gone, { ...to, segment: 10 });
  expect(scheduler.standing.locationOf(gone)).toBeUndefined();
  expect(recipientsOf(gone, next)).toEqual([[], [{ index: 0, attempts: 2, nextTryInMs: 0 }]]);
  expect(scheduler.standing.messagesIn(7)).toEqual([next]);
});

test('the age of a message counts from when it was queued', () => {
  expect(scheduler.standing.ageMs(add(1, 7), 250)).toBe(250);
});
