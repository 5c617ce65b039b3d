import fc from 'fast-check';
import { expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import { type QueueName, queueName } from '../message/names.ts';
import { wholeShare } from './limitShares.ts';
import type { QueueSettings } from './queue.ts';
import type { Batch, QueueConnection, Settlement, Step } from './schedule.ts';
import { Scheduler } from './scheduler.ts';

/*
 * A naive scheduler, arrays and plain searches, that watches the real one: it is told every call and its
 * answer, and says where the answer breaks a rule.
 */

const settings: QueueSettings = {
  ...domainDefaults,
  maxSmtpOut: 2,
  retryAfterMs: [10, 30],
  retryRecipientsAfterMs: 7,
  bounceAfterMs: 60,
  maxRcptPerMessage: 2,
};
const totalMaxSmtpOut = 3;
const domains = ['a.example', 'b.example', 'c.example'];

interface Recipient {
  readonly sequence: number;
  readonly index: number;
  readonly queue: QueueName;
  readonly deadlineMs: number;
  attempts: number;
  place: 'ready' | 'waiting' | 'inDelivery' | 'delivered' | 'failed' | 'expired';
  /** While waiting. */
  readyAtMs: number;
  /** While ready: smaller goes first. */
  rank: number;
}

interface ModelConnection {
  readonly queue: QueueName;
  state: 'opening' | 'open' | 'closing';
  batch: Batch | undefined;
  left: number[];
}

function at({ queue }: ModelConnection): QueueConnection {
  return { queue, sourceHost: 0 };
}

interface ModelQueue {
  retryStep: number;
  retryAtMs: number;
}

class Model {
  readonly scheduler = new Scheduler({
    settingsFor: () => settings,
    connectionLeases: wholeShare(totalMaxSmtpOut),
  });
  readonly recipients: Recipient[] = [];
  readonly connections: ModelConnection[] = [];
  readonly #queues = new Map<QueueName, ModelQueue>(
    domains.map((domain) => [queueName(domain, 'v'), { retryStep: 0, retryAtMs: 0 }]),
  );
  nowMs = 0;
  wakeAtMs = 0;
  #sequence = 0;
  #call = 0;

  add(recipients: readonly { domain: number; nextTryInMs: number }[], ageMs: number): void {
    this.#call++;
    const sequence = this.#sequence++;
    const owed = recipients.map(({ domain, nextTryInMs }, index) => ({
      index,
      domain: domains[domain]!,
      attempts: index,
      nextTryInMs,
    }));
    const location = { segment: 1, recordAt: sequence, recordBytes: 1 };
    this.scheduler.add(
      { id: { epoch: 1, sequence }, location, vmta: 'v', ageMs, recipients: owed },
      this.nowMs,
    );
    for (const { index, domain, attempts, nextTryInMs } of owed) {
      const deadlineMs = this.nowMs - ageMs + settings.bounceAfterMs;
      const recipient: Recipient = {
        sequence,
        index,
        queue: queueName(domain, 'v'),
        deadlineMs,
        attempts,
        place: 'waiting',
        readyAtMs: this.nowMs + nextTryInMs,
        rank: 0,
      };
      this.recipients.push(recipient);
      if (nextTryInMs <= 0 && deadlineMs > this.nowMs) this.#ready(recipient, 'back');
    }
  }

  step(): void {
    this.#call++;
    for (const clock of this.#queues.values()) if (clock.retryAtMs <= this.nowMs) clock.retryAtMs = 0;
    const due: string[] = [];
    for (const recipient of this.recipients.toSorted((x, y) => x.readyAtMs - y.readyAtMs)) {
      if (recipient.place !== 'ready' && recipient.place !== 'waiting') continue;
      if (recipient.deadlineMs <= this.nowMs) {
        recipient.place = 'expired';
        due.push(`${recipient.sequence} ${recipient.index} ${recipient.attempts}`);
      } else if (recipient.place === 'waiting' && recipient.readyAtMs <= this.nowMs) {
        this.#ready(recipient, 'back');
      }
    }
    const step = this.scheduler.step(this.nowMs);
    const expired = step.expired.map((one) => `${one.id.sequence} ${one.recipientIndex} ${one.attempts}`);
    expect(expired.toSorted(), 'expired: each that is due, once').toEqual(due.toSorted());
    this.#forgetQueues();
    this.#checkOpened(step);
    this.#checkOffered(step);
    this.#checkClosed(step);
    this.#checkWake(step);
    this.#checkSummaries();
    this.wakeAtMs = step.wakeAtMs;
  }

  opened(connection: ModelConnection): void {
    connection.state = 'open';
    this.scheduler.connectionOpened(at(connection), this.nowMs);
  }

  /** Whatever is still under way on it was not attempted. */
  end(connection: ModelConnection): void {
    for (const index of [...connection.left]) this.settle(connection, index, 'returned');
    this.connections.splice(this.connections.indexOf(connection), 1);
    if (connection.state === 'opening') this.scheduler.connectionAbandoned(at(connection), this.nowMs);
    else this.scheduler.connectionClosed(at(connection), this.nowMs);
    this.#forgetQueues();
  }

  take(connection: ModelConnection): void {
    const { queue } = connection;
    const ready = this.#readyOf(queue).filter(({ deadlineMs }) => deadlineMs > this.nowMs);
    const first = ready.toSorted((x, y) => x.rank - y.rank)[0];
    const mayTake = first !== undefined && this.#clock(queue).retryAtMs === 0;
    const answer = this.scheduler.take(at(connection), this.nowMs);
    if (answer === 'close') {
      expect(this.connections.length, 'told to close only when the total binds').toBe(totalMaxSmtpOut);
      connection.state = 'closing';
    } else if (answer === 'wait') {
      expect(mayTake, 'told to wait only when there is nothing').toBe(false);
    } else {
      expect(mayTake, 'a batch only when there is something').toBe(true);
      expect(answer.queue).toBe(queue);
      const batch = answer.recipientIndexes.map(
        (index) => ready.find((one) => one.sequence === answer.id.sequence && one.index === index)!,
      );
      const together = ready.filter(({ sequence }) => sequence === answer.id.sequence);
      expect(Math.min(...together.map(({ rank }) => rank)), 'first come, first served').toBe(first?.rank);
      expect(batch.length, 'all of the message that are ready').toBe(
        Math.min(settings.maxRcptPerMessage, together.length),
      );
      expect(answer.attempts).toEqual(batch.map(({ attempts }) => attempts));
      for (const recipient of batch) recipient.place = 'inDelivery';
      connection.batch = answer;
      connection.left = [...answer.recipientIndexes];
    }
  }

  settle(connection: ModelConnection, index: number, settlement: Settlement): void {
    this.#call++;
    const batch = connection.batch!;
    connection.left.splice(connection.left.indexOf(index), 1);
    const settled = this.scheduler.settle(batch, index, settlement, this.nowMs);
    const recipient = this.recipients.find(
      (one) => one.sequence === batch.id.sequence && one.index === index,
    )!;
    expect(recipient.place).toBe('inDelivery');
    if (settlement !== 'returned' && settlement !== 'unheard') recipient.attempts++;
    expect(settled.attempts).toBe(recipient.attempts);
    if (settlement === 'delivered') this.#clock(batch.queue).retryStep = 0;
    if (settlement === 'delivered' || settlement === 'failed') {
      recipient.place = settlement;
    } else if (recipient.deadlineMs <= this.nowMs) {
      this.#wait(recipient, this.nowMs);
      expect(settled.nextTryInMs).toBe(0);
    } else if (settlement === 'deferred') {
      this.#wait(recipient, this.nowMs + settings.retryRecipientsAfterMs);
      expect(settled.nextTryInMs).toBe(settings.retryRecipientsAfterMs);
    } else {
      this.#ready(recipient, 'front');
    }
    if (connection.left.length === 0) connection.batch = undefined;
    this.#forgetQueues();
  }

  queueFailed(queue: QueueName): void {
    const clock = this.#clock(queue);
    if (clock.retryAtMs === 0 && this.#known(queue)) {
      clock.retryAtMs =
        this.nowMs + (settings.retryAfterMs[clock.retryStep] ?? settings.retryAfterMs.at(-1)!);
      clock.retryStep++;
    }
    const { retryInMs } = this.scheduler.queueFailed(queue, this.nowMs);
    expect(retryInMs).toBe(Math.max(0, clock.retryAtMs - this.nowMs));
  }

  owed(): number {
    const owedPlaces = ['ready', 'waiting', 'inDelivery'];
    return this.recipients.filter(({ place }) => owedPlaces.includes(place)).length;
  }

  #checkOpened(step: Step): void {
    for (const { queue } of step.open) {
      expect(this.#wants(queue), 'opened only where another connection has something to take').toBe(true);
      this.connections.push({ queue, state: 'opening', batch: undefined, left: [] });
      expect(this.connections.length, 'total-max-smtp-out').toBeLessThanOrEqual(totalMaxSmtpOut);
    }
    const someoneWants = [...this.#queues.keys()].some((queue) => this.#wants(queue));
    if (this.connections.length < totalMaxSmtpOut)
      expect(someoneWants, 'all that may start starts').toBe(false);
  }

  #checkOffered(step: Step): void {
    for (const queue of this.#queues.keys()) {
      const offers = step.offer.filter((one) => one.queue === queue).length;
      const possible = this.#runnable(queue) ? Math.min(this.#idle(queue), this.#batchesLeast(queue)) : 0;
      expect(offers, 'an offer for each idle connection that has something to take').toBe(possible);
    }
  }

  #checkClosed(step: Step): void {
    for (const { queue } of step.close) {
      expect(this.connections.length).toBe(totalMaxSmtpOut);
      expect(this.#runnable(queue)).toBe(false);
      const idle = this.connections.find((one) => one.queue === queue && this.#isIdle(one));
      expect(idle, 'only idle connections are closed for others').toBeDefined();
      idle!.state = 'closing';
    }
    if (step.close.length === 0) return;
    const closing = this.connections.filter(({ state }) => state === 'closing').length;
    const wanting = [...this.#queues.keys()].filter((queue) => this.#wants(queue)).length;
    expect(closing, 'no more closed than others wait for').toBeLessThanOrEqual(wanting);
  }

  #checkWake(step: Step): void {
    const times = [Number.POSITIVE_INFINITY];
    for (const { retryAtMs } of this.#queues.values()) if (retryAtMs > 0) times.push(retryAtMs);
    for (const { place, readyAtMs, deadlineMs } of this.recipients) {
      if (place === 'waiting') times.push(Math.min(readyAtMs, deadlineMs));
      if (place === 'ready') times.push(deadlineMs);
    }
    expect(step.wakeAtMs, 'when something changes by time alone').toBe(Math.min(...times));
    expect(step.wakeAtMs).toBeGreaterThan(this.nowMs);
  }

  #checkSummaries(): void {
    const summaries = new Map(
      [...this.scheduler.queues(this.nowMs)].map((summary) => [summary.name, summary]),
    );
    for (const [queue, clock] of this.#queues) {
      const summary = summaries.get(queue);
      expect(summary !== undefined, 'only queues with mail, connections or a retry clock').toBe(
        this.#known(queue),
      );
      if (summary === undefined) continue;
      const here = (place: Recipient['place']): number =>
        this.recipients.filter((one) => one.queue === queue && one.place === place).length;
      expect(summary).toEqual({
        name: queue,
        mode: 'normal',
        recipients: here('ready') + here('waiting') + here('inDelivery'),
        isPaused: false,
        ready: here('ready'),
        waiting: here('waiting'),
        inDelivery: here('inDelivery'),
        connections: this.#connectionsOf(queue).length,
        retryStep: clock.retryStep,
        retryInMs: Math.max(0, clock.retryAtMs - this.nowMs),
      });
    }
    expect(this.scheduler.counts()).toMatchObject({
      recipients: this.owed(),
      connections: this.connections.length,
    });
  }

  #ready(recipient: Recipient, where: 'front' | 'back'): void {
    const sibling = this.#readyOf(recipient.queue).find(({ sequence }) => sequence === recipient.sequence);
    recipient.place = 'ready';
    const within = Math.max(0, recipient.readyAtMs) / 1e6;
    recipient.rank = sibling?.rank ?? (where === 'back' ? this.#call + within : -this.#call);
  }

  #wait(recipient: Recipient, readyAtMs: number): void {
    recipient.place = 'waiting';
    recipient.readyAtMs = readyAtMs;
  }

  /** With its last mail, connection and wait a queue goes, its retry step too. */
  #forgetQueues(): void {
    for (const [queue, clock] of this.#queues) if (!this.#known(queue)) clock.retryStep = 0;
  }

  #clock(queue: QueueName): ModelQueue {
    return this.#queues.get(queue)!;
  }

  #readyOf(queue: QueueName): Recipient[] {
    return this.recipients.filter((one) => one.queue === queue && one.place === 'ready');
  }

  #connectionsOf(queue: QueueName): ModelConnection[] {
    return this.connections.filter((one) => one.queue === queue);
  }

  #isIdle(connection: ModelConnection): boolean {
    return connection.state === 'open' && connection.batch === undefined;
  }

  #idle(queue: QueueName): number {
    return this.#connectionsOf(queue).filter((one) => this.#isIdle(one)).length;
  }

  #runnable(queue: QueueName): boolean {
    return this.#clock(queue).retryAtMs === 0 && this.#readyOf(queue).length > 0;
  }

  #batchesLeast(queue: QueueName): number {
    const ready = this.#readyOf(queue);
    const messages = new Set(ready.map(({ sequence }) => sequence)).size;
    return Math.max(messages, Math.ceil(ready.length / settings.maxRcptPerMessage));
  }

  #wants(queue: QueueName): boolean {
    const connections = this.#connectionsOf(queue);
    const opening = connections.filter(({ state }) => state === 'opening').length;
    return (
      this.#runnable(queue) &&
      connections.length < settings.maxSmtpOut &&
      this.#batchesLeast(queue) > opening + this.#idle(queue)
    );
  }

  #known(queue: QueueName): boolean {
    const owed = ['ready', 'waiting', 'inDelivery'];
    return (
      this.recipients.some((one) => one.queue === queue && owed.includes(one.place)) ||
      this.#connectionsOf(queue).length > 0 ||
      this.#clock(queue).retryAtMs > 0
    );
  }
}

const move = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    ageMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(70)),
    recipients: fc.array(
      fc.record({
        domain: fc.nat(2),
        nextTryInMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(20)),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(25) }),
  fc.record({ kind: fc.constant('wake' as const) }),
  fc.record({ kind: fc.constant('open' as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant('end' as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant('take' as const), pick: fc.nat() }),
  fc.record({
    kind: fc.constant('settle' as const),
    pick: fc.nat(),
    recipient: fc.nat(),
    settlement: fc.constantFrom<Settlement>(
      'delivered',
      'failed',
      'deferred',
      'deferred',
      'returned',
      'unheard',
    ),
  }),
  fc.record({ kind: fc.constant('queueFailed' as const), domain: fc.nat(2) }),
  fc.record({ kind: fc.constant('step' as const) }),
);
type Move = typeof move extends fc.Arbitrary<infer M> ? M : never;

function picked<T>(items: readonly T[], pick: number): T | undefined {
  return items[pick % Math.max(1, items.length)];
}

function perform(model: Model, action: Move): void {
  const { connections } = model;
  switch (action.kind) {
    case 'add':
      model.add(action.recipients, action.ageMs);
      return;
    case 'pass':
      model.nowMs += action.ms;
      return;
    case 'wake':
      if (model.wakeAtMs !== Number.POSITIVE_INFINITY) model.nowMs = Math.max(model.nowMs, model.wakeAtMs);
      model.step();
      return;
    case 'step':
      model.step();
      return;
    case 'queueFailed':
      model.queueFailed(queueName(domains[action.domain]!, 'v'));
      return;
    case 'open': {
      const opening = picked(
        connections.filter(({ state }) => state === 'opening'),
        action.pick,
      );
      if (opening !== undefined) model.opened(opening);
      return;
    }
    case 'end': {
      // Of one queue's open connections those that were told to close go first.
      const closing = connections.filter(({ state }) => state === 'closing');
      const connection = picked(closing.length > 0 ? closing : connections, action.pick);
      if (connection !== undefined) model.end(connection);
      return;
    }
    case 'take': {
      const idle = connections.filter(({ state, batch }) => state === 'open' && batch === undefined);
      const connection = picked(idle, action.pick);
      if (connection !== undefined) model.take(connection);
      return;
    }
    case 'settle': {
      const connection = picked(
        connections.filter(({ batch }) => batch !== undefined),
        action.pick,
      );
      const index = picked(connection?.left ?? [], action.recipient);
      if (connection && index !== undefined) model.settle(connection, index, action.settlement);
      return;
    }
  }
}

/** From here on every remote takes everything: how long until nothing is owed? */
function drain(model: Model): void {
  for (let round = 0; model.owed() > 0; round++) {
    expect(round, 'nothing starves').toBeLessThan(500);
    model.step();
    for (const connection of [...model.connections]) {
      if (connection.state === 'opening') model.opened(connection);
      if (connection.state === 'open' && connection.batch === undefined) model.take(connection);
      for (const index of [...connection.left]) model.settle(connection, index, 'delivered');
      if (connection.state === 'closing') model.end(connection);
    }
    model.step();
    const busy = model.connections.length > 0;
    if (!busy && model.wakeAtMs !== Number.POSITIVE_INFINITY) model.nowMs = model.wakeAtMs;
    model.nowMs += busy ? 1 : 0;
  }
}

test('no sequence of events makes the scheduler break a limit, lose or double a recipient, or sleep too long', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 150, size: 'max' }), (moves) => {
      const model = new Model();
      for (const action of moves) perform(model, action);
      drain(model);
      for (const connection of [...model.connections]) model.end(connection);
      // Retry clocks that still run keep their queues until they end.
      for (let nowMs = model.nowMs; nowMs !== Number.POSITIVE_INFINITY; ) {
        nowMs = model.scheduler.step(nowMs).wakeAtMs;
      }
      expect(model.scheduler.counts()).toMatchObject({
        messages: 0,
        recipients: 0,
        queues: 0,
        connections: 0,
      });
    }),
    { numRuns: 250 },
  );
});
