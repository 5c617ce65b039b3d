import { type BatchPosition, beforeAll, comparePositions } from '../message/batchPosition.ts';

interface Held {
  readonly segment: number;
  /** The last batch of it that counts. */
  last: BatchPosition;
  /** Its file, bytes. */
  sizeBytes: number;
  /** Recipients of its messages that have no synced terminal outcome. */
  owed: number;
  /** Of them, those whose outcome was put and is not synced yet. */
  given: number;
  /** Recipients and bytes of all the messages it counted so far. */
  recipients: number;
  storedBytes: number;
  /** Queues whose present state is told by a record of this segment. */
  queueStates: number;
}

/** So many segments of garbage are let lie before anything is copied forward. */
const slackSegments = 2;

/**
 * Which segment may be unlinked (architecture 5, Reclaiming): strictly the oldest first, when nothing
 * in it is owed and every cursor has passed it; the newest never, and none before the newest is durable.
 */
export class Reclaim {
  /** Oldest first: a Map keeps the order in which segments were told. */
  readonly #held = new Map<number, Held>();
  readonly #segmentBytes: number;
  #recorded = beforeAll;
  /** Without it the epoch might be gone with the segments before, and ids would come again. */
  #isNewestDurable = false;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
  }

  /** A segment that recovery found. All are told in rising order, these first. */
  found(segment: number, last: BatchPosition, sizeBytes: number): void {
    this.#begin(segment, last, sizeBytes);
  }

  opened(segment: number): void {
    this.#begin(segment, beforeAll, 0);
    this.#isNewestDurable = false;
  }

  /** A batch of the newest segment is durable; the file reaches to `sizeBytes`. */
  published(segment: number, position: BatchPosition, sizeBytes: number): void {
    const held = this.#held.get(segment)!;
    held.last = position;
    held.sizeBytes = sizeBytes;
    this.#isNewestDurable = true;
  }

  /** A message, or what was copied forward of one, is durable there. */
  owe(segment: number, recipients: number, storedBytes: number): void {
    const held = this.#held.get(segment)!;
    held.owed += recipients;
    held.recipients += recipients;
    held.storedBytes += storedBytes;
  }

  /** A terminal outcome was put; it is not durable yet. */
  give(segment: number): void {
    const held = this.#held.get(segment);
    if (held !== undefined) held.given += 1;
  }

  /** A terminal outcome of one of its recipients is durable. */
  settle(segment: number): void {
    const held = this.#held.get(segment);
    if (held === undefined) return;
    held.given -= 1;
    held.owed -= 1;
  }

  /** These recipients are counted elsewhere now, `given` of them with an outcome under way. */
  moveAway(segment: number, recipients: number, given: number): void {
    const held = this.#held.get(segment)!;
    held.owed -= recipients;
    held.given -= given;
  }

  countQueueStates(segment: number, change: number): void {
    const held = this.#held.get(segment);
    if (held !== undefined) held.queueStates += change;
  }

  /** Recipients for whom no outcome was put: those that a copy must hold, no more and no fewer. */
  ungiven(segment: number): number {
    const held = this.#held.get(segment);
    return held === undefined ? 0 : held.owed - held.given;
  }

  recorded(position: BatchPosition): void {
    if (comparePositions(position, this.#recorded) > 0) this.#recorded = position;
  }

  /** The oldest segment, when it may go. */
  next(): number | undefined {
    const oldest = this.#passed();
    return oldest !== undefined && oldest.owed === 0 && oldest.queueStates === 0 ? oldest.segment : undefined;
  }

  /** The oldest segment, when nothing but queue states keeps it. */
  keptByQueueStates(): number | undefined {
    const oldest = this.#passed();
    return oldest !== undefined && oldest.owed === 0 && oldest.queueStates > 0 ? oldest.segment : undefined;
  }

  /**
   * The oldest segment, when what is owed of it should be copied forward: the files together take more than
   * twice what is owed and some segments, so at least as much is freed in the end as is copied.
   */
  keptByFew(): number | undefined {
    const oldest = this.#passed();
    if (oldest === undefined || oldest.owed === 0) return undefined;
    let sizeBytes = 0;
    let owedBytes = 0;
    for (const held of this.#held.values()) {
      sizeBytes += held.sizeBytes;
      if (held.owed > 0) owedBytes += (held.storedBytes * held.owed) / held.recipients;
    }
    return sizeBytes > 2 * owedBytes + slackSegments * this.#segmentBytes ? oldest.segment : undefined;
  }

  /** It was unlinked, and the folder synced. */
  gone(segment: number): void {
    this.#held.delete(segment);
  }

  get oldest(): number | undefined {
    return this.#held.keys().next().value;
  }

  get segments(): number {
    return this.#held.size;
  }

  get sizeBytes(): number {
    let sizeBytes = 0;
    for (const held of this.#held.values()) sizeBytes += held.sizeBytes;
    return sizeBytes;
  }

  #begin(segment: number, last: BatchPosition, sizeBytes: number): void {
    const empty = { owed: 0, given: 0, recipients: 0, storedBytes: 0, queueStates: 0 };
    this.#held.set(segment, { segment, last, sizeBytes, ...empty });
  }

  /** The oldest segment, when accounting is through with it and a durable one is behind it. */
  #passed(): Held | undefined {
    const [oldest] = this.#held.values();
    if (oldest === undefined || this.#held.size === 1 || !this.#isNewestDurable) return undefined;
    return comparePositions(oldest.last, this.#recorded) <= 0 ? oldest : undefined;
  }
}
