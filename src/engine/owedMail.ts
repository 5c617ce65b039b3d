import type { Clock, Log } from '../base/ports.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import type { MessageHandle } from '../queue/schedule.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { OwedMail, OwedMessage } from '../spool/copyForward.ts';
import { isQuarantined, type OwedAfterRestart, type OwedRecipient } from '../spool/owed.ts';
import type { SnapshotRecipient } from '../spool/record.ts';
import type { Overdue, OverdueMessage, OverdueRecipient } from './overdue.ts';
import type { Quarantine, Quarantined } from './quarantine.ts';

export interface OwedMailParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly overdue: Overdue;
  /** Deleted, and their envelopes are being read. */
  readonly deleted: Pick<Overdue, 'waiting' | 'moved'>;
  readonly quarantine: Quarantine;
  readonly log: Log;
}

/** Everything this engine owes: scheduled, overdue, in quarantine. */
export class EngineMail implements OwedMail {
  readonly #parts: OwedMailParts;
  /** Found so while they were to be copied. An attempt at delivery will find the same, and hold them. */
  readonly #damaged = new Set<string>();
  /**
   * The scheduler's names for the messages of the segment that is copied. One that was released has more than
   * one of them when some of its recipients were not held.
   */
  readonly #handles = new Map<string, MessageHandle[]>();

  /** Taken up, and already deleted: places in the envelope by message. */
  readonly #deleted = new Map<MessageHandle, ReadonlySet<number>>();

  constructor(parts: OwedMailParts) {
    this.#parts = parts;
  }

  /** What the spool owed at the start: scheduled, or held where the spool remembers that, or it is `deadly`. */
  takeUp(message: OwedAfterRestart, deadly: ReadonlySet<string>): void {
    if (deadly.size > 0 && deadly.has(formatMessageId(message.id))) {
      this.#holdDeadly(message);
      return;
    }
    const held = message.recipients.filter(isQuarantined);
    if (held.length > 0) this.#parts.quarantine.take({ ...message, recipients: held });
    this.#scheduleTakenUp({
      ...message,
      recipients: message.recipients.filter((recipient) => !isQuarantined(recipient)),
    });
  }

  /** Once everything is taken up: those that were deleted before leave the queues again. */
  dropDeleted(): void {
    const { scheduler, clock } = this.#parts;
    const deleted = this.#deleted;
    if (deleted.size === 0) return;
    const of = (handle: MessageHandle, index: number): boolean => deleted.get(handle)?.has(index) ?? false;
    const what = { matches: () => true, queuedBeforeMs: Number.POSITIVE_INFINITY, of };
    scheduler.operating.delete(what, clock.monotonicMs());
    deleted.clear();
  }

  #scheduleTakenUp(message: OwedAfterRestart): void {
    if (message.recipients.length === 0) return;
    const { storedBytes, hasBodyFile } = message;
    // What is stored is a little more than the content; one in a file of its own is not counted there.
    const handle = this.#schedule(message, hasBodyFile ? undefined : storedBytes);
    const deleted = message.recipients.filter(({ heldFor }) => heldFor === 'deleted');
    if (deleted.length > 0) this.#deleted.set(handle, new Set(deleted.map(({ index }) => index)));
  }

  #holdDeadly(message: OwedAfterRestart): void {
    const { quarantine, log } = this.#parts;
    log.write('error', 'message.deadly', { id: formatMessageId(message.id) });
    const isDeleted = ({ heldFor }: OwedRecipient): boolean => heldFor === 'deleted';
    const recipients = message.recipients
      .filter((one) => !isDeleted(one))
      .map((one) => ({ ...one, heldFor: 'deadly' as const }));
    if (recipients.length > 0) quarantine.hold({ ...message, recipients }, 'deadly');
    this.#scheduleTakenUp({ ...message, recipients: message.recipients.filter(isDeleted) });
  }

  /** What is held of a message may be tried from now on. How many recipients; 0: nothing of it is held. */
  release(id: MessageId): number {
    const message = this.#parts.quarantine.release(id);
    if (message === undefined) return 0;
    const recipients = message.recipients.map((recipient) => ({ ...recipient, nextTryMs: 0 }));
    const handle = this.#schedule({ ...message, recipients });
    // Its segment may be on its way elsewhere at this moment.
    this.#handles.get(formatMessageId(id))?.push(handle);
    return recipients.length;
  }

  owedIn(segment: number): readonly OwedMessage[] {
    const { scheduler, overdue, deleted, quarantine } = this.#parts;
    const owed = new Map<string, OwedMessage>();
    this.#handles.clear();
    const add = (id: MessageId, location: SpoolLocation, handles: readonly MessageHandle[]): void => {
      const key = formatMessageId(id);
      const held = quarantine.get(id)?.recipients ?? [];
      const isDamaged = this.#damaged.has(key) || held.some(({ heldFor }) => heldFor === 'damaged');
      owed.set(key, { id, location, isDamaged });
      this.#handles.set(key, [...(this.#handles.get(key) ?? []), ...handles]);
    };
    for (const { id, location } of [...overdue.waiting, ...deleted.waiting, ...quarantine.all()]) {
      if (location.segment === segment) add(id, location, []);
    }
    for (const { handle, id, location } of scheduler.standing.messagesIn(segment))
      add(id, location, [handle]);
    return [...owed.values()];
  }

  recipientsOf(messages: readonly OwedMessage[]): readonly (readonly SnapshotRecipient[])[] {
    const { overdue, deleted, quarantine } = this.#parts;
    const scheduled = this.#scheduledOf(messages);
    const late = new Map<string, SnapshotRecipient[]>();
    const segments = new Set(messages.map(({ location }) => location.segment));
    const add = (
      one: OverdueRecipient & Pick<OverdueMessage, 'id' | 'location'>,
      heldFor?: 'deleted',
    ): void => {
      const { id, location, recipientIndex: index, attempts } = one;
      if (!segments.has(location.segment)) return;
      const recipients = late.get(formatMessageId(id)) ?? [];
      recipients.push({ index, attempts, nextTryMs: 0, heldFor });
      late.set(formatMessageId(id), recipients);
    };
    for (const one of overdue.waiting) add(one);
    for (const one of deleted.waiting) add(one, 'deleted');
    return messages.map(({ id }) => {
      const key = formatMessageId(id);
      return [
        ...(scheduled.get(key) ?? []),
        ...(late.get(key) ?? []),
        ...(quarantine.get(id)?.recipients ?? []),
      ];
    });
  }

  moved(message: OwedMessage, to: SpoolLocation): void {
    const { scheduler, overdue, deleted, quarantine } = this.#parts;
    const { id, location } = message;
    const key = formatMessageId(id);
    this.#damaged.delete(key);
    for (const handle of this.#handles.get(key) ?? []) scheduler.standing.moved({ handle, id, location }, to);
    overdue.moved(id, to);
    deleted.moved(id, to);
    quarantine.moved(id, to);
  }

  damaged({ id, location }: OwedMessage): void {
    const key = formatMessageId(id);
    this.#damaged.add(key);
    this.#parts.log.write('error', 'spool.unreadable', {
      id: key,
      segment: location.segment,
      code: 'damaged',
    });
  }

  #schedule(
    { id, location, vmta, timeQueuedMs, recipients }: Quarantined,
    sizeBytes?: number,
  ): MessageHandle {
    const { clock, scheduler } = this.#parts;
    const nowMs = clock.wallMs();
    return scheduler.add(
      {
        id,
        location,
        ...(sizeBytes === undefined ? {} : { sizeBytes }),
        vmta,
        ageMs: Math.max(0, nowMs - timeQueuedMs),
        recipients: recipients.map(({ index, domain, attempts, nextTryMs }) => ({
          index,
          domain,
          attempts,
          nextTryInMs: Math.max(0, nextTryMs - nowMs),
        })),
      },
      clock.monotonicMs(),
    );
  }

  #scheduledOf(messages: readonly OwedMessage[]): ReadonlyMap<string, readonly SnapshotRecipient[]> {
    const { clock, scheduler } = this.#parts;
    const nowMs = clock.wallMs();
    const standing = messages.flatMap((message) =>
      (this.#handles.get(formatMessageId(message.id)) ?? []).map((handle) => ({ ...message, handle })),
    );
    const recipients = scheduler.standing.recipientsOf(standing, clock.monotonicMs());
    const scheduled = new Map<string, SnapshotRecipient[]>();
    standing.forEach(({ id }, i) => {
      const key = formatMessageId(id);
      const known = scheduled.get(key) ?? [];
      scheduled.set(key, known);
      for (const { index, attempts, nextTryInMs, isDeleted } of recipients[i]!) {
        known.push({
          index,
          attempts,
          nextTryMs: nextTryInMs === 0 ? 0 : nowMs + nextTryInMs,
          heldFor: isDeleted ? 'deleted' : this.#damaged.has(key) ? 'damaged' : undefined,
        });
      }
    });
    return scheduled;
  }
}
