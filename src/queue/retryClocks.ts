import { assert } from '../base/assert.ts';
import { type QueueName, splitQueueName } from '../message/names.ts';
import type { ConnectionSlots } from './connectionSlots.ts';
import type { Queue } from './queue.ts';
import type { QueueRegistry } from './queueRegistry.ts';
import type { QueueRetryClock, RetryClock } from './schedule.ts';

const noNews: readonly QueueRetryClock[] = [];

/** The waits of queues that failed as a whole, and what there is to remember of them over a restart. */
export class RetryClocks {
  readonly #registry: QueueRegistry;
  readonly #slots: ConnectionSlots;
  #changes: { readonly queue: QueueName; readonly retryStep: number; readonly retryAtMs: number }[] = [];

  constructor(registry: QueueRegistry, slots: ConnectionSlots) {
    this.#registry = registry;
    this.#slots = slots;
  }

  /** What changed since the last call. */
  news(nowMs: number): readonly QueueRetryClock[] {
    if (this.#changes.length === 0) return noNews;
    const news = this.#changes.map(({ queue, retryStep, retryAtMs }) => ({
      queue,
      retryStep,
      retryInMs: Math.max(0, retryAtMs - nowMs),
    }));
    this.#changes = [];
    return news;
  }

  /** At rest where there is no such queue. */
  of(name: QueueName, nowMs: number): RetryClock {
    const queue = this.#registry.get(name);
    return queue === undefined ? { retryStep: 0, retryInMs: 0 } : retryClock(queue, nowMs);
  }

  /** See `Scheduler.queueFailed`. */
  failed(name: QueueName, nowMs: number, of: 'remote' | 'dns'): RetryClock {
    const queue = this.#registry.get(name);
    if (queue === undefined) return { retryStep: 0, retryInMs: 0 };
    const isDns = of === 'dns';
    if (queue.retryAtMs === undefined || (queue.isDnsWait && !isDns)) {
      const steps = queue.retryAfterMs();
      const retryStep = isDns ? queue.retryStep : queue.retryStep + 1;
      const waitMs = isDns
        ? queue.settings.retryAfterDnsErrorMs
        : steps[Math.min(queue.retryStep, steps.length - 1)]!;
      queue.isClockStored = true;
      this.#changes.push({ queue: name, retryStep, retryAtMs: nowMs + waitMs });
      this.#hold(queue, retryStep, nowMs + waitMs, nowMs);
      queue.isDnsWait = isDns;
    }
    return retryClock(queue, nowMs);
  }

  /** See `Scheduler.restoreRetry`. */
  restore({ queue: name, retryStep, retryInMs }: QueueRetryClock, nowMs: number): void {
    const { domain, vmta } = splitQueueName(name);
    // Without mail there is only a wait to remember, so that mail that comes again does not cut it short.
    const queue =
      this.#registry.get(name) ?? (retryInMs > 0 ? this.#registry.queueFor(domain, vmta) : undefined);
    if (queue === undefined) {
      this.#changes.push({ queue: name, retryStep: 0, retryAtMs: 0 });
      return;
    }
    queue.retryStep = retryStep;
    queue.isClockStored = true;
    assert(queue.retryAtMs === undefined, 'what is restored has not failed yet');
    if (retryInMs > 0) this.#hold(queue, retryStep, nowMs + retryInMs, nowMs);
  }

  /** Back to the first step: something was delivered, or the queue is dropped. */
  reset(queue: Queue): void {
    if (!queue.isClockStored) return;
    queue.retryStep = 0;
    queue.isClockStored = false;
    this.#changes.push({ queue: queue.name, retryStep: 0, retryAtMs: 0 });
  }

  /** retry-upon-new-mail. */
  wakeForNewMail(queue: Queue, nowMs: number): void {
    if (queue.settings.retryUponNewMail && queue.ready > 0) this.end(queue, nowMs);
  }

  /** The wait is over, though its step is not forgotten. */
  end(queue: Queue, nowMs: number): void {
    const { name, retryStep } = queue;
    if (queue.retryAtMs === undefined) return;
    queue.retryAtMs = undefined;
    this.#changes.push({ queue: name, retryStep, retryAtMs: nowMs });
  }

  passTime(queue: Queue, nowMs: number): void {
    if (queue.retryAtMs !== undefined && queue.retryAtMs <= nowMs) queue.retryAtMs = undefined;
  }

  #hold(queue: Queue, retryStep: number, retryAtMs: number, nowMs: number): void {
    queue.retryStep = retryStep;
    queue.retryAtMs = retryAtMs;
    this.#slots.review(queue, nowMs);
  }
}

export function retryClock(queue: Queue, nowMs: number): RetryClock {
  const retryInMs = queue.retryAtMs === undefined ? 0 : Math.max(0, queue.retryAtMs - nowMs);
  return { retryStep: queue.retryStep, retryInMs };
}
