import { type BatchPosition, beforeAll, comparePositions } from '../message/batchPosition.ts';

interface Held {
  readonly segment: number;
  /** The last batch of it that counts. */
  last: BatchPosition;
  /** Recipients of its messages that have no synced terminal outcome. */
  owed: number;
}

/**
 * Which segment may be unlinked (architecture 5, Reclaiming): strictly the oldest first, when nothing
 * in it is owed and every cursor has passed it; the newest never, and none before the newest is durable.
 */
export class Reclaim {
  /** Oldest first: a Map keeps the order in which segments were told. */
  readonly #held = new Map<number, Held>();
  #recorded = beforeAll;
  /** Without it the epoch might be gone with the segments before, and ids would come again. */
  #isNewestDurable = false;

  /** A segment that recovery found. All are told in rising order, these first. */
  found(segment: number, last: BatchPosition): void {
    this.#held.set(segment, { segment, last, owed: 0 });
  }

  opened(segment: number): void {
    this.#held.set(segment, { segment, last: beforeAll, owed: 0 });
    this.#isNewestDurable = false;
  }

  /** A batch of the newest segment is durable. */
  published(segment: number, position: BatchPosition): void {
    this.#held.get(segment)!.last = position;
    this.#isNewestDurable = true;
  }

  owe(segment: number, recipients: number): void {
    this.#held.get(segment)!.owed += recipients;
  }

  /** A terminal outcome of one of its recipients is durable. */
  settle(segment: number): void {
    const held = this.#held.get(segment);
    if (held !== undefined) held.owed -= 1;
  }

  recorded(position: BatchPosition): void {
    if (comparePositions(position, this.#recorded) > 0) this.#recorded = position;
  }

  /** The oldest segment, when it may go. */
  next(): number | undefined {
    const [oldest] = this.#held.values();
    if (oldest === undefined || this.#held.size === 1 || !this.#isNewestDurable) return undefined;
    if (oldest.owed > 0) return undefined;
    return comparePositions(oldest.last, this.#recorded) <= 0 ? oldest.segment : undefined;
  }

  /** It was unlinked, and the folder synced. */
  gone(segment: number): void {
    this.#held.delete(segment);
  }

  get segments(): number {
    return this.#held.size;
  }
}
