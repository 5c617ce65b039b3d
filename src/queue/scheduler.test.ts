import { expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import { type QueueName, queueName } from '../message/names.ts';
import { type LimitShares, wholeShare } from './limitShares.ts';
import type { QueueSettings } from './queue.ts';
import type { Batch, QueueConnection, QueueSummary, Settlement, Step } from './schedule.ts';
import { Scheduler } from './scheduler.ts';

const usual: QueueSettings = {
  ...domainDefaults,
  maxSmtpOut: 2,
  retryAfterMs: [100, 300],
  retryRecipientsAfterMs: 50,
  bounceAfterMs: 1_000,
  maxRcptPerMessage: 3,
};
const a = queueName('a.example', 'v');
const b = queueName('b.example', 'v');

function setUp(settings: Partial<QueueSettings> = {}, leases: LimitShares = wholeShare(100)): Harness {
  return new Harness(settings, leases);
}

interface NamedStep extends Omit<Step, 'open' | 'offer' | 'close'> {
  readonly open: readonly QueueName[];
  readonly offer: readonly QueueName[];
  readonly close: readonly QueueName[];
}

class Harness {
  readonly scheduler: Scheduler;
  settingsAsked = 0;
  #sequence = 0;

  constructor(settings: Partial<QueueSettings>, connectionLeases: LimitShares) {
    const settingsFor = (): QueueSettings => {
      this.settingsAsked++;
      return { ...usual, ...settings };
    };
    this.scheduler = new Scheduler({ settingsFor, connectionLeases });
  }

  /** A message with one recipient for each domain letter: 'aab' is two at a.example, one at b.example. */
  add(
    domains: string,
    nowMs: number,
    more: { ageMs?: number; nextTryInMs?: number; attempts?: number } = {},
  ): number {
    const sequence = this.#sequence++;
    const recipients = [...domains].map((letter, index) => ({
      index,
      domain: `${letter}.example`,
      attempts: more.attempts ?? 0,
      nextTryInMs: more.nextTryInMs ?? 0,
    }));
    const location = { segment: 7, recordAt: sequence * 100, recordBytes: 100 };
    this.scheduler.add(
      { id: { epoch: 3, sequence }, location, vmta: 'v', ageMs: more.ageMs ?? 0, recipients },
      nowMs,
    );
    return sequence;
  }

  /** Steps, and opens what it asks for. */
  connect(nowMs: number): readonly QueueName[] {
    const { open } = this.step(nowMs);
    for (const name of open) this.opened(name, nowMs);
    return open;
  }

  /** What the scheduler says, connections by the names of their queues. */
  step(nowMs: number): NamedStep {
    const step = this.scheduler.step(nowMs);
    const names = (connections: readonly QueueConnection[]): QueueName[] =>
      connections.map(({ queue }) => queue);
    return { ...step, open: names(step.open), offer: names(step.offer), close: names(step.close) };
  }

  opened(queue: QueueName, nowMs: number): void {
    this.scheduler.connectionOpened({ queue, sourceHost: 0 }, nowMs);
  }

  abandoned(queue: QueueName, nowMs: number): void {
    this.scheduler.connectionAbandoned({ queue, sourceHost: 0 }, nowMs);
  }

  closed(queue: QueueName, nowMs: number): void {
    this.scheduler.connectionClosed({ queue, sourceHost: 0 }, nowMs);
  }

  tryTake(queue: QueueName, nowMs: number): Batch | 'wait' | 'close' {
    return this.scheduler.take({ queue, sourceHost: 0 }, nowMs);
  }

  take(name: QueueName, nowMs: number): Batch {
    const batch = this.tryTake(name, nowMs);
    if (typeof batch === 'string') throw new Error(`expected a batch, was told to ${batch}`);
    return batch;
  }

  settleAll(batch: Batch, settlement: Settlement, nowMs: number): void {
    for (const index of batch.recipientIndexes) this.scheduler.settle(batch, index, settlement, nowMs);
  }

  queue(name: QueueName, nowMs: number): QueueSummary | undefined {
    return [...this.scheduler.queues(nowMs)].find((queue) => queue.name === name);
  }
}

test('a batch says which message it is, where it lies, and what was tried before', () => {
  const h = setUp();
  h.add('a', 0, { attempts: 4 });
  h.connect(0);
  expect(h.take(a, 0)).toMatchObject({
    queue: 'a.example/v',
    id: { epoch: 3, sequence: 0 },
    location: { segment: 7, recordAt: 0, recordBytes: 100 },
    recipientIndexes: [0],
    attempts: [4],
  });
});

test('a queue that fails waits the steps of retry-after in turn, and the last one repeats', () => {
  const h = setUp();
  h.add('a', 0, {});
  const waits: number[] = [];
  let nowMs = 0;
  for (let failure = 0; failure < 3; failure++) {
    const [name] = h.step(nowMs).open;
    expect(name).toBe(a);
    const { retryInMs } = h.scheduler.queueFailed(a, nowMs);
    h.abandoned(a, nowMs);
    expect(h.step(nowMs + retryInMs - 1)).toMatchObject({ open: [], wakeAtMs: nowMs + retryInMs });
    waits.push(retryInMs);
    nowMs += retryInMs;
  }
  expect(waits).toEqual([100, 300, 300]);
});

test('connections of one queue that fail together are one failure', () => {
  const h = setUp();
  h.add('a', 0);
  h.add('a', 0);
  expect(h.step(0).open).toEqual([a, a]);
  expect(h.scheduler.queueFailed(a, 0)).toEqual({ retryStep: 1, retryInMs: 100 });
  expect(h.scheduler.queueFailed(a, 30)).toEqual({ retryStep: 1, retryInMs: 70 });
});

test('any delivery takes the retry clock back to its first step; other outcomes do not', () => {
  const h = setUp();
  h.add('aaa', 0);
  h.connect(0);
  h.scheduler.queueFailed(a, 0);
  h.step(100);
  const batch = h.take(a, 100);
  h.scheduler.settle(batch, 0, 'deferred', 100);
  h.scheduler.settle(batch, 1, 'failed', 100);
  expect(h.queue(a, 100)?.retryStep).toBe(1);
  h.scheduler.settle(batch, 2, 'delivered', 100);
  expect(h.queue(a, 100)?.retryStep).toBe(0);
  expect(h.scheduler.queueFailed(a, 100)).toEqual({ retryStep: 1, retryInMs: 100 });
});

test('a queue in retry opens nothing, and its open connections get nothing', () => {
  const h = setUp();
  h.add('a', 0);
  h.connect(0);
  h.scheduler.queueFailed(a, 0);
  expect(h.tryTake(a, 0)).toBe('wait');
  expect(h.step(99)).toMatchObject({ open: [], offer: [] });
  expect(h.step(100)).toMatchObject({ open: [], offer: [a] });
});

test('new mail joins a queue in retry without waking it', () => {
  const h = setUp();
  h.add('a', 0);
  h.scheduler.queueFailed(a, 0);
  h.add('a', 10);
  expect(h.step(10)).toMatchObject({ open: [], wakeAtMs: 100 });
  expect(h.step(100).open).toEqual([a, a]);
});

test('a deferred recipient waits retry-recipients-after beside the queue, which goes on', () => {
  const h = setUp();
  h.add('a', 0);
  const second = h.add('a', 0);
  h.connect(0);
  const first = h.take(a, 0);
  expect(h.scheduler.settle(first, 0, 'deferred', 5)).toMatchObject({ attempts: 1, nextTryInMs: 50 });
  expect(h.take(a, 5).id.sequence).toBe(second);
  expect(h.tryTake(a, 54)).toBe('wait');
  expect(h.queue(a, 54)).toMatchObject({ recipients: 2, waiting: 1, inDelivery: 1, ready: 0 });
  expect(h.step(54).wakeAtMs).toBe(55);
  expect(h.step(55).offer).toEqual([a]);
  expect(h.take(a, 55)).toMatchObject({ id: first.id, attempts: [1] });
});

test('a recipient expires at bounce-after while it is ready', () => {
  const h = setUp({ maxSmtpOut: 0 });
  h.add('a', 5, { ageMs: 400, attempts: 2 });
  expect(h.step(5)).toMatchObject({ open: [], expired: [], wakeAtMs: 605 });
  expect(h.step(605).expired).toMatchObject([
    { queue: a, id: { epoch: 3, sequence: 0 }, recipientIndex: 0, attempts: 2 },
  ]);
  expect(h.step(605)).toMatchObject({ expired: [], wakeAtMs: Number.POSITIVE_INFINITY });
});

test('a recipient expires at bounce-after while its queue is in retry', () => {
  const h = setUp({ retryAfterMs: [5_000] });
  h.add('a', 0);
  h.scheduler.queueFailed(a, 0);
  expect(h.step(999)).toMatchObject({ expired: [], wakeAtMs: 1_000 });
  expect(h.step(1_000).expired).toHaveLength(1);
});

test('a recipient that waits expires at bounce-after, not at its next try', () => {
  const h = setUp({ retryRecipientsAfterMs: 400 });
  h.add('a', 0);
  h.connect(0);
  h.scheduler.settle(h.take(a, 700), 0, 'deferred', 700);
  expect(h.step(700).wakeAtMs).toBe(1_000);
  expect(h.step(1_000).expired).toMatchObject([{ attempts: 1 }]);
});

test('what is overdue when it is added expires in the next step and is never attempted', () => {
  const h = setUp();
  h.add('a', 0);
  h.connect(0);
  h.take(a, 0);
  h.add('a', 0, { ageMs: 1_000 });
  expect(h.tryTake(a, 0)).toBe('wait');
  expect(h.step(0).expired).toMatchObject([{ id: { sequence: 1 } }]);
});

test('what became overdue since the last step is not attempted', () => {
  const h = setUp();
  h.add('a', 0);
  const later = h.add('a', 500);
  h.connect(500);
  expect(h.take(a, 1_000).id.sequence).toBe(later);
  expect(h.step(1_000).expired).toMatchObject([{ id: { sequence: 0 } }]);
});

test('the attempt under way when bounce-after passes decides; if it defers, the recipient expires at once', () => {
  const h = setUp();
  h.add('aaa', 0);
  h.connect(0);
  const batch = h.take(a, 0);
  expect(h.step(2_000)).toMatchObject({ expired: [], wakeAtMs: Number.POSITIVE_INFINITY });
  h.scheduler.settle(batch, 0, 'delivered', 2_000);
  expect(h.scheduler.settle(batch, 1, 'deferred', 2_000)).toMatchObject({ attempts: 1, nextTryInMs: 0 });
  h.scheduler.settle(batch, 2, 'returned', 2_000);
  expect(h.step(2_000).expired).toMatchObject([
    { recipientIndex: 1, attempts: 1 },
    { recipientIndex: 2, attempts: 0 },
  ]);
});

test('what was not attempted goes back to the front, its attempts as they were', () => {
  const h = setUp();
  const first = h.add('aa', 0);
  h.add('a', 0);
  h.connect(0);
  h.settleAll(h.take(a, 0), 'returned', 1);
  expect(h.take(a, 1)).toMatchObject({ id: { sequence: first }, recipientIndexes: [0, 1], attempts: [0, 0] });
});

test('recipients of one message in one queue go out together, at most max-rcpt-per-message in a batch', () => {
  const h = setUp();
  h.add('abaaba', 0);
  h.connect(0);
  expect(h.take(a, 0).recipientIndexes).toEqual([0, 2, 3]);
  expect(h.take(a, 0).recipientIndexes).toEqual([5]);
  expect(h.take(b, 0).recipientIndexes).toEqual([1, 4]);
});

test('recipients of one message that became ready at different times go out together', () => {
  const h = setUp();
  const first = h.add('aa', 0);
  h.connect(0);
  const batch = h.take(a, 0);
  h.scheduler.settle(batch, 0, 'deferred', 0);
  h.scheduler.settle(batch, 1, 'deferred', 20);
  h.step(50);
  h.add('a', 60);
  h.step(70);
  expect(h.take(a, 70)).toMatchObject({ id: { sequence: first }, recipientIndexes: [0, 1] });
});

test('max-smtp-out bounds the connections of a queue, opening ones included', () => {
  const h = setUp();
  for (let i = 0; i < 5; i++) h.add('a', 0);
  expect(h.step(0).open).toEqual([a, a]);
  expect(h.step(0).open).toEqual([]);
  h.abandoned(a, 0);
  expect(h.step(0).open).toEqual([a]);
});

test('a connection is opened only for batches that no opening or idle connection will take', () => {
  const h = setUp({ maxSmtpOut: 9 });
  h.add('aaaa', 0);
  expect(h.connect(0)).toEqual([a, a]);
  h.take(a, 0);
  h.take(a, 0);
  h.add('a', 1);
  expect(h.connect(1)).toEqual([a]);
  expect(h.step(1)).toMatchObject({ open: [], offer: [a] });
});

test('an idle connection is offered mail that comes in or whose time has come', () => {
  const h = setUp();
  h.add('a', 0);
  h.connect(0);
  h.scheduler.settle(h.take(a, 0), 0, 'deferred', 0);
  expect(h.step(0)).toMatchObject({ open: [], offer: [], wakeAtMs: 50 });
  expect(h.step(50)).toMatchObject({ open: [], offer: [a] });
});

test('total-max-smtp-out bounds all queues together and is shared out in turn', () => {
  const h = setUp({ maxSmtpOut: 9 }, wholeShare(4));
  for (let i = 0; i < 9; i++) h.add('ab', 0);
  expect(h.step(0).open.toSorted()).toEqual([a, a, b, b]);
});

test('without a share of the connections nothing is opened: there is no minimum of one', () => {
  const h = setUp({}, wholeShare(0));
  h.add('a', 0);
  expect(h.step(0)).toMatchObject({ open: [], wakeAtMs: 1_000 });
});

test('a freed slot goes to the queue without a connection before one that wants another', () => {
  const h = setUp({}, wholeShare(2));
  for (let i = 0; i < 9; i++) h.add('a', 0);
  h.connect(0);
  h.add('b', 1);
  h.closed(a, 1);
  expect(h.step(1).open).toEqual([b]);
});

test('an idle connection is closed once when another queue waits for its slot', () => {
  const h = setUp({}, wholeShare(1));
  h.add('a', 0);
  h.connect(0);
  h.settleAll(h.take(a, 0), 'delivered', 0);
  expect(h.step(0)).toMatchObject({ close: [] });
  h.add('b', 1);
  expect(h.step(1)).toMatchObject({ open: [], close: [a] });
  expect(h.step(1)).toMatchObject({ open: [], close: [] });
  h.add('c', 1);
  expect(h.tryTake(a, 1)).toBe('close');
  h.closed(a, 1);
  expect(h.connect(1)).toEqual([b]);
  h.settleAll(h.take(b, 1), 'delivered', 1);
  expect(h.step(1)).toMatchObject({ open: [], close: [b] });
});

test('no queue starves: with more busy queues than slots, each gets its turn', () => {
  const h = setUp({ bounceAfterMs: 1e9 }, wholeShare(2));
  const letters = 'abcdefg';
  for (let i = 0; i < 500; i++) h.add(letters, 0);
  const served = new Map<string, number>();
  const open: QueueName[] = [];
  for (let nowMs = 0; nowMs < 20_000; nowMs += 100) {
    for (const name of h.connect(nowMs)) open.push(name);
    for (const name of open.splice(0)) {
      const batch = h.tryTake(name, nowMs);
      if (batch === 'close') h.closed(name, nowMs);
      else open.push(name);
      if (typeof batch === 'string') continue;
      served.set(name, (served.get(name) ?? 0) + 1);
      h.settleAll(batch, 'delivered', nowMs);
    }
    expect(open.length).toBeLessThanOrEqual(2);
  }
  const shares = [...letters].map((letter) => served.get(queueName(`${letter}.example`, 'v')) ?? 0);
  expect(Math.min(...shares)).toBeGreaterThan(20);
});

test('a queue with many connections yields to one without; one at the average keeps its own', () => {
  const h = setUp({ maxSmtpOut: 3, bounceAfterMs: 1e9 }, wholeShare(4));
  for (let i = 0; i < 9; i++) h.add('a', 0);
  for (let i = 0; i < 9; i++) h.add('b', 0);
  h.step(0);
  for (let i = 0; i < 2; i++) h.opened(a, 0);
  for (let i = 0; i < 2; i++) h.opened(b, 0);
  h.closed(b, 0);
  h.add('c', 0);
  h.step(0); // a 2, b 1, c opening
  h.add('d', 1);
  h.step(1);
  expect(h.tryTake(a, 1_000)).toMatchObject({ queue: a });
  expect(h.tryTake(b, 1_001)).toMatchObject({ queue: b });
  expect(h.tryTake(a, 1_001)).toBe('close');
});

test('an empty queue is dropped with its limits, but not while its retry clock runs', () => {
  const h = setUp({ bounceAfterMs: 150, retryAfterMs: [100, 300] });
  h.add('a', 0);
  h.scheduler.queueFailed(a, 0);
  h.step(100);
  h.scheduler.queueFailed(a, 100);
  h.abandoned(a, 100);
  h.step(150);
  expect(h.queue(a, 150)).toMatchObject({ recipients: 0, retryStep: 2, retryInMs: 250 });
  h.step(400);
  expect(h.scheduler.counts()).toMatchObject({ messages: 0, recipients: 0, queues: 0, connections: 0 });
  h.add('a', 400);
  expect(h.settingsAsked).toBe(2);
});

test('the retry clock survives a restart, also where no mail is left, until it has run out', () => {
  const h = setUp();
  h.add('a', 0, { ageMs: 10 });
  h.scheduler.restoreRetry({ queue: a, retryStep: 1, retryInMs: 60 }, 0);
  h.scheduler.restoreRetry({ queue: b, retryStep: 1, retryInMs: 50 }, 0);
  h.scheduler.restoreRetry({ queue: queueName('c.example', 'v'), retryStep: 2, retryInMs: 0 }, 0);
  const rested = { queue: 'c.example/v', retryStep: 0, retryInMs: 0 };
  expect(h.step(0)).toMatchObject({ open: [], wakeAtMs: 50, retryClocks: [rested] });
  h.add('b', 20);
  expect(h.step(20)).toMatchObject({ open: [], wakeAtMs: 50 });
  expect(h.connect(50)).toEqual([b]);
  expect(h.connect(60)).toEqual([a]);
  expect(h.scheduler.queueFailed(a, 60)).toEqual({ retryStep: 2, retryInMs: 300 });
});

test('attempts and the next try of a recipient survive a restart', () => {
  const h = setUp();
  h.add('a', 0, { ageMs: 10, attempts: 3, nextTryInMs: 40 });
  expect(h.step(0)).toMatchObject({ open: [], wakeAtMs: 40 });
  expect(h.connect(40)).toEqual([a]);
  expect(h.take(a, 40).attempts).toEqual([3]);
});

test('a crowd that expires together is told in bounded steps, each recipient once', () => {
  const h = setUp({ maxSmtpOut: 0 });
  for (let i = 0; i < 2_500; i++) h.add('aaaaaaaaaa', 0);
  const told = new Set<string>();
  let steps = 0;
  for (let wakeAtMs = 1_000; wakeAtMs === 1_000; steps++) {
    const step = h.step(wakeAtMs);
    expect(step.expired.length).toBeLessThanOrEqual(10_000);
    for (const { id, recipientIndex } of step.expired) told.add(`${id.sequence} ${recipientIndex}`);
    wakeAtMs = step.wakeAtMs;
  }
  expect(told.size).toBe(25_000);
  expect(steps).toBe(3);
});

test('a recipient cannot be settled twice', () => {
  const h = setUp();
  h.add('a', 0);
  h.connect(0);
  const batch = h.take(a, 0);
  h.scheduler.settle(batch, 0, 'delivered', 0);
  expect(() => h.scheduler.settle(batch, 0, 'delivered', 0)).toThrow('settled once');
});

test('the age of a queue is that of the message that is next in line', () => {
  const harness = setUp();
  const ageMs = (name: QueueName): number => harness.scheduler.headAgeMs(name, 20);
  expect(ageMs(a)).toBe(0);
  harness.add('a', 0, { ageMs: 500 });
  harness.add('a', 10);
  expect([ageMs(a), ageMs(b)]).toEqual([520, 0]);
});

test('a queue that is given up tells all of it as expired, in portions, but for who is in delivery', () => {
  const h = setUp({ bounceAfterMs: 10_000_000 });
  h.add('aab', 0);
  h.add('a', 0, { nextTryInMs: 500 });
  h.connect(0);
  const batch = h.take(a, 0);
  for (let i = 0; i < 11_000; i++) h.add('a', 1);
  const cause = { status: '5.7.1', diagnostic: '550 go away' };
  expect(h.scheduler.giveUp(a, cause, 2)).toBe(11_001);
  expect(h.scheduler.giveUp(queueName('other.example', 'v'), cause, 2)).toBe(0);

  const first = h.step(2);
  expect([first.expired.length, first.wakeAtMs]).toEqual([10_000, 2]);
  expect(first.expired[0]).toMatchObject({ queue: a, cause, attempts: 0 });
  expect(h.step(2).expired.length).toBe(1_001);
  expect(h.queue(a, 2)).toMatchObject({ recipients: batch.recipientIndexes.length, ready: 0, waiting: 0 });
  expect(h.queue(b, 2)).toMatchObject({ recipients: 1 });

  h.settleAll(batch, 'deferred', 3);
  expect(h.queue(a, 3)).toMatchObject({ waiting: batch.recipientIndexes.length });
});
