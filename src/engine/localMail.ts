import type { Clock } from '../base/ports.ts';
import type { Content, Envelope, EnvelopeRecipient, SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import { formatDateTime } from '../protocol/dateTime.ts';
import { plainMessage } from '../protocol/ownMessage.ts';
import { recipientOf } from '../routing/recipient.ts';
import type { OwnedMessage, Spool } from '../spool/spool.ts';

/**
 * A message this server makes itself. It leaves with the null reverse-path, so nobody is told of its
 * failure (RFC 5321 section 4.5.5).
 */
export interface LocalMessage {
  readonly to: EnvelopeRecipient;
  readonly vmta: string;
  /** The pool that chose `vmta`, or ''. */
  readonly vmtaPool: string;
  /** Header and body, lines ended by CRLF, no dot stuffed. */
  readonly content: Uint8Array;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
}

/** A few words to a person: the operator, mostly. */
export interface Notification {
  /** As configured. */
  readonly to: string;
  /** What it is queued under. */
  readonly vmta: string;
  readonly subject: string;
  /** Lines end in `\n`. */
  readonly text: string;
}

export interface LocalMailSetup {
  readonly clock: Clock;
  readonly spool: Spool;
  /** The main host-name. */
  readonly hostName: string;
  /** It is owed from now on: into its queue. */
  readonly owed: (envelope: Envelope, content: Content, location: SpoolLocation) => void;
}

const noBytes = new Uint8Array(0);

/** Mail that comes from nobody but us. It is never refused: what a failing disk loses is written again. */
export class LocalMail {
  readonly #setup: LocalMailSetup;

  constructor(setup: LocalMailSetup) {
    this.#setup = setup;
  }

  /** False: there is no such address. */
  notify({ to, vmta, subject, text }: Notification): boolean {
    const recipient = recipientOf(to);
    if (recipient === undefined) return false;
    const { spool, clock, hostName } = this.#setup;
    const id = spool.nextId();
    const nowMs = clock.wallMs();
    const content = plainMessage({
      from: `Penstock <postmaster@${hostName}>`,
      to,
      subject,
      date: formatDateTime(nowMs, clock.zoneOffsetMinutes(nowMs)),
      messageId: `${formatMessageId(id)}@${hostName}`,
      text,
    });
    this.send(id, { to: recipient, vmta, vmtaPool: '', content, smtpUtf8: false, eightBit: false });
    return true;
  }

  send(id: MessageId, local: LocalMessage): void {
    const { message, owner } = this.stored(id, local);
    this.#setup.spool.putMessage(message, owner);
  }

  /** For who puts it into the spool beside something else. */
  stored(id: MessageId, local: LocalMessage): OwnedMessage {
    const { to, vmta, vmtaPool, smtpUtf8, eightBit } = local;
    const { clock, owed } = this.#setup;
    const content = { prefix: noBytes, chunks: [local.content], sizeBytes: local.content.length };
    const envelope: Envelope = {
      id,
      timeQueuedMs: clock.wallMs(),
      reversePath: '',
      recipients: [to],
      smtpUtf8,
      eightBit,
      wireForm: 'raw',
      vmta,
      vmtaPool,
      jobId: '',
      envId: '',
      dsnReturn: 'none',
      reception: { type: 'local', heloName: '', clientAddress: '', listenerAddress: '', listenerPort: 0 },
    };
    return {
      // Nobody waits for an answer, and without one a batch that fails takes the message along.
      message: { envelope, content, durability: 'none' },
      owner: { answer: () => undefined, owed: (location) => owed(envelope, content, location) },
    };
  }
}
