import type { Content, Envelope } from '../message/envelope.ts';

export interface HeldMessage {
  readonly envelope: Envelope;
  readonly content: Content;
}

interface Entry extends HeldMessage {
  unsettled: number;
}

/** Beside its content a held message costs about this. */
const overheadBytes = 1024;

/**
 * Messages kept in memory for their first attempt, so that mail that flows is never read back from
 * disk. Bounded: what does not fit is read from the spool when its turn comes.
 */
export class HeldContent {
  readonly #maxBytes: number;
  readonly #entries = new Map<number, Entry>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** `handle` is the scheduler's. */
  hold(handle: number, message: HeldMessage): void {
    const costBytes = costOf(message);
    if (this.#bytes + costBytes > this.#maxBytes) return;
    this.#bytes += costBytes;
    const { envelope, content } = message;
    this.#entries.set(handle, { envelope, content, unsettled: envelope.recipients.length });
  }

  get(handle: number): HeldMessage | undefined {
    return this.#entries.get(handle);
  }

  /** One recipient has its terminal outcome; with the last one the handle may be given again. */
  settled(handle: number): void {
    const entry = this.#entries.get(handle);
    if (entry === undefined) return;
    entry.unsettled -= 1;
    if (entry.unsettled === 0) this.drop(handle);
  }

  /** It will not be tried again soon. */
  drop(handle: number): void {
    const entry = this.#entries.get(handle);
    if (entry === undefined) return;
    this.#bytes -= costOf(entry);
    this.#entries.delete(handle);
  }
}

function costOf({ content }: HeldMessage): number {
  return content.sizeBytes + overheadBytes;
}
