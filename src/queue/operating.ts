import type { QueueName } from '../message/names.ts';
import { type MessageTable, none, type RecipientTable } from './columns.ts';
import type { Queue } from './queue.ts';
import type {
  DeletedRecipient,
  Deletion,
  DeletionCounts,
  MessageHandle,
  PauseCounts,
  RetryCounts,
  StandingMessage,
} from './schedule.ts';
import type { TimeHeap } from './timeHeap.ts';

/** What of a scheduler an operator's commands work on. */
export interface Operated {
  readonly messages: MessageTable;
  readonly recipients: RecipientTable;
  readonly waiting: TimeHeap;
  queues(): Iterable<Queue>;
  queueOf(slot: number): Queue;
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

  /** These queues are paused from now on, or no more; for those that come later `isPaused` is asked. */
  pause(matches: (queue: QueueName) => boolean, isPaused: boolean, nowMs: number): PauseCounts {
    let recipients = 0;
    const queues = this.#matching(matches);
    for (const queue of queues.values()) {
      recipients += queue.recipients;
      if (isPaused === queue.isPaused) continue;
      queue.isPaused = isPaused;
      this.#of.review(queue, nowMs);
    }
    return { queues: queues.size, recipients };
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
    const { recipients, waiting } = this.#of;
    const queues = this.#matching(what.matches);
    const isMeant = this.#meant(what, queues);
    const isTrial = what.isTrial === true;
    const slots: number[] = isTrial
      ? Array.from(waiting.entriesOf(isMeant.marks), ([slot]) => slot)
      : [...waiting.extract((slot) => isMeant.marks[slot] === 1)];
    for (const queue of queues.values()) {
      for (let slot = queue.readyHead; slot !== none; ) {
        const next = recipients.next[slot]!;
        if (isMeant.marks[slot] === 1) {
          if (!isTrial) this.#of.unready(slot, queue);
          slots.push(slot);
        }
        slot = next;
      }
    }
    const counts = {
      queues: queues.size,
      recipients: slots.length,
      inDelivery: isMeant.count - slots.length,
    };
    if (isTrial) return { ...counts, named: noNames };
    const named = this.#namesOf(slots);
    for (const slot of slots) {
      queues.get(recipients.queue[slot]!)!.recipients--;
      this.#keepDeleted(slot);
    }
    for (const queue of queues.values()) this.#of.review(queue, nowMs);
    return { ...counts, named };
  }

  /** Messages some recipient of which is meant, by their handles from `from` on; `most` at a time. */
  messagesMeant(what: Deletion, from: MessageHandle, most: number): readonly StandingMessage[] {
    const { messages, recipients } = this.#of;
    const { marks } = this.#meant(what, this.#matching(what.matches));
    const isFound = new Uint8Array(messages.live.length);
    for (const slot of recipients.slots()) if (marks[slot] === 1) isFound[recipients.message[slot]!] = 1;
    const found: StandingMessage[] = [];
    for (let handle = isFound.indexOf(1, from); handle >= 0 && found.length < most; ) {
      found.push({ handle, id: messages.idOf(handle), location: messages.locationOf(handle) });
      handle = isFound.indexOf(1, handle + 1);
    }
    return found;
  }

  #meant(
    { queuedBeforeMs, of }: Deletion,
    queues: ReadonlyMap<number, Queue>,
  ): { readonly marks: Uint8Array; readonly count: number } {
    const { messages, recipients } = this.#of;
    const marks = new Uint8Array(recipients.message.length);
    let count = 0;
    for (const slot of recipients.slots()) {
      const message = recipients.message[slot]!;
      if (!queues.has(recipients.queue[slot]!) || messages.queuedAtMs[message]! > queuedBeforeMs) continue;
      if (of !== undefined && !of(message, recipients.index[slot]!)) continue;
      count++;
      marks[slot] = 1;
    }
    return { marks, count };
  }

  #namesOf(slots: readonly number[]): Float64Array {
    const { messages, recipients } = this.#of;
    const named = new Float64Array(slots.length * 3);
    let at = 0;
    for (const slot of slots) {
      const message = recipients.message[slot]!;
      named[at++] = messages.epoch[message]!;
      named[at++] = messages.sequence[message]!;
      named[at++] = recipients.index[slot]!;
    }
    return named;
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

const noNames = new Float64Array(0);
