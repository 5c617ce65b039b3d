import type { QueueName } from '../message/names.ts';
import type { Queue } from './queue.ts';

/** More than these are not remembered: whoever sends to so many domains meets none of them too often. */
const queuesMax = 50_000;
/** Looked at whenever one comes: more than one, so that the rested go faster than others come. */
const looksPerQueue = 2;

/**
 * Queues that were dropped while a rate had counted something, or in backoff mode, or with a disabled address:
 * mail that comes again meets them as they were. Each is forgotten when it has come to rest.
 */
export class QueueMemory {
  readonly #queues = new Map<QueueName, Queue>();

  get size(): number {
    return this.#queues.size;
  }

  get(name: QueueName): Queue | undefined {
    return this.#queues.get(name);
  }

  remember(queue: Queue, nowMs: number): void {
    if (queue.isAtRest(nowMs)) return;
    this.#queues.set(queue.name, queue);
    for (let looks = 0; looks < looksPerQueue; looks++) this.#lookAtOldest(nowMs);
  }

  /** It is in use again: not remembered any more. */
  recall(name: QueueName): Queue | undefined {
    if (this.#queues.size === 0) return undefined;
    const queue = this.#queues.get(name);
    if (queue !== undefined) this.#queues.delete(name);
    return queue;
  }

  #lookAtOldest(nowMs: number): void {
    const [oldest] = this.#queues.values();
    if (oldest === undefined) return;
    this.#queues.delete(oldest.name);
    if (this.#queues.size < queuesMax && !oldest.isAtRest(nowMs)) this.#queues.set(oldest.name, oldest);
  }
}
