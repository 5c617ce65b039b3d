import type { QueueName } from '../message/names.ts';
import type { LocalCause } from './nextHop.ts';

/** More queues than these are not remembered: the oldest go first. */
const queuesMax = 10_000;

export interface Skip {
  readonly untilMs: number;
  readonly cause: LocalCause;
}

/**
 * Hosts that are of no use to a queue for now, because a reply of theirs asked to go on to the next one.
 * They are passed over until the queue as a whole has failed, for then all have been asked, or some time
 * has gone by.
 */
export class SkippedHosts {
  /** By queue and host, whatever it is called by. */
  readonly #skips = new Map<QueueName, Map<string, Skip>>();

  skip(queue: QueueName, host: string, skip: Skip): void {
    const hosts = this.#skips.get(queue) ?? new Map<string, Skip>();
    hosts.set(host, skip);
    this.#skips.set(queue, hosts);
    if (this.#skips.size > queuesMax) this.#skips.delete(this.#skips.keys().next().value!);
  }

  /** undefined: it is not passed over. */
  of(queue: QueueName, host: string, nowMs: number): Skip | undefined {
    const skip = this.#skips.get(queue)?.get(host);
    return skip === undefined || skip.untilMs <= nowMs ? undefined : skip;
  }

  /** The queue as a whole has failed: every host is asked again. */
  forget(queue: QueueName): void {
    this.#skips.delete(queue);
  }
}
