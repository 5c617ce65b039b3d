import type { QueueName } from '../message/names.ts';
import { isAtRest, type QueueState } from '../message/queueState.ts';
import type { Reclaim } from './reclaim.ts';

interface Known {
  /** As it was put last. */
  state: QueueState;
  /** The segment of its youngest durable record; undefined while there is none, or when that says "at rest". */
  segment: number | undefined;
  /** Records put and not durable yet. */
  unpublished: number;
}

/**
 * Where the present state of each queue stands. The segment of its record may not go before a younger
 * record of that queue is durable; one of a queue at rest may, because every older one is gone before it.
 */
export class QueueStates {
  readonly #reclaim: Reclaim;
  readonly #known = new Map<QueueName, Known>();

  constructor(reclaim: Reclaim) {
    this.#reclaim = reclaim;
  }

  /** As recovery found it. */
  found(state: QueueState, segment: number): void {
    this.#known.set(state.queue, { state, segment, unpublished: 0 });
    this.#reclaim.countQueueStates(segment, 1);
  }

  put(state: QueueState): void {
    const known = this.#known.get(state.queue);
    if (known === undefined) this.#known.set(state.queue, { state, segment: undefined, unpublished: 1 });
    else {
      known.state = state;
      known.unpublished += 1;
    }
  }

  published(state: QueueState, segment: number): void {
    const known = this.#known.get(state.queue)!;
    known.unpublished -= 1;
    if (known.segment !== undefined) this.#reclaim.countQueueStates(known.segment, -1);
    known.segment = isAtRest(state) ? undefined : segment;
    if (known.segment !== undefined) this.#reclaim.countQueueStates(segment, 1);
    else if (known.unpublished === 0) this.#known.delete(state.queue);
  }

  /** Those that must be put again before the segment goes. While a younger record is under way, none need be. */
  keptBy(segment: number): readonly QueueState[] {
    const kept: QueueState[] = [];
    for (const known of this.#known.values()) {
      if (known.segment === segment && known.unpublished === 0) kept.push(known.state);
    }
    return kept;
  }
}
