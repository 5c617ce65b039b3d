import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { ExpiredRecipient } from '../queue/schedule.ts';
import type { SpoolReadFailure, StoredMessage } from '../spool/spool.ts';

export interface OverdueSetup {
  read(location: SpoolLocation): Promise<StoredMessage | SpoolReadFailure>;
  /** Its envelope was read: it gets its outcome. */
  bounce(recipient: ExpiredRecipient, message: StoredMessage): void;
  /** Its message cannot be read. False: it is to be tried again later. */
  unreadable(recipient: ExpiredRecipient, code: string): boolean;
}

/** It counts where its message lies, and that may change. */
type Late = Omit<ExpiredRecipient, 'location'> & { location: SpoolLocation };

/**
 * Recipients past bounce-after whose envelopes are on disk only. One read at a time: after a long stop all
 * that waited may be overdue at once.
 */
export class Overdue {
  readonly #setup: OverdueSetup;
  readonly #waiting = new Set<Late>();
  #isReading = false;
  #isStopped = false;

  constructor(setup: OverdueSetup) {
    this.#setup = setup;
  }

  /** Those without an outcome so far. */
  get waiting(): Iterable<ExpiredRecipient> {
    return this.#waiting;
  }

  add(recipient: ExpiredRecipient): void {
    this.#waiting.add({ ...recipient });
    if (!this.#isReading) void this.#readAll();
  }

  /** What could not be read is tried again. */
  tick(): void {
    if (!this.#isReading && this.#waiting.size > 0) void this.#readAll();
  }

  moved(id: MessageId, location: SpoolLocation): void {
    for (const one of this.#waiting) {
      if (one.id.sequence === id.sequence && one.id.epoch === id.epoch) one.location = location;
    }
  }

  /** Nothing may be put into a spool that closes; the next start finds them overdue again. */
  stop(): void {
    this.#isStopped = true;
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    for (const recipient of this.#waiting) {
      const read = await this.#setup.read(recipient.location);
      if (this.#isStopped) return;
      if (read.kind === 'unreadable' && !this.#setup.unreadable(recipient, read.code)) continue;
      if (read.kind === 'stored') this.#setup.bounce(recipient, read);
      this.#waiting.delete(recipient);
    }
    this.#isReading = false;
  }
}
