import { expect, test } from 'vitest';
import type { Clock } from '../base/ports.ts';
import type { Batch } from '../queue/schedule.ts';
import type { SpoolReadFailure } from '../spool/spool.ts';
import { Bouncing, type BouncingSetup } from './bouncing.ts';
import type { HeldMessage } from './heldContent.ts';

const cause = { status: '5.1.2', diagnostic: 'no such domain: r.test' };

/** A queue of messages named by their age in minutes; what happens is told in `seen`. */
class Queue implements BouncingSetup {
  readonly seen: string[] = [];
  readonly soon: (() => void)[] = [];
  readonly ages: number[];
  whenEmpty: 'wait' | 'close' = 'wait';
  read: (batch: Batch) => Promise<HeldMessage | SpoolReadFailure> = async () => held;
  readonly clock = { monotonicMs: () => 0, soon: (callback) => void this.soon.push(callback) } as Clock;

  constructor(...ages: number[]) {
    this.ages = ages;
  }

  opened = (): void => void this.seen.push('opened');
  closed = (_: unknown, wasOpened: boolean): void => void this.seen.push(`closed ${wasOpened}`);
  take = (): Batch | 'wait' | 'close' => {
    const age = this.ages.shift();
    return age === undefined ? this.whenEmpty : ({ attempts: [age] } as unknown as Batch);
  };
  ageMs = (batch: Batch): number => batch.attempts[0]! * 60_000;
  held = (batch: Batch): HeldMessage | undefined => (batch.attempts[0]! % 2 === 0 ? held : undefined);
  load = (batch: Batch): Promise<HeldMessage | SpoolReadFailure> => this.read(batch);
  unreadable = (batch: Batch): void => void this.seen.push(`unreadable ${batch.attempts}`);
  returned = (batch: Batch): void => void this.seen.push(`returned ${batch.attempts}`);
  bounced = (batch: Batch): void => void this.seen.push(`bounced ${batch.attempts}`);
  changed = (): void => {};
}

const held = { envelope: {} } as HeldMessage;
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('every message of the queue bounces, held or on disk, and then it waits for more', async () => {
  const queue = new Queue(4, 3, 2);
  const bouncing = new Bouncing(queue, 'r.test/v', cause);
  bouncing.start();
  await settled();
  expect(queue.seen).toEqual(['opened', 'bounced 4', 'bounced 3', 'bounced 2']);
  expect(bouncing.isIdle).toBe(true);
  queue.ages.push(6);
  bouncing.offer();
  await settled();
  expect(queue.seen.at(-1)).toBe('bounced 6');
});

test('an idle one ends when nothing has come for a second, or its slot is needed', async () => {
  const first = new Queue();
  const bouncing = new Bouncing(first, 'r.test/v', cause);
  bouncing.start();
  await settled();
  bouncing.tick(999);
  expect(first.seen).toEqual(['opened']);
  bouncing.tick(1000);
  bouncing.tick(2000);
  expect(first.seen).toEqual(['opened', 'closed true']);
  const second = new Queue(2);
  second.whenEmpty = 'close';
  new Bouncing(second, 'r.test/v', cause).start();
  await settled();
  expect(second.seen).toEqual(['opened', 'bounced 2', 'closed true']);
});

test('with an age only who has waited so long bounces; the first younger one goes back', async () => {
  const queue = new Queue(60, 30, 10, 40);
  new Bouncing(queue, 'r.test/v', cause, { leastAgeMs: 30 * 60_000 }).start();
  await settled();
  expect(queue.seen).toEqual(['opened', 'bounced 60', 'bounced 30', 'returned 10', 'closed true']);
});

test('others get their turn after fifty messages', async () => {
  const queue = new Queue(...Array(120).fill(2));
  new Bouncing(queue, 'r.test/v', cause).start();
  await settled();
  expect(queue.ages).toHaveLength(70);
  queue.soon.shift()!();
  await settled();
  expect(queue.ages).toHaveLength(20);
});

test('what cannot be read is told, and the rest goes on', async () => {
  const queue = new Queue(1, 2);
  queue.read = async () => ({ kind: 'failed', code: 'damaged' }) as unknown as SpoolReadFailure;
  new Bouncing(queue, 'r.test/v', cause).start();
  await settled();
  expect(queue.seen).toEqual(['opened', 'unreadable 1', 'bounced 2']);
});

test('one that is aborted while it reads gives back what it had', async () => {
  const queue = new Queue(1, 2);
  let answer: (message: HeldMessage) => void = () => {};
  queue.read = () => new Promise((resolve) => (answer = resolve));
  const bouncing = new Bouncing(queue, 'r.test/v', cause);
  bouncing.start();
  bouncing.abort();
  answer(held);
  await settled();
  expect(queue.seen).toEqual(['opened', 'returned 1', 'closed true']);
});

test('no more than the messages it is about bounce', async () => {
  const queue = new Queue(4, 3, 2);
  new Bouncing(queue, 'r.test/v', cause, { messagesMax: 2 }).start();
  await settled();
  expect(queue.seen).toEqual(['opened', 'bounced 4', 'bounced 3', 'closed true']);
});
