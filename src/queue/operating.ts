import type { MessageId } from '../message/messageId.ts';
import type { QueueName } from '../message/names.ts';
import { type MessageTable, none, type RecipientTable } from './columns.ts';
import type { Queue } from './queue.ts';
import type { DeletedRecipient, Deletion, DeletionCounts, RetryCounts } from './schedule.ts';
import type { TimeHeap } from './timeHeap.ts';

/** What of a scheduler an operator's commands work on. */
export interface Operated {
  readonly messages: MessageTable;
  readonly recipients: RecipientTable;
  readonly waiting: TimeHeap;
  queues(): Iterable<Queue>;
  queueOf(slot: number): Queue;
  isPaused(queue: QueueName): boolean;
  /** Its wait is over, though its step is not forgotten. */
  endWait(queue: Queue, nowMs: number): void;
  makeReady(slot: number, queue: Queue): void;
  unready(slot: number, queue: Queue): void;
  review(queue: Queue, nowMs: number): void;
}

/** An operator's commands to queues: each costs O(queues), and O(recipients) where it moves them. */
export class Operating {
  readonly #of: Operated;
  /** Deleted and not taken yet, linked through `next`: they are in no queue, and still owed. */
  #deletedHead = none;
  #deletedTail = none;

  constructor(of: Operated) {
    this.#of = of;
  }

  /** The rules of what is paused have changed. How many queues are paused now. */
  pausesChanged(nowMs: number): number {
    let paused = 0;
    for (const queue of [...this.#of.queues()]) {
      const isPaused = this.#of.isPaused(queue.name);
      if (isPaused) paused++;
      if (isPaused === queue.isPaused) continue;
      queue.isPaused = isPaused;
      this.#of.review(queue, nowMs);
    }
    return paused;
  }

  /** Ends the waits of these queues, and those of their deferred recipients. */
  retry(matches: (queue: QueueName) => boolean, nowMs: number): RetryCounts {
    const { waiting, recipients, queueOf } = this.#of;
    const queues = this.#matching(matches);
    const slots = waiting.extract((slot) => queues.has(recipients.queue[slot]!));
    for (const slot of slots) this.#of.makeReady(slot, queueOf(slot));
    for (const queue of queues.values()) {
      this.#of.endWait(queue, nowMs);
      this.#of.review(queue, nowMs);
    }
    return { queues: queues.size, recipients: slots.length };
  }

  /**
   * Takes recipients out of their queues for good. They stay owed until `takeDeleted` has told them; those in
   * delivery stay where they are.
   */
  delete(what: Deletion, nowMs: number): DeletionCounts {
    const { messages, recipients, waiting, queueOf } = this.#of;
    const queues = this.#matching(what.matches);
    const queuedBeforeMs = nowMs - what.olderThanMs;
    const isMeant = (slot: number): boolean => {
      const message = recipients.message[slot]!;
      return (
        messages.queuedAtMs[message]! <= queuedBeforeMs &&
        (what.of?.(message, recipients.index[slot]!) ?? true)
      );
    };
    let meant = 0;
    const isWanted = new Uint8Array(recipients.message.length);
    for (const slot of recipients.slots()) {
      if (!queues.has(recipients.queue[slot]!) || !isMeant(slot)) continue;
      meant++;
      isWanted[slot] = 1;
    }
    const slots: number[] = [...waiting.extract((slot) => isWanted[slot] === 1)];
    for (const queue of queues.values()) {
      for (let slot = queue.readyHead; slot !== none; ) {
        const next = recipients.next[slot]!;
        if (isWanted[slot] === 1) {
          this.#of.unready(slot, queue);
          slots.push(slot);
        }
        slot = next;
      }
    }
    const named = new Float64Array(slots.length * 3);
    slots.forEach((slot, i) => {
      const message = recipients.message[slot]!;
      named.set([messages.epoch[message]!, messages.sequence[message]!, recipients.index[slot]!], 3 * i);
      queueOf(slot).recipients--;
      this.#keepDeleted(slot);
    });
    for (const queue of queues.values()) this.#of.review(queue, nowMs);
    return { queues: queues.size, recipients: slots.length, inDelivery: meant - slots.length, named };
  }

  /** The oldest of those that were deleted; from now on the caller owes them. */
  takeDeleted(most: number): readonly DeletedRecipient[] {
    const { messages, recipients } = this.#of;
    const taken: DeletedRecipient[] = [];
    while (this.#deletedHead !== none && taken.length < most) {
      const slot = this.#deletedHead;
      const handle = recipients.message[slot]!;
      this.#deletedHead = recipients.next[slot]!;
      taken.push({
        handle,
        id: messages.idOf(handle),
        location: messages.locationOf(handle),
        recipientIndex: recipients.index[slot]!,
        attempts: recipients.attempts[slot]!,
      });
      recipients.release(slot);
      messages.live[handle]!--;
      if (messages.live[handle] === 0) messages.release(handle);
    }
    if (this.#deletedHead === none) this.#deletedTail = none;
    return taken;
  }

  #keepDeleted(slot: number): void {
    const { recipients } = this.#of;
    recipients.queue[slot] = none;
    recipients.next[slot] = none;
    if (this.#deletedTail === none) this.#deletedHead = slot;
    else recipients.next[this.#deletedTail] = slot;
    this.#deletedTail = slot;
  }

  /** By their ids. */
  #matching(matches: (queue: QueueName) => boolean): ReadonlyMap<number, Queue> {
    const matching = new Map<number, Queue>();
    for (const queue of this.#of.queues()) if (matches(queue.name)) matching.set(queue.id, queue);
    return matching;
  }
}

/** Names deleted recipients to those who remember them: epoch, sequence and place, three numbers each. */
export function* namedRecipients(
  named: Float64Array,
): Iterable<{ readonly id: MessageId; readonly recipientIndex: number }> {
  for (let at = 0; at < named.length; at += 3) {
    yield { id: { epoch: named[at]!, sequence: named[at + 1]! }, recipientIndex: named[at + 2]! };
  }
}
