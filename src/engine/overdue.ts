import type { SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import type { ExpiredRecipient } from '../queue/schedule.ts';
import type { SpoolReadFailure, StoredMessage } from '../spool/spool.ts';

export type OverdueRecipient = Pick<ExpiredRecipient, 'queue' | 'recipientIndex' | 'attempts' | 'cause'>;

/** A message with recipients past bounce-after, or of a queue that was given up. */
export interface OverdueMessage {
  readonly id: MessageId;
  /** Where it lies now: it may be copied forward while it waits. */
  readonly location: SpoolLocation;
  readonly recipients: readonly OverdueRecipient[];
}

export interface OverdueSetup {
  /** False while outcomes do not become durable: more of them would only fill the memory. */
  maySettle(): boolean;
  read(location: SpoolLocation): Promise<StoredMessage | SpoolReadFailure>;
  /** It was read: each recipient gets its outcome. */
  bounce(message: OverdueMessage, stored: StoredMessage): void;
  /** It cannot be read; told once. */
  unreadable(message: OverdueMessage, code: string): void;
  /** Its content is damaged: nobody is to try it any more. */
  hold(message: OverdueMessage): void;
}

interface Late extends OverdueMessage {
  location: SpoolLocation;
  readonly recipients: OverdueRecipient[];
  /** The code that was told last. */
  told: string;
}

/**
 * Recipients past bounce-after whose envelopes are on disk only. One message is read at a time: after a long
 * stop all that waited may be overdue at once.
 */
export class Overdue {
  readonly #setup: OverdueSetup;
  readonly #waiting = new Map<string, Late>();
  #recipients = 0;
  #isReading = false;
  #isStopped = false;

  constructor(setup: OverdueSetup) {
    this.#setup = setup;
  }

  /** Those without an outcome so far. */
  get waiting(): Iterable<OverdueRecipient & Pick<OverdueMessage, 'id' | 'location'>> {
    return this.#all();
  }

  get messages(): number {
    return this.#waiting.size;
  }

  get recipients(): number {
    return this.#recipients;
  }

  add({ id, location, queue, recipientIndex, attempts, cause }: ExpiredRecipient): void {
    const key = formatMessageId(id);
    const recipient = { queue, recipientIndex, attempts, cause };
    const message = this.#waiting.get(key);
    this.#recipients += 1;
    if (message === undefined) this.#waiting.set(key, { id, location, recipients: [recipient], told: '' });
    else message.recipients.push(recipient);
    this.tick();
  }

  /** What could not be read is tried again. */
  tick(): void {
    if (!this.#isReading && !this.#isStopped && this.#waiting.size > 0) void this.#readAll();
  }

  moved(id: MessageId, location: SpoolLocation): void {
    const message = this.#waiting.get(formatMessageId(id));
    if (message !== undefined) message.location = location;
  }

  /** Nothing may be put into a spool that closes; the next start finds them overdue again. */
  stop(): void {
    this.#isStopped = true;
  }

  *#all(): Iterable<OverdueRecipient & Pick<OverdueMessage, 'id' | 'location'>> {
    for (const { id, location, recipients } of this.#waiting.values()) {
      for (const recipient of recipients) yield { ...recipient, id, location };
    }
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    for (const [key, message] of this.#waiting) {
      if (!this.#setup.maySettle()) break;
      const read = await this.#setup.read(message.location);
      if (this.#isStopped) return;
      if (!this.#settle(message, read)) continue;
      this.#waiting.delete(key);
      this.#recipients -= message.recipients.length;
    }
    this.#isReading = false;
  }

  /** False: it is to be tried again later. */
  #settle(message: Late, read: StoredMessage | SpoolReadFailure): boolean {
    if (read.kind === 'stored') {
      this.#setup.bounce(message, read);
      return true;
    }
    if (read.code !== message.told) this.#setup.unreadable(message, read.code);
    message.told = read.code;
    if (read.code !== 'damaged') return false;
    this.#setup.hold(message);
    return true;
  }
}
