import type { Clock, Log } from '../base/ports.ts';
import { NearestNames } from '../config/nearest.ts';
import type { Envelope } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import { type QueueName, queueName } from '../message/names.ts';
import type { PauseRules } from '../queue/pauseRules.ts';
import { globOf, parseQueueSelector } from '../queue/queueSelector.ts';
import type {
  Deletion,
  Hold,
  PauseCounts,
  QueueMode,
  QueueSummary,
  RetryCounts,
  StandingMessage,
} from '../queue/schedule.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { HoldReason } from '../spool/owed.ts';
import type { Spool } from '../spool/spool.ts';
import type { HeldContent } from './heldContent.ts';
import { stateOfDropped, stateOfRule } from './pauseStates.ts';
import type { Quarantine } from './quarantine.ts';
import type { TracePage, Tracing } from './tracing.ts';

export interface QueueState extends QueueSummary {
  /** Why it waits, or ''. */
  readonly lastError: string;
  /** The selector of the rule that pauses it, or ''. */
  readonly pausedBy: string;
}

/** Which queues are wanted, and how many. Selectors as texts: they travel between processes. */
export interface QueueSelection {
  readonly selector: string;
  /** Only those that are paused. */
  readonly pausedOnly: boolean;
  /** undefined: in any. */
  readonly mode: QueueMode | undefined;
  /** false: only queues that hold mail or wait before their next try. */
  readonly all: boolean;
  readonly sort: QueueSort;
  readonly queuesMax: number;
}

export const queueSorts = ['rcpt', 'name', 'retry'] as const;
export type QueueSort = (typeof queueSorts)[number];

export interface QueueListing {
  /** That were meant, with all they hold; `queues` has the first of them. */
  readonly queuesTotal: number;
  readonly recipientsTotal: number;
  readonly queues: readonly QueueState[];
  /** As they were given; `!` before those that resume. */
  readonly pauseRules: readonly string[];
}

/** A queue, or the name most like one that no queue has. */
export type FoundQueue =
  | { readonly kind: 'found'; readonly queue: QueueState }
  | { readonly kind: 'unknown'; readonly nearest: string | undefined };

export interface PauseAnswer extends PauseCounts {
  /** All rules that hold now. */
  readonly pauseRules: readonly string[];
}

/** What keeps a queue from starting more now, the nearest to it first. */
export interface WhyQueue {
  readonly kind: 'found';
  readonly queue: QueueState;
  readonly holds: readonly TimedHold[];
}

export interface TimedHold extends Omit<Hold, 'untilMs'> {
  /** undefined: until something happens. */
  readonly untilInMs: number | undefined;
}

/** What there is to know of a message that is owed. */
export interface WhyMessage {
  readonly kind: 'message';
  readonly vmta: string;
  readonly orig: string;
  /** Wall milliseconds. */
  readonly timeQueuedMs: number;
  readonly recipientsTotal: number;
  /** The first of them. */
  readonly recipients: readonly WhyRecipient[];
}

export interface WhyRecipient {
  readonly rcpt: string;
  readonly queue: QueueName;
  readonly attempts: number;
  /** 0: now, or it is in delivery. */
  readonly nextTryInMs: number;
  /** Why it is kept back: `deleted`, `damaged` ... */
  readonly heldFor: HoldReason | undefined;
  /** What its queue met last, or ''. */
  readonly lastError: string;
}

/** Who is to be deleted. Texts are patterns: `*` for any text, case does not count. */
export interface DeleteOrder {
  readonly selector: string;
  /** Queued so long ago. */
  readonly olderThanMs: number;
  /** undefined: whatever the envelope says. */
  readonly orig: string | undefined;
  readonly rcpt: string | undefined;
  readonly job: string | undefined;
  /** Only counts; not with what only envelopes tell. */
  readonly isTrial: boolean;
}

export interface DeleteCounts {
  /** That the selector meant. */
  readonly queues: number;
  /** Deleted so far. */
  readonly recipients: number;
  /** Meant, too, and left alone: what is under way ends as it ends. */
  readonly inDelivery: number;
  /** Envelopes are still being read: more will be deleted. */
  readonly goesOn: boolean;
}

export interface OperationParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly scheduler: Scheduler;
  readonly spool: Pick<Spool, 'putQueueState' | 'purge' | 'settled' | 'read'>;
  readonly rules: PauseRules;
  readonly held: Pick<HeldContent, 'get'>;
  readonly deletions: { tick(): void };
  readonly quarantine: Pick<Quarantine, 'get'>;
  readonly tracing: Pick<Tracing, 'begin' | 'page'>;
  readonly sendings: { changed(): void; lastError(queue: QueueName): string };
}

/** So many rules are remembered; a person does not give more. */
const rulesMax = 1000;

/** A command that reads envelopes for longer answers, and goes on. */
const answerMaxMs = 3000;
const readAtATime = 2000;

/** Of a message: an answer is read by people. */
const recipientsMax = 100;

/** Names that are looked through for the one that was meant. */
const candidatesMax = 10_000;

/** What an operator asks of an engine's queues. */
export class Operations {
  readonly #parts: OperationParts;
  #isDeleting = false;
  #isStopped = false;

  constructor(parts: OperationParts) {
    this.#parts = parts;
  }

  /** Nothing may be put into a spool that closes. */
  stop(): void {
    this.#isStopped = true;
  }

  list({ selector: text, pausedOnly, mode, all, sort, queuesMax }: QueueSelection): QueueListing {
    const selector = parseQueueSelector(text);
    const top = new Top<QueueSummary>(queuesMax, orders[sort]);
    let queuesTotal = 0;
    let recipientsTotal = 0;
    for (const queue of this.#parts.scheduler.queues(this.#parts.clock.monotonicMs())) {
      if (mode !== undefined && queue.mode !== mode) continue;
      if (!all && queue.recipients === 0 && queue.retryInMs === 0) continue;
      if ((pausedOnly && !queue.isPaused) || selector?.matches(queue.name) !== true) continue;
      queuesTotal++;
      recipientsTotal += queue.recipients;
      top.add(queue);
    }
    const queues = top.items.map((queue) => this.#stateOf(queue));
    return { queuesTotal, recipientsTotal, queues, pauseRules: this.pauseRules };
  }

  /** As they were given; `!` before those that resume. */
  get pauseRules(): readonly string[] {
    return this.#parts.rules.rules.map(({ selector, isPaused }) => (isPaused ? '' : '!') + selector.text);
  }

  find(name: QueueName): FoundQueue {
    const { scheduler, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const queue = scheduler.queue(name, nowMs);
    if (queue !== undefined) return { kind: 'found', queue: this.#stateOf(queue) };
    return { kind: 'unknown', nearest: new NearestNames().find(name, firstNames(scheduler.queues(nowMs))) };
  }

  why(name: QueueName): WhyQueue | Extract<FoundQueue, { kind: 'unknown' }> {
    const found = this.find(name);
    if (found.kind === 'unknown') return found;
    const nowMs = this.#parts.clock.monotonicMs();
    const holds = this.#parts.scheduler.why(name, nowMs).map(({ untilMs, ...hold }) => ({
      ...hold,
      untilInMs: untilMs === undefined || untilMs === Number.POSITIVE_INFINITY ? undefined : untilMs - nowMs,
    }));
    const pause = found.queue.isPaused
      ? [{ limit: 'pause', scope: 'queue' as const, untilInMs: undefined }]
      : [];
    return { kind: 'found', queue: found.queue, holds: [...pause, ...holds] };
  }

  /** undefined: nothing is owed of it here, or it cannot be read. */
  async whyMessage(id: MessageId): Promise<WhyMessage | undefined> {
    const { scheduler, quarantine, clock } = this.#parts;
    const standing = scheduler.standing.handlesOf(id).flatMap((handle) => {
      const location = scheduler.standing.locationOf({ handle, id });
      return location === undefined ? [] : [{ handle, id, location }];
    });
    const recipients = scheduler.standing.recipientsOf(standing, clock.monotonicMs()).flat();
    const held = quarantine.get(id);
    const message = standing[0] ?? (held && { handle: -1, id, location: held.location });
    const envelope = message && (await this.#envelopeOf(message));
    if (envelope === undefined) return undefined;
    const told = [
      ...recipients.map(({ isDeleted, ...one }) => ({ ...one, heldFor: isDeleted && ('deleted' as const) })),
      ...(held?.recipients ?? []).map((one) => ({ ...one, nextTryInMs: 0 })),
    ];
    return {
      kind: 'message',
      vmta: envelope.vmta,
      orig: envelope.reversePath,
      timeQueuedMs: envelope.timeQueuedMs,
      recipientsTotal: told.length,
      recipients: told.slice(0, recipientsMax).map(({ index, attempts, nextTryInMs, heldFor }) => {
        const { forwardPath, domain } = envelope.recipients[index]!;
        const queue = queueName(domain, envelope.vmta);
        const lastError = this.#parts.sendings.lastError(queue);
        return { rcpt: forwardPath, queue, attempts, nextTryInMs, heldFor, lastError };
      }),
    };
  }

  /** Watches the next connection of a queue, and has its mail tried now. `busy`: so many are watched already. */
  trace(name: QueueName, withData: boolean): FoundQueue | { readonly kind: 'busy' } {
    const found = this.find(name);
    if (found.kind === 'unknown') return found;
    if (!this.#parts.tracing.begin(name, withData)) return { kind: 'busy' };
    const { scheduler, sendings, clock } = this.#parts;
    scheduler.operating.retry((queue) => queue === name, clock.monotonicMs());
    sendings.changed();
    return found;
  }

  traced(name: QueueName): TracePage {
    return this.#parts.tracing.page(name);
  }

  /** Durable when it answers; in effect at once. Rules are not remembered without end. */
  async setPause(text: string, isPaused: boolean): Promise<PauseAnswer | 'tooMany'> {
    const { rules, scheduler, spool, sendings, log, clock } = this.#parts;
    const selector = parseQueueSelector(text)!;
    if (
      rules.rules.length >= rulesMax &&
      isPaused &&
      !rules.rules.some((one) => selector.covers(one.selector))
    )
      return 'tooMany';
    const { added, dropped } = rules.set(selector, isPaused);
    // First what is new: whoever dies in between remembers the same decisions.
    if (added !== undefined) spool.putQueueState(stateOfRule(added));
    for (const rule of dropped) {
      if (rule.selector.text !== added?.selector.text) spool.putQueueState(stateOfDropped(rule));
    }
    const matches = (queue: QueueName): boolean => selector.matches(queue);
    const counts = scheduler.operating.pause(matches, isPaused, clock.monotonicMs());
    log.write('info', isPaused ? 'queue.paused' : 'queue.resumed', { selector: selector.text, ...counts });
    sendings.changed();
    await spool.settled();
    return { ...counts, pauseRules: this.pauseRules };
  }

  retry(text: string): RetryCounts {
    const { scheduler, sendings, log, clock } = this.#parts;
    const selector = parseQueueSelector(text)!;
    const counts = scheduler.operating.retry((queue) => selector.matches(queue), clock.monotonicMs());
    log.write('info', 'queue.retried', { selector: selector.text, ...counts });
    sendings.changed();
    return counts;
  }

  /** Durable when it answers. `busy`: another one still reads envelopes. */
  async delete(order: DeleteOrder): Promise<DeleteCounts | 'busy'> {
    const { scheduler, clock } = this.#parts;
    const selector = parseQueueSelector(order.selector)!;
    const what: Deletion = {
      matches: (queue) => selector.matches(queue),
      queuedBeforeMs: clock.monotonicMs() - order.olderThanMs,
    };
    const trial = scheduler.operating.delete({ ...what, isTrial: true }, clock.monotonicMs());
    const sum = { queues: trial.queues, recipients: 0, inDelivery: 0, goesOn: false };
    const isWanted = envelopeFilter(order);
    if (order.isTrial) return { ...sum, recipients: trial.recipients, inDelivery: trial.inDelivery };
    if (isWanted === undefined) {
      this.#delete(what, sum);
      this.#parts.log.write('info', 'queue.deleted', { ...order, ...sum });
      await this.#parts.spool.settled();
      return sum;
    }
    if (this.#isDeleting) return 'busy';
    this.#isDeleting = true;
    sum.goesOn = true;
    const work = this.#deleteByEnvelope(what, isWanted, sum).then(() => {
      this.#isDeleting = false;
      sum.goesOn = false;
      this.#parts.log.write('info', 'queue.deleted', { ...order, ...sum });
    });
    await Promise.race([work, new Promise<void>((resolve) => void clock.after(answerMaxMs, resolve))]);
    return { ...sum };
  }

  #delete(what: Deletion, sum: { recipients: number; inDelivery: number }): void {
    const { scheduler, spool, sendings, deletions, clock } = this.#parts;
    const { recipients, inDelivery, named } = scheduler.operating.delete(what, clock.monotonicMs());
    sum.recipients += recipients;
    sum.inDelivery += inDelivery;
    if (recipients > 0) spool.purge(named);
    deletions.tick();
    sendings.changed();
  }

  /** In turns, so that neither memory nor the time of one turn grows with the queues. */
  async #deleteByEnvelope(
    what: Deletion,
    isWanted: EnvelopeFilter,
    sum: { recipients: number; inDelivery: number },
  ): Promise<void> {
    const { scheduler, spool } = this.#parts;
    for (let from = 0; ; ) {
      const turn = scheduler.operating.messagesMeant(what, from, readAtATime);
      if (turn.length === 0) break;
      from = turn.at(-1)!.handle + 1;
      const found: (StandingMessage & { readonly places: ReadonlySet<number> })[] = [];
      for (const message of turn) {
        const envelope = await this.#envelopeOf(message);
        if (envelope === undefined) continue;
        const all = envelope.recipients.map((_, index) => index);
        const places = new Set(all.filter((index) => isWanted(envelope, index)));
        if (places.size > 0) found.push({ ...message, places });
      }
      if (this.#isStopped) return;
      // While others were read a message may have gone, and its handle be another's.
      const there = found.filter((message) => scheduler.standing.locationOf(message) !== undefined);
      if (there.length === 0) continue;
      const places = new Map(there.map((message) => [message.handle, message.places]));
      this.#delete({ ...what, of: (handle, index) => places.get(handle)?.has(index) ?? false }, sum);
    }
    await spool.settled();
  }

  /** One without a handle is in no queue. undefined: it cannot be read, or is gone. */
  async #envelopeOf(message: StandingMessage): Promise<Envelope | undefined> {
    const { held, spool, scheduler } = this.#parts;
    const location = message.handle < 0 ? message.location : scheduler.standing.locationOf(message);
    if (location === undefined) return undefined;
    const inMemory = held.get(message.handle);
    if (inMemory !== undefined) return inMemory.envelope;
    const read = await spool.read(location);
    return read.kind === 'stored' ? read.envelope : undefined;
  }

  #stateOf(queue: QueueSummary): QueueState {
    const { sendings, rules } = this.#parts;
    const pausedBy = queue.isPaused ? (rules.ruleOf(queue.name)?.selector.text ?? '') : '';
    return { ...queue, lastError: sendings.lastError(queue.name), pausedBy };
  }
}

type EnvelopeFilter = (envelope: Envelope, index: number) => boolean;

/** undefined: nothing is asked that only an envelope tells. */
function envelopeFilter({ orig, rcpt, job }: DeleteOrder): EnvelopeFilter | undefined {
  if (orig === undefined && rcpt === undefined && job === undefined) return undefined;
  const origOf = textFilter(orig);
  const rcptOf = textFilter(rcpt);
  const jobOf = textFilter(job);
  return ({ reversePath, recipients, jobId }, index) =>
    origOf(reversePath) && rcptOf(recipients[index]!.forwardPath) && jobOf(jobId);
}

function textFilter(pattern: string | undefined): (text: string) => boolean {
  if (pattern === undefined) return () => true;
  const matches = globOf(pattern.toLowerCase());
  return (text) => matches(text.toLowerCase());
}

/** Negative: the first one comes first. */
type Order = (a: QueueSummary, b: QueueSummary) => number;

const byName: Order = (a, b) => (a.name < b.name ? -1 : 1);
const orders: Readonly<Record<QueueSort, Order>> = {
  rcpt: (a, b) => b.recipients - a.recipients || byName(a, b),
  name: byName,
  retry: (a, b) => b.retryInMs - a.retryInMs || byName(a, b),
};

/** The first so many of however many, in order. */
class Top<T> {
  readonly items: T[] = [];
  readonly #most: number;
  readonly #order: (a: T, b: T) => number;

  constructor(most: number, order: (a: T, b: T) => number) {
    this.#most = most;
    this.#order = order;
  }

  add(item: T): void {
    const last = this.items.at(-1);
    if (this.items.length === this.#most && (last === undefined || this.#order(item, last) >= 0)) return;
    let at = this.items.length;
    while (at > 0 && this.#order(item, this.items[at - 1]!) < 0) at--;
    this.items.splice(at, 0, item);
    if (this.items.length > this.#most) this.items.pop();
  }
}

function* firstNames(queues: Iterable<QueueSummary>): Iterable<QueueName> {
  let looked = 0;
  for (const { name } of queues) {
    if (++looked > candidatesMax) return;
    yield name;
  }
}
