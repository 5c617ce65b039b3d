import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { MessageTable, RecipientTable } from './columns.ts';
import type { MessageHandle, StandingMessage, StandingRecipient } from './schedule.ts';
import type { TimeHeap } from './timeHeap.ts';

/** What is owed of which message, wherever its recipients wait. Reads whole tables: not for every message. */
export class Standing {
  readonly #messages: MessageTable;
  readonly #recipients: RecipientTable;
  readonly #waiting: TimeHeap;

  constructor(messages: MessageTable, recipients: RecipientTable, waiting: TimeHeap) {
    this.#messages = messages;
    this.#recipients = recipients;
    this.#waiting = waiting;
  }

  /** Every message whose record lies in that segment. */
  messagesIn(segment: number): readonly StandingMessage[] {
    return Array.from(this.#messages.slotsIn(segment), (handle) => ({
      handle,
      id: this.#messages.idOf(handle),
      location: this.#messages.locationOf(handle),
    }));
  }

  /** The recipients of each that are still here; none for one that is not. */
  recipientsOf(
    messages: readonly StandingMessage[],
    nowMs: number,
  ): readonly (readonly StandingRecipient[])[] {
    const isWanted = new Uint8Array(this.#messages.live.length);
    for (const { handle, id } of messages) if (this.#isStill(handle, id)) isWanted[handle] = 1;
    const nextTryInMs = new Map(Array.from(this.#recipients.slotsOf(isWanted), (slot) => [slot, 0]));
    for (const [atMs, slot] of this.#waiting.entries()) {
      const isOf = isWanted[this.#recipients.message[slot]!]! > 0;
      if (isOf) nextTryInMs.set(slot, Math.max(0, atMs - nowMs));
    }
    const byMessage = new Map<MessageHandle, StandingRecipient[]>();
    for (const [slot, inMs] of nextTryInMs) {
      const handle = this.#recipients.message[slot]!;
      const recipients = byMessage.get(handle) ?? [];
      byMessage.set(handle, recipients);
      const index = this.#recipients.index[slot]!;
      recipients.push({ index, attempts: this.#recipients.attempts[slot]!, nextTryInMs: inMs });
    }
    return messages.map(({ handle, id }) => (this.#isStill(handle, id) ? (byMessage.get(handle) ?? []) : []));
  }

  /** Its record lies elsewhere from now on. */
  moved({ handle, id }: StandingMessage, to: SpoolLocation): void {
    if (this.#isStill(handle, id)) this.#messages.moveTo(handle, to);
  }

  /** Where it lies now; undefined when it is not here any more. */
  locationOf({ handle, id }: Pick<StandingMessage, 'handle' | 'id'>): SpoolLocation | undefined {
    return this.#isStill(handle, id) ? this.#messages.locationOf(handle) : undefined;
  }

  /** Since it was queued; only for one that is still here. */
  ageMs({ handle }: Pick<StandingMessage, 'handle'>, nowMs: number): number {
    return nowMs - this.#messages.queuedAtMs[handle]!;
  }

  /** A handle is given again when its message is gone. */
  #isStill(handle: MessageHandle, { epoch, sequence }: MessageId): boolean {
    const { segment, epoch: epochs, sequence: sequences } = this.#messages;
    return segment[handle] !== 0 && sequences[handle] === sequence && epochs[handle] === epoch;
  }
}
