import type { QueueName } from '../message/names.ts';
import type { Scheduler } from '../queue/scheduler.ts';

/** Why each queue failed last; gone with its next delivery. */
export class LastErrors {
  readonly #texts = new Map<QueueName, string>();

  of(queue: QueueName): string {
    return this.#texts.get(queue) ?? '';
  }

  failed(queue: QueueName, diagnostic: string): void {
    this.#texts.set(queue, diagnostic);
  }

  delivered(queue: QueueName): void {
    this.#texts.delete(queue);
  }

  /** A queue that failed may be gone since, and most domains never come back. */
  forgetOld(scheduler: Scheduler, nowMs: number): void {
    if (this.#texts.size < 1000 + 2 * scheduler.counts().queues) return;
    const present = new Set(Array.from(scheduler.queues(nowMs), ({ name }) => name));
    for (const queue of this.#texts.keys()) if (!present.has(queue)) this.#texts.delete(queue);
  }
}
