import type { Clock, Log } from '../base/ports.ts';
import { deliveryEvent } from '../delivery/outcome.ts';
import type { Envelope, SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import { defaultVirtualMta, queueName } from '../message/names.ts';
import type { DeletedRecipient } from '../queue/schedule.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { Spool } from '../spool/spool.ts';
import type { HeldContent } from './heldContent.ts';
import { Overdue, type OverdueRecipient } from './overdue.ts';
import type { Quarantine } from './quarantine.ts';
import type { OutcomeCounts } from './sendings.ts';

export interface DeletionParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly scheduler: Scheduler;
  readonly spool: Pick<Spool, 'putEvent' | 'read' | 'unsyncedEvents'>;
  readonly held: HeldContent;
  readonly quarantine: Quarantine;
  readonly counts: OutcomeCounts;
}

/** So many outcomes wait for the disk at a time: deliveries go on beside them. */
const unsyncedMax = 256;
/** Messages that are being read, or wait for it. */
const waitingMax = 128;

/** Writes the outcomes of recipients that an operator deleted, in the background. */
export class Deletions {
  /** Their envelopes are on disk only. */
  readonly reading: Overdue;
  readonly #parts: DeletionParts;
  #isStopped = false;

  constructor(parts: DeletionParts) {
    this.#parts = parts;
    this.reading = new Overdue({
      maySettle: () => this.#mayPut(),
      read: (location) => parts.spool.read(location),
      bounce: ({ location, recipients }, { envelope }) => {
        for (const recipient of recipients) this.#settle(recipient, location, envelope);
      },
      unreadable: ({ id, location }, code) =>
        parts.log.write('error', 'spool.unreadable', {
          id: formatMessageId(id),
          segment: location.segment,
          code,
        }),
      hold: ({ id, location, recipients }) => this.#hold(id, location, recipients),
    });
  }

  /** Goes on, as far as outcomes become durable. */
  tick(): void {
    while (!this.#isStopped && this.#mayPut() && this.reading.messages < waitingMax) {
      const taken = this.#parts.scheduler.operating.takeDeleted(waitingMax);
      if (taken.length === 0) break;
      for (const recipient of taken) this.#take(recipient);
    }
    this.reading.tick();
  }

  stop(): void {
    this.#isStopped = true;
    this.reading.stop();
  }

  #mayPut(): boolean {
    return this.#parts.spool.unsyncedEvents < unsyncedMax;
  }

  #take(recipient: DeletedRecipient): void {
    const { held } = this.#parts;
    const message = held.get(recipient.handle);
    if (message === undefined) {
      this.reading.add({ ...recipient, queue: noQueue });
      return;
    }
    held.settled(recipient.handle);
    this.#settle(recipient, recipient.location, message.envelope);
  }

  #settle(
    { recipientIndex: index, attempts }: Pick<OverdueRecipient, 'recipientIndex' | 'attempts'>,
    location: SpoolLocation,
    envelope: Envelope,
  ): void {
    const event = deliveryEvent(
      { index, kind: 'failed', status: '5.0.0', diagnostic: 'deleted by administrator', bodySent: false },
      {
        envelope,
        queue: queueName(envelope.recipients[index]!.domain, envelope.vmta),
        nowMs: this.#parts.clock.wallMs(),
        remote: undefined,
        sizeBytes: 0,
        attempts,
        nextTryMs: 0,
        categoryOf: () => 'other',
      },
    );
    this.#parts.counts.failedTotal += 1;
    this.#parts.spool.putEvent(event!, location.segment);
  }

  /** It cannot be read, so its outcome cannot be told: somebody has to look at it. */
  #hold(id: MessageId, location: SpoolLocation, recipients: readonly OverdueRecipient[]): void {
    this.#parts.quarantine.hold(
      {
        id,
        location,
        vmta: defaultVirtualMta,
        timeQueuedMs: 0,
        recipients: recipients.map(({ recipientIndex: index, attempts }) => ({
          index,
          domain: 'unreadable.invalid',
          attempts,
          nextTryMs: 0,
          heldFor: 'damaged',
        })),
      },
      'damaged',
    );
  }
}

/** It is in none any more. */
const noQueue = '/' as const;
