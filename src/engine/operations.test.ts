import { expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import type { Envelope } from '../message/envelope.ts';
import { type QueueName, queueName } from '../message/names.ts';
import type { QueueState as SpoolQueueState } from '../message/queueState.ts';
import { wholeShare } from '../queue/limitShares.ts';
import { PauseRules } from '../queue/pauseRules.ts';
import { Scheduler } from '../queue/scheduler.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { envelopeOf } from '../spool/samples.testing.ts';
import { Operations, type QueueSelection } from './operations.ts';
import { ruleOfState } from './pauseStates.ts';

const settings = {
  ...domainDefaults,
  maxSmtpOut: 2,
  retryAfterMs: [100, 300],
  retryRecipientsAfterMs: 50,
  bounceAfterMs: 1e9,
  maxRcptPerMessage: 100,
};
const everything: QueueSelection = {
  selector: '*',
  pausedOnly: false,
  mode: undefined,
  all: false,
  sort: 'rcpt',
  queuesMax: 10,
};

function setUp(recipientsByDomain: Readonly<Record<string, number>>) {
  const clock = new VirtualClock();
  const rules = new PauseRules();
  const scheduler = new Scheduler({
    settingsFor: () => settings,
    connectionLeases: wholeShare(10),
    isPaused: (queue) => rules.isPaused(queue),
  });
  const states: SpoolQueueState[] = [];
  let settle: () => void = () => undefined;
  const operations = new Operations({
    clock,
    log: { write: () => undefined },
    scheduler,
    rules,
    spool: {
      putQueueState: (state) => void states.push(state),
      settled: () => new Promise((resolve) => (settle = resolve)),
      purge: (named) => void purged.push([...named]),
      read: async ({ recordAt }) => ({
        kind: 'stored',
        envelope: envelopes[recordAt]!,
        content: { prefix: new Uint8Array(0), chunks: [], sizeBytes: 0 },
      }),
    },
    held: { get: () => undefined },
    deletions: { tick: () => undefined },
    quarantine: { get: () => undefined },
    tracing: { begin: () => true, page: () => ({ lines: [], isOver: true }) },
    sendings: { changed: () => undefined, lastError: (queue) => (queue.startsWith('b') ? '421 no' : '') },
  });
  const purged: number[][] = [];
  const envelopes: Envelope[] = [];
  let sequence = 0;
  for (const [domain, count] of Object.entries(recipientsByDomain)) {
    const recipients = Array.from({ length: count }, (_, index) => ({
      index,
      domain,
      attempts: 0,
      nextTryInMs: 0,
    }));
    const recordAt = envelopes.push({
      ...envelopeOf({ epoch: 1, sequence: sequence + 1 }, 0),
      reversePath: `${domain}@sender.test`,
      recipients: recipients.map(({ index }) => ({ forwardPath: `R${index}@${domain}`, domain, orcpt: '' })),
    });
    const location = { segment: 1, recordAt: recordAt - 1, recordBytes: 1 };
    scheduler.add({ id: { epoch: 1, sequence: ++sequence }, location, vmta: 'v', ageMs: 0, recipients }, 0);
  }
  return { clock, purged, operations, scheduler, states, rules, settle: () => settle() };
}

const namesOf = (operations: Operations, more: Partial<QueueSelection>): readonly QueueName[] =>
  operations.list({ ...everything, ...more }).queues.map(({ name }) => name);

test('of many queues the first are listed, and all that match are counted', () => {
  const { operations } = setUp({ 'a.test': 1, 'b.test': 3, 'c.test': 2, 'd.com': 9 });
  const listing = operations.list({ ...everything, selector: '*.test', queuesMax: 2 });
  expect(listing).toMatchObject({ queuesTotal: 3, recipientsTotal: 6 });
  expect(listing.queues.map(({ name, lastError }) => [name, lastError])).toEqual([
    ['b.test/v', '421 no'],
    ['c.test/v', ''],
  ]);
  expect(namesOf(operations, { sort: 'name', queuesMax: 3 })).toEqual(['a.test/v', 'b.test/v', 'c.test/v']);
});

test('a queue is listed while it holds mail or waits before its next try, any queue on request', () => {
  const { operations, scheduler, clock } = setUp({ 'a.test': 1 });
  scheduler.step(0);
  const connection = { queue: queueName('a.test', 'v'), sourceHost: 0 };
  scheduler.connectionOpened(connection, 0);
  const batch = scheduler.take(connection, 0);
  if (typeof batch === 'string') throw new Error(batch);
  scheduler.settle(batch, 0, 'delivered', 0);
  expect(namesOf(operations, {})).toEqual([]);
  expect(namesOf(operations, { all: true })).toEqual(['a.test/v']);
  scheduler.queueFailed(queueName('a.test', 'v'), clock.monotonicMs());
  expect(namesOf(operations, { sort: 'retry' })).toEqual(['a.test/v']);
});

test('queues in one mode can be asked for', () => {
  const { operations, scheduler } = setUp({ 'a.test': 1, 'b.test': 1 });
  scheduler.setMode(queueName('b.test', 'v'), 'backoff', 0);
  expect(namesOf(operations, { mode: 'backoff' })).toEqual(['b.test/v']);
});

test('a pause is in effect at once, and answered when it is durable', async () => {
  const { operations, settle } = setUp({ 'a.test': 1, 'b.test': 2 });
  let answer: unknown;
  const answered = operations.setPause('a.*', true).then((counts) => {
    answer = counts;
  });
  expect(namesOf(operations, { pausedOnly: true })).toEqual(['a.test/v']);
  await Promise.resolve();
  expect(answer).toBeUndefined();
  settle();
  await answered;
  expect(answer).toEqual({ queues: 1, recipients: 1, pauseRules: ['a.*/*'] });
  expect(operations.find(queueName('a.test', 'v'))).toMatchObject({ queue: { pausedBy: 'a.*/*' } });
});

const ordersOf = (of: PauseRules): readonly unknown[] =>
  of.rules.map(({ selector, isPaused, order }) => [selector.text, isPaused, order]);

test('what the spool remembers of pauses restores them, wherever a crash cuts it', () => {
  const { operations, states, rules } = setUp({ 'a.test': 1 });
  const domains = ['a.test', 'b.test', 'c.com'];
  const commands = ['*.test', '!a.test', 'c.com', '!*.test', '*', '!b.test', '!*'];
  const decisions = (of: PauseRules): string => domains.map((d) => of.isPaused(`${d}/v`)).join();
  for (const command of commands) {
    const before = decisions(rules);
    const known = states.length;
    void operations.setPause(command.replace('!', ''), !command.startsWith('!'));
    for (let cut = known; cut <= states.length; cut++) {
      const last = new Map(states.slice(0, cut).map((state) => [state.queue, state]));
      const found = [...last.values()].filter((s) => s.retryStep !== 0).map((s) => ruleOfState(s)!);
      const restored = new PauseRules();
      restored.restore(found);
      if (command !== '!*') expect([before, decisions(rules)]).toContain(decisions(restored));
      if (cut === states.length) expect(ordersOf(restored)).toEqual(ordersOf(rules));
    }
  }
});

test('a name that no queue has leads to the one that was meant', () => {
  const { operations } = setUp({ 'gmail.com': 1, 'yahoo.com': 1 });
  expect(operations.find('gmial.com/v')).toEqual({ kind: 'unknown', nearest: 'gmail.com/v' });
  expect(operations.find('nothing.like.it/x')).toEqual({ kind: 'unknown', nearest: undefined });
});

test('rules are not remembered without end', async () => {
  const { operations, settle } = setUp({});
  for (let i = 0; i < 1000; i++) void operations.setPause(`d${i}.test`, true);
  expect(await operations.setPause('one-more.test', true)).toBe('tooMany');
  const all = operations.setPause('*', true);
  settle();
  expect(await all).toMatchObject({ pauseRules: ['*/*'] });
});

const anybody = { olderThanMs: 0, orig: undefined, rcpt: undefined, job: undefined, isTrial: false };

test('who is deleted is gone from the queues at once, and named to the spool before the answer', async () => {
  const { operations, purged, settle } = setUp({ 'a.test': 2, 'b.test': 1 });
  const trial = operations.delete({ ...anybody, selector: '*', isTrial: true });
  expect(await trial).toEqual({ queues: 2, recipients: 3, inDelivery: 0, goesOn: false });
  const deleted = operations.delete({ ...anybody, selector: 'a.test' });
  expect(namesOf(operations, {})).toEqual(['b.test/v']);
  expect(purged).toEqual([[1, 1, 0, 1, 1, 1]]);
  settle();
  expect(await deleted).toEqual({ queues: 1, recipients: 2, inDelivery: 0, goesOn: false });
});

test('what only envelopes tell is read, and only those that match are deleted', async () => {
  const { operations, purged, settle, clock } = setUp({ 'a.test': 3, 'b.test': 2 });
  const deleted = operations.delete({ ...anybody, selector: '*', rcpt: 'r1@*', orig: 'A.*@sender.test' });
  expect(await operations.delete({ ...anybody, selector: '*', rcpt: '*' })).toBe('busy');
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  expect(purged).toEqual([[1, 1, 1]]);
  settle();
  expect(await deleted).toMatchObject({ recipients: 1, goesOn: false });
  clock.advance(1);
  expect(operations.list(everything).recipientsTotal).toBe(4);
});

test('a message tells who is owed, and who was deleted', async () => {
  const { operations } = setUp({ 'b.test': 2 });
  void operations.delete({ ...anybody, selector: 'b.test' });
  expect(await operations.whyMessage({ epoch: 1, sequence: 1 })).toMatchObject({
    orig: 'b.test@sender.test',
    recipientsTotal: 2,
    recipients: [
      { rcpt: 'R0@b.test', queue: 'b.test/v1', heldFor: 'deleted', lastError: '421 no' },
      { rcpt: 'R1@b.test', heldFor: 'deleted' },
    ],
  });
  expect(await operations.whyMessage({ epoch: 1, sequence: 9 })).toBeUndefined();
});

test('a pause stands before all else that holds a queue back', () => {
  const { operations, scheduler, clock } = setUp({ 'a.test': 1 });
  void operations.setPause('*', true);
  scheduler.queueFailed(queueName('a.test', 'v'), clock.monotonicMs());
  expect(operations.why('a.test/v')).toMatchObject({
    holds: [{ limit: 'pause' }, { limit: 'retry-after', untilInMs: 100 }],
  });
});
