import { formatMessageId, type MessageId } from '../message/messageId.ts';
import { type HoldReason, isQuarantined, type OwedAfterRestart } from '../spool/owed.ts';
import type { Spool } from '../spool/spool.ts';

/** A message, with those of its recipients that are kept back from delivery. */
export type Quarantined = Pick<OwedAfterRestart, 'id' | 'location' | 'vmta' | 'timeQueuedMs' | 'recipients'>;

/** What is told of a message that is held: it may have recipients by the thousand. */
export interface QuarantinedSummary extends Pick<Quarantined, 'id' | 'vmta'> {
  /** Wall time; undefined: not known any more. */
  readonly timeQueuedMs: number | undefined;
  readonly recipients: number;
  /** The first of theirs. */
  readonly domains: readonly string[];
  readonly heldFor: readonly HoldReason[];
}

const domainsMax = 10;

/** Of those recipients that are held. */
export function quarantinedSummary({ id, vmta, timeQueuedMs, recipients }: Quarantined): QuarantinedSummary {
  const held = recipients.filter(isQuarantined);
  return {
    id,
    vmta,
    timeQueuedMs: timeQueuedMs === 0 ? undefined : timeQueuedMs,
    recipients: held.length,
    domains: [...new Set(held.map(({ domain }) => domain))].slice(0, domainsMax),
    heldFor: [...new Set(held.flatMap(({ heldFor }) => heldFor ?? []))],
  };
}

/** Messages that are owed and not tried: no scheduler knows them. The spool remembers them. */
export class Quarantine {
  readonly #spool: Pick<Spool, 'hold'>;
  readonly #messages = new Map<string, Quarantined>();

  constructor(spool: Pick<Spool, 'hold'>) {
    this.#spool = spool;
  }

  /** From now on, restarts included. */
  hold(message: Quarantined, reason: HoldReason): void {
    if (!this.#messages.has(formatMessageId(message.id))) this.#spool.hold(message.id, reason);
    this.take(message);
  }

  /** As the spool remembers it. Recipients of a message that is here already join the others. */
  take(message: Quarantined): void {
    const key = formatMessageId(message.id);
    const recipients = [...(this.#messages.get(key)?.recipients ?? []), ...message.recipients];
    this.#messages.set(key, { ...message, recipients });
  }

  get(id: MessageId): Quarantined | undefined {
    return this.#messages.get(formatMessageId(id));
  }

  /** It is not here any more. */
  release(id: MessageId): Quarantined | undefined {
    const message = this.get(id);
    if (message !== undefined) this.#spool.hold(id, undefined);
    this.#messages.delete(formatMessageId(id));
    return message;
  }

  moved(id: MessageId, location: Quarantined['location']): void {
    const message = this.get(id);
    if (message !== undefined) this.#messages.set(formatMessageId(id), { ...message, location });
  }

  all(): readonly Quarantined[] {
    return [...this.#messages.values()];
  }

  /** Messages. */
  get size(): number {
    return this.#messages.size;
  }
}
