import { doubledAll } from '../base/column.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { QueueName } from '../message/names.ts';
import { isAtRest, type QueueState } from '../message/queueState.ts';
import {
  type HoldReason,
  holdNumber,
  holdOf,
  type OwedAfterRestart,
  type OwedRecipient,
  type OwedSink,
  type SettledRecipient,
} from './owed.ts';

/** A queue's state, and the segment of its record. */
export interface FoundQueueState {
  readonly state: QueueState;
  readonly segment: number;
}

const none = -1;
const firstCapacity = 1024;
const mostAttempts = 0xffff;
const deleted = holdNumber('deleted');

/**
 * Messages minus terminal outcomes, with what deferrals say of the rest, told in spool order. About 90 bytes
 * a message, in typed arrays: objects by the million cost five times that, and a Map ends at 16.7 million.
 */
export class OwedIndex implements OwedSink, Iterable<OwedAfterRestart> {
  #messages = {
    epoch: new Uint32Array(firstCapacity),
    sequence: new Float64Array(firstCapacity),
    segment: new Uint32Array(firstCapacity),
    recordAt: new Float64Array(firstCapacity),
    recordBytes: new Uint32Array(firstCapacity),
    storedBytes: new Float64Array(firstCapacity),
    timeQueuedMs: new Float64Array(firstCapacity),
    vmta: new Int32Array(firstCapacity),
    hasBodyFile: new Uint8Array(firstCapacity),
    /** Its first owed recipient; `none` while the row is free: then `timeQueuedMs` leads to the next free one. */
    recipients: new Int32Array(firstCapacity).fill(none),
  };
  #recipients = {
    index: new Uint32Array(firstCapacity),
    domain: new Int32Array(firstCapacity),
    attempts: new Uint16Array(firstCapacity),
    nextTryMs: new Float64Array(firstCapacity),
    /** `holdNumber` of why. */
    heldFor: new Uint8Array(firstCapacity),
    next: new Int32Array(firstCapacity),
  };
  #messagesUsed = 0;
  #recipientsUsed = 0;
  #freeMessage = none;
  #freeRecipient = none;
  /** Open addressing over message rows; at most half full. */
  #buckets = new Int32Array(2 * firstCapacity).fill(none);
  readonly #names: string[] = [];
  readonly #numberOfName = new Map<string, number>();
  /** Messages. */
  size = 0;
  /** Of queues that are not at rest. */
  readonly queueStates = new Map<QueueName, FoundQueueState>();

  put(message: OwedAfterRestart): void {
    this.#remove(message.id);
    if (message.recipients.length === 0) return;
    const row = this.#claimMessage();
    const messages = this.#messages;
    messages.epoch[row] = message.id.epoch;
    messages.sequence[row] = message.id.sequence;
    messages.segment[row] = message.location.segment;
    messages.recordAt[row] = message.location.recordAt;
    messages.recordBytes[row] = message.location.recordBytes;
    messages.storedBytes[row] = message.storedBytes;
    messages.timeQueuedMs[row] = message.timeQueuedMs;
    messages.vmta[row] = this.#numberOf(message.vmta);
    messages.hasBodyFile[row] = Number(message.hasBodyFile);
    let next = none;
    for (const { index, domain, attempts, nextTryMs, heldFor } of message.recipients.toReversed()) {
      const at = this.#claimRecipient();
      const recipients = this.#recipients;
      recipients.index[at] = index;
      recipients.domain[at] = this.#numberOf(domain);
      recipients.attempts[at] = Math.min(attempts, mostAttempts);
      recipients.nextTryMs[at] = nextTryMs;
      recipients.heldFor[at] = holdNumber(heldFor);
      recipients.next[at] = next;
      next = at;
    }
    messages.recipients[row] = next;
    this.#enter(row);
  }

  settle({ id, recipientIndex, kind, attempts, nextTryMs }: SettledRecipient): void {
    const bucket = this.#bucketOf(id);
    const row = this.#buckets[bucket]!;
    if (row === none) return;
    const recipients = this.#recipients;
    let before = none;
    let at = this.#messages.recipients[row]!;
    while (at !== none && recipients.index[at] !== recipientIndex) {
      before = at;
      at = recipients.next[at]!;
    }
    if (at === none) return;
    if (kind === 'deferred') {
      recipients.attempts[at] = Math.min(attempts, mostAttempts);
      recipients.nextTryMs[at] = nextTryMs;
      recipients.heldFor[at] = 0;
      return;
    }
    const next = recipients.next[at]!;
    if (before === none) this.#messages.recipients[row] = next;
    else recipients.next[before] = next;
    this.#releaseRecipient(at);
    if (this.#messages.recipients[row] === none) this.#leave(bucket);
  }

  hold(id: MessageId, reason: HoldReason | undefined): void {
    const row = this.#buckets[this.#bucketOf(id)]!;
    if (row !== none) this.#holdRow(row, reason);
  }

  purge(id: MessageId, recipientIndex: number): void {
    const row = this.#buckets[this.#bucketOf(id)]!;
    if (row === none) return;
    const { index, heldFor, next } = this.#recipients;
    for (let at = this.#messages.recipients[row]!; at !== none; at = next[at]!)
      if (index[at] === recipientIndex) heldFor[at] = deleted;
  }

  /**
   * At this point of the spool something cannot be read: any recipient that is owed may have had its outcome
   * there, but for those of messages that `cannotBe`. What is told later shows who had not.
   */
  doubt(cannotBe: (location: SpoolLocation) => boolean): void {
    for (let row = 0; row < this.#messagesUsed; row++) {
      if (this.#messages.recipients[row] === none || cannotBe(this.#locationOf(row))) continue;
      this.#holdRow(row, 'doubtful');
    }
  }

  queueState(state: QueueState, segment: number): void {
    if (isAtRest(state)) this.queueStates.delete(state.queue);
    else this.queueStates.set(state.queue, { state, segment });
  }

  *[Symbol.iterator](): Iterator<OwedAfterRestart> {
    for (let row = 0; row < this.#messagesUsed; row++) {
      if (this.#messages.recipients[row] !== none) yield this.#read(row);
    }
  }

  #read(row: number): OwedAfterRestart {
    const messages = this.#messages;
    return {
      id: { epoch: messages.epoch[row]!, sequence: messages.sequence[row]! },
      location: this.#locationOf(row),
      storedBytes: messages.storedBytes[row]!,
      hasBodyFile: messages.hasBodyFile[row] === 1,
      vmta: this.#names[messages.vmta[row]!]!,
      timeQueuedMs: messages.timeQueuedMs[row]!,
      recipients: this.#readRecipients(messages.recipients[row]!),
    };
  }

  #readRecipients(first: number): readonly OwedRecipient[] {
    const recipients = this.#recipients;
    const read: OwedRecipient[] = [];
    for (let at = first; at !== none; at = recipients.next[at]!) {
      read.push({
        index: recipients.index[at]!,
        domain: this.#names[recipients.domain[at]!]!,
        attempts: recipients.attempts[at]!,
        nextTryMs: recipients.nextTryMs[at]!,
        heldFor: holdOf(recipients.heldFor[at]!),
      });
    }
    return read;
  }

  #holdRow(row: number, reason: HoldReason | undefined): void {
    const { heldFor, next } = this.#recipients;
    for (let at = this.#messages.recipients[row]!; at !== none; at = next[at]!)
      // Of one that is deleted a lost outcome is all there is to doubt.
      if (heldFor[at] !== deleted || reason === 'doubtful') heldFor[at] = holdNumber(reason);
  }

  #locationOf(row: number): SpoolLocation {
    return {
      segment: this.#messages.segment[row]!,
      recordAt: this.#messages.recordAt[row]!,
      recordBytes: this.#messages.recordBytes[row]!,
    };
  }

  #remove(id: MessageId): void {
    const bucket = this.#bucketOf(id);
    const row = this.#buckets[bucket]!;
    if (row === none) return;
    for (let at = this.#messages.recipients[row]!; at !== none; ) {
      const next = this.#recipients.next[at]!;
      this.#releaseRecipient(at);
      at = next;
    }
    this.#leave(bucket);
  }

  #claimMessage(): number {
    if (this.#freeMessage !== none) {
      const row = this.#freeMessage;
      this.#freeMessage = this.#messages.timeQueuedMs[row]!;
      return row;
    }
    if (this.#messagesUsed === this.#messages.epoch.length) this.#messages = doubledAll(this.#messages);
    return this.#messagesUsed++;
  }

  #claimRecipient(): number {
    if (this.#freeRecipient !== none) {
      const at = this.#freeRecipient;
      this.#freeRecipient = this.#recipients.next[at]!;
      return at;
    }
    if (this.#recipientsUsed === this.#recipients.index.length)
      this.#recipients = doubledAll(this.#recipients);
    return this.#recipientsUsed++;
  }

  #releaseRecipient(at: number): void {
    this.#recipients.next[at] = this.#freeRecipient;
    this.#freeRecipient = at;
  }

  /** The bucket that holds this id, or the empty one where it would stand. */
  #bucketOf({ epoch, sequence }: MessageId): number {
    const messages = this.#messages;
    const buckets = this.#buckets;
    for (let bucket = this.#homeOf(epoch, sequence); ; bucket = this.#after(bucket)) {
      const row = buckets[bucket]!;
      if (row === none) return bucket;
      if (messages.sequence[row] === sequence && messages.epoch[row] === epoch) return bucket;
    }
  }

  #homeOf(epoch: number, sequence: number): number {
    const mixed = Math.imul((sequence >>> 0) ^ Math.imul(epoch, 0x9e3779b1), 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & (this.#buckets.length - 1);
  }

  #enter(row: number): void {
    this.size += 1;
    if (this.size * 2 > this.#buckets.length) this.#widen();
    else this.#buckets[this.#bucketOf(this.#idOf(row))] = row;
  }

  /** Every row but the free ones; the one just filled is among them. */
  #widen(): void {
    this.#buckets = new Int32Array(this.#buckets.length * 2).fill(none);
    for (let row = 0; row < this.#messagesUsed; row++) {
      if (this.#messages.recipients[row] !== none) this.#buckets[this.#bucketOf(this.#idOf(row))] = row;
    }
  }

  /** Frees the row of a bucket; those behind it that it kept from their place move up. */
  #leave(bucket: number): void {
    const buckets = this.#buckets;
    const messages = this.#messages;
    const row = buckets[bucket]!;
    this.size -= 1;
    messages.recipients[row] = none;
    messages.timeQueuedMs[row] = this.#freeMessage;
    this.#freeMessage = row;
    let hole = bucket;
    buckets[hole] = none;
    for (let at = this.#after(hole); buckets[at] !== none; at = this.#after(at)) {
      const other = buckets[at]!;
      const home = this.#homeOf(messages.epoch[other]!, messages.sequence[other]!);
      // Cyclically: is its home at or before the hole?
      if (hole < at ? hole < home && home <= at : hole < home || home <= at) continue;
      buckets[hole] = other;
      buckets[at] = none;
      hole = at;
    }
  }

  /** Their number is a power of two. */
  #after(bucket: number): number {
    return (bucket + 1) & (this.#buckets.length - 1);
  }

  #idOf(row: number): MessageId {
    return { epoch: this.#messages.epoch[row]!, sequence: this.#messages.sequence[row]! };
  }

  /** Domains and virtual MTAs are few; each is kept once. */
  #numberOf(name: string): number {
    const known = this.#numberOfName.get(name);
    if (known !== undefined) return known;
    this.#numberOfName.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }
}
