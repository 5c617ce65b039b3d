import type { Clock, Log } from '../base/ports.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { OwedMail, OwedMessage } from '../spool/copyForward.ts';
import type { SnapshotRecipient } from '../spool/record.ts';
import type { Overdue } from './overdue.ts';
import type { Quarantine } from './quarantine.ts';

export interface OwedMailParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly overdue: Overdue;
  readonly quarantine: Quarantine;
  readonly log: Log;
}

/** No scheduler knows it, or not any more. */
const noHandle = -1;

/** Everything this engine owes: scheduled, overdue, in quarantine. */
export class EngineMail implements OwedMail {
  readonly #parts: OwedMailParts;
  /** Found so while they were to be copied. An attempt at delivery will find the same, and hold them. */
  readonly #damaged = new Set<string>();

  constructor(parts: OwedMailParts) {
    this.#parts = parts;
  }

  owedIn(segment: number): readonly OwedMessage[] {
    const { scheduler, overdue, quarantine } = this.#parts;
    const elsewhere = [...overdue.waiting, ...quarantine.all()].filter(
      ({ location }) => location.segment === segment,
    );
    const owed = new Map<string, OwedMessage>();
    const add = (handle: number, id: MessageId, location: SpoolLocation): void => {
      const key = formatMessageId(id);
      const held = quarantine.get(id)?.recipients ?? [];
      const isDamaged = this.#damaged.has(key) || held.some(({ heldFor }) => heldFor === 'damaged');
      owed.set(key, { handle, id, location, isDamaged });
    };
    for (const { id, location } of elsewhere) add(noHandle, id, location);
    for (const { handle, id, location } of scheduler.standing.messagesIn(segment)) add(handle, id, location);
    return [...owed.values()];
  }

  recipientsOf(messages: readonly OwedMessage[]): readonly (readonly SnapshotRecipient[])[] {
    const { clock, scheduler, overdue, quarantine } = this.#parts;
    const nowMs = clock.wallMs();
    const scheduled = scheduler.standing.recipientsOf(messages, clock.monotonicMs());
    const late = new Map<string, SnapshotRecipient[]>();
    const segments = new Set(messages.map(({ location }) => location.segment));
    for (const { id, location, recipientIndex, attempts } of overdue.waiting) {
      if (!segments.has(location.segment)) continue;
      const recipients = late.get(formatMessageId(id)) ?? [];
      recipients.push({ index: recipientIndex, attempts, nextTryMs: 0, heldFor: undefined });
      late.set(formatMessageId(id), recipients);
    }
    return messages.map(({ id }, i) => [
      ...scheduled[i]!.map(({ index, attempts, nextTryInMs }) => ({
        index,
        attempts,
        nextTryMs: nextTryInMs === 0 ? 0 : nowMs + nextTryInMs,
        heldFor: this.#damaged.has(formatMessageId(id)) ? ('damaged' as const) : undefined,
      })),
      ...(late.get(formatMessageId(id)) ?? []),
      ...(quarantine.get(id)?.recipients ?? []),
    ]);
  }

  moved(message: OwedMessage, to: SpoolLocation): void {
    const { scheduler, overdue, quarantine } = this.#parts;
    this.#damaged.delete(formatMessageId(message.id));
    scheduler.standing.moved(message, to);
    overdue.moved(message.id, to);
    quarantine.moved(message.id, to);
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
}
