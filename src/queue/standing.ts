import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import { type MessageTable, none, type RecipientTable } from './columns.ts';
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
    /** By handle: its place among them, from 1. */
    const place = new Int32Array(this.#messages.live.length);
    messages.forEach(({ handle, id }, i) => {
      if (this.#isStill(handle, id)) place[handle] = i + 1;
    });
    const { message, queue, index, attempts } = this.#recipients;
    const slots = [...this.#recipients.slotsOf(place)];
    const isWanted = new Uint8Array(message.length);
    for (const slot of slots) isWanted[slot] = 1;
    const waitsUntilMs = new Map(this.#waiting.entriesOf(isWanted));
    const found = messages.map((): StandingRecipient[] => []);
    for (const slot of slots) {
      const nextTryInMs = Math.max(0, (waitsUntilMs.get(slot) ?? nowMs) - nowMs);
      found[place[message[slot]!]! - 1]!.push({
        index: index[slot]!,
        attempts: attempts[slot]!,
        nextTryInMs,
        ...(queue[slot] === none && { isDeleted: true }),
      });
    }
    return found;
  }

  /** The scheduler's names for a message: more than one when some of its recipients came back later. */
  handlesOf({ epoch, sequence }: MessageId): readonly MessageHandle[] {
    const { sequence: sequences } = this.#messages;
    const handles: MessageHandle[] = [];
    for (let at = sequences.indexOf(sequence); at >= 0; at = sequences.indexOf(sequence, at + 1)) {
      if (this.#isStill(at, { epoch, sequence })) handles.push(at);
    }
    return handles;
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
