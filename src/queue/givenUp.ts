import { none, type RecipientTable } from './columns.ts';
import type { Queue } from './queue.ts';
import type { GivenUpCause } from './schedule.ts';
import type { TimeHeap } from './timeHeap.ts';

interface Group {
  readonly cause: GivenUpCause;
  readonly slots: readonly number[];
  next: number;
}

/** Recipients who are out of their queues because the queue was given up, until each has been told. */
export class GivenUp {
  readonly #recipients: RecipientTable;
  readonly #waiting: TimeHeap;
  readonly #groups: Group[] = [];

  constructor(recipients: RecipientTable, waiting: TimeHeap) {
    this.#recipients = recipients;
    this.#waiting = waiting;
  }

  get isEmpty(): boolean {
    return this.#groups.length === 0;
  }

  /** Takes all that are not in delivery out of their queue, ready or not. How many they are. */
  add(queue: Queue, cause: GivenUpCause, unready: (slot: number) => void): number {
    const slots = [...this.#waiting.extract((slot) => this.#recipients.queue[slot] === queue.id)];
    for (let slot = queue.readyHead; slot !== none; slot = queue.readyHead) {
      unready(slot);
      slots.push(slot);
    }
    if (slots.length > 0) this.#groups.push({ cause, slots, next: 0 });
    return slots.length;
  }

  take(): { readonly slot: number; readonly cause: GivenUpCause } | undefined {
    const group = this.#groups[0];
    if (group === undefined) return undefined;
    const slot = group.slots[group.next++]!;
    if (group.next === group.slots.length) this.#groups.shift();
    return { slot, cause: group.cause };
  }
}
