import type { ClientSettings } from './clientEffect.ts';

/** A content of so many octets ends its write, see `isCertainlyHere`; a smaller one shares it. */
const loneContentBytes = 65_536;

type Timeouts = Pick<ClientSettings, 'dataSendTimeoutMs' | 'dataTerminationTimeoutMs'>;

/**
 * How the content that waits for its reply gets on, by what the connection says it still holds. While it
 * moves it may take as long as it likes; the remote's time to answer begins when it has left.
 */
export class ContentProgress {
  readonly #timeouts: Timeouts;
  /** What was here at the last look; 0: it has left, or there is none. */
  #unsentBytes = 0;
  /** When that last became less. */
  #movedMs = 0;
  #isLone = false;
  /** Octets of commands written behind the content. */
  #behindBytes = 0;

  constructor(timeouts: Timeouts) {
    this.#timeouts = timeouts;
  }

  /** Some of the content may still be here. */
  get isLeaving(): boolean {
    return this.#unsentBytes > 0;
  }

  /** The content ends its write: what goes out behind it has another one. */
  get isLone(): boolean {
    return this.#isLone;
  }

  /** When the content, or what is awaited after it, is given up. */
  get deadlineMs(): number {
    const { dataSendTimeoutMs, dataTerminationTimeoutMs } = this.#timeouts;
    return this.#movedMs + (this.isLeaving ? dataSendTimeoutMs : dataTerminationTimeoutMs);
  }

  /** A content is handed over. */
  begin(chunks: readonly Uint8Array[], nowMs: number): void {
    this.#unsentBytes = 0;
    for (const chunk of chunks) this.#unsentBytes += chunk.length;
    this.#isLone = this.#unsentBytes >= loneContentBytes;
    this.#behindBytes = 0;
    this.#movedMs = nowMs;
  }

  commandsFollow(sizeBytes: number): void {
    this.#behindBytes += sizeBytes;
  }

  /** @param heldBytes what the connection holds */
  look(heldBytes: number, nowMs: number): void {
    // With nothing left here it went at some time since the last look: the earliest is on the safe side.
    if (heldBytes > 0 && heldBytes < this.#unsentBytes) this.#movedMs = nowMs;
    this.#unsentBytes = heldBytes;
  }

  /** All has left just now. */
  left(nowMs: number): void {
    this.#movedMs = nowMs;
    this.#unsentBytes = 0;
  }

  /** Its reply came, or there will be none. */
  end(): void {
    this.#unsentBytes = 0;
  }

  /**
   * Octets of the content are certainly still here. A write is taken as a whole or not at all as far as we
   * are told, so commands that share the content's write leave it open; those of a later one do not.
   */
  isCertainlyHere(heldBytes: number): boolean {
    const isTold = this.#isLone || this.#behindBytes === 0;
    return isTold && heldBytes > this.#behindBytes;
  }
}
