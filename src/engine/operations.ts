import type { Clock, Log } from '../base/ports.ts';
import { NearestNames } from '../config/nearest.ts';
import type { QueueName } from '../message/names.ts';
import type { PauseRules } from '../queue/pauseRules.ts';
import type { QueueSelector } from '../queue/queueSelector.ts';
import { parseQueueSelector } from '../queue/queueSelector.ts';
import type { QueueMode, QueueSummary, RetryCounts } from '../queue/schedule.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { Spool } from '../spool/spool.ts';
import { stateOfDropped, stateOfRule } from './pauseStates.ts';

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

export interface PauseCounts {
  /** Queues that the command meant. */
  readonly queues: number;
  readonly recipients: number;
  /** All rules that hold now. */
  readonly pauseRules: readonly string[];
}

export interface OperationParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly scheduler: Scheduler;
  readonly spool: Pick<Spool, 'putQueueState' | 'settled'>;
  readonly rules: PauseRules;
  readonly sendings: { changed(): void; lastError(queue: QueueName): string };
}

/** So many rules are remembered; a person does not give more. */
const rulesMax = 1000;

/** Names that are looked through for the one that was meant. */
const candidatesMax = 10_000;

/** What an operator asks of an engine's queues. */
export class Operations {
  readonly #parts: OperationParts;

  constructor(parts: OperationParts) {
    this.#parts = parts;
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

  /** Durable when it answers; in effect at once. Rules are not remembered without end. */
  async setPause(text: string, isPaused: boolean): Promise<PauseCounts | 'tooMany'> {
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
    scheduler.operating.pausesChanged(clock.monotonicMs());
    const counts = this.#count(selector);
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

  #count(selector: QueueSelector): Pick<PauseCounts, 'queues' | 'recipients'> {
    let queues = 0;
    let recipients = 0;
    for (const queue of this.#parts.scheduler.queues(this.#parts.clock.monotonicMs())) {
      if (!selector.matches(queue.name)) continue;
      queues++;
      recipients += queue.recipients;
    }
    return { queues, recipients };
  }

  #stateOf(queue: QueueSummary): QueueState {
    const { sendings, rules } = this.#parts;
    const pausedBy = queue.isPaused ? (rules.ruleOf(queue.name)?.selector.text ?? '') : '';
    return { ...queue, lastError: sendings.lastError(queue.name), pausedBy };
  }
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
