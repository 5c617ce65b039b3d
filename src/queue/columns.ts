import { doubled } from '../base/column.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';

/** "No slot": the end of a list. Links are Int32 so that slots and this stay small integers in V8. */
export const none = -1;

const firstCapacity = 1024;

/** One row a message that is still owed somewhere: 44 bytes. A freed row is linked through `live`. */
export class MessageTable {
  epoch = new Uint32Array(firstCapacity);
  sequence = new Float64Array(firstCapacity);
  /** 0: the row is free. */
  segment = new Uint32Array(firstCapacity);
  recordAt = new Float64Array(firstCapacity);
  recordBytes = new Uint32Array(firstCapacity);
  /** Of the content, octets, as far as 32 bits tell. */
  sizeBytes = new Uint32Array(firstCapacity);
  /** Monotonic; negative for mail older than the process. */
  queuedAtMs = new Float64Array(firstCapacity);
  /** Recipients still owed. */
  live = new Int32Array(firstCapacity);
  count = 0;
  #used = 0;
  #free = none;

  claim(): number {
    this.count++;
    if (this.#free !== none) {
      const slot = this.#free;
      this.#free = this.live[slot]!;
      return slot;
    }
    if (this.#used === this.live.length) this.#grow();
    return this.#used++;
  }

  release(slot: number): void {
    this.count--;
    this.segment[slot] = 0;
    this.live[slot] = this.#free;
    this.#free = slot;
  }

  idOf(slot: number): MessageId {
    return { epoch: this.epoch[slot]!, sequence: this.sequence[slot]! };
  }

  locationOf(slot: number): SpoolLocation {
    return {
      segment: this.segment[slot]!,
      recordAt: this.recordAt[slot]!,
      recordBytes: this.recordBytes[slot]!,
    };
  }

  moveTo(slot: number, { segment, recordAt, recordBytes }: SpoolLocation): void {
    this.segment[slot] = segment;
    this.recordAt[slot] = recordAt;
    this.recordBytes[slot] = recordBytes;
  }

  /** Of messages that lie in that segment. */
  *slotsIn(segment: number): Iterable<number> {
    for (let slot = 0; slot < this.#used; slot++) if (this.segment[slot] === segment) yield slot;
  }

  bytes(): number {
    return this.live.length * 44;
  }

  #grow(): void {
    this.epoch = doubled(this.epoch);
    this.sequence = doubled(this.sequence);
    this.segment = doubled(this.segment);
    this.recordAt = doubled(this.recordAt);
    this.recordBytes = doubled(this.recordBytes);
    this.sizeBytes = doubled(this.sizeBytes);
    this.queuedAtMs = doubled(this.queuedAtMs);
    this.live = doubled(this.live);
  }
}

/**
 * One row an owed recipient: 31 bytes. It is in one place at a time: on its queue's ready list, in the
 * heap of those that wait, or in a batch under delivery. A freed row is linked through `next`.
 */
export class RecipientTable {
  /** `none`: the row is free. */
  message = new Int32Array(firstCapacity);
  queue = new Int32Array(firstCapacity);
  /** Place in the envelope. */
  index = new Uint32Array(firstCapacity);
  attempts = new Uint16Array(firstCapacity);
  /** 1 where the message has more than one recipient in this queue. */
  hasSiblings = new Uint8Array(firstCapacity);
  /** Neighbours on the ready list. */
  next = new Int32Array(firstCapacity);
  previous = new Int32Array(firstCapacity);
  /** Neighbours on the page of the expiry calendar; only while ready. */
  pageNext = new Int32Array(firstCapacity);
  pagePrevious = new Int32Array(firstCapacity);
  count = 0;
  #used = 0;
  #free = none;

  claim(): number {
    this.count++;
    if (this.#free !== none) {
      const slot = this.#free;
      this.#free = this.next[slot]!;
      return slot;
    }
    if (this.#used === this.next.length) this.#grow();
    return this.#used++;
  }

  release(slot: number): void {
    this.count--;
    this.message[slot] = none;
    this.next[slot] = this.#free;
    this.#free = slot;
  }

  /** Of every message for which `isWanted` holds more than 0. */
  *slotsOf(isWanted: Int32Array): Iterable<number> {
    for (let slot = 0; slot < this.#used; slot++) {
      const message = this.message[slot]!;
      if (message !== none && isWanted[message]! > 0) yield slot;
    }
  }

  /** Rows in use. */
  *slots(): Iterable<number> {
    for (let slot = 0; slot < this.#used; slot++) if (this.message[slot] !== none) yield slot;
  }

  bytes(): number {
    return this.next.length * 31;
  }

  #grow(): void {
    this.message = doubled(this.message);
    this.queue = doubled(this.queue);
    this.index = doubled(this.index);
    this.attempts = doubled(this.attempts);
    this.hasSiblings = doubled(this.hasSiblings);
    this.next = doubled(this.next);
    this.previous = doubled(this.previous);
    this.pageNext = doubled(this.pageNext);
    this.pagePrevious = doubled(this.pagePrevious);
  }
}
