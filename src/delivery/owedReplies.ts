import type { Awaited, ClientSettings, Verb } from './clientEffect.ts';
import type { Job } from './clientJob.ts';
import { timeoutOf } from './clientTable.ts';
import { ContentProgress } from './contentProgress.ts';

/** Something that is owed to us, as a rule a reply. */
export interface Owed {
  readonly verb: Verb;
  /** The transaction it belongs to; undefined for the connection's own commands. */
  readonly job: Job | undefined;
  /** For `rcpt`: position in the transaction's recipients. */
  readonly slot: number;
}

/** What is owed to us, in the order it has to come, and until when the first of it. */
export class OwedReplies {
  readonly progress: ContentProgress;
  readonly #settings: ClientSettings;
  readonly #owed: Owed[] = [];
  #deadlineMs = Number.POSITIVE_INFINITY;
  /** The first one, when `#deadlineMs` was set. */
  #timed: Owed | undefined;
  /** `#deadlineMs` is that of a reply whose beginning has come. */
  #isInside = false;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.progress = new ContentProgress(settings);
  }

  get first(): Owed | undefined {
    return this.#owed[0];
  }

  get awaited(): Awaited {
    return this.#owed[0]?.verb ?? 'idle';
  }

  get length(): number {
    return this.#owed.length;
  }

  /** Monotonic; Infinity while nothing is owed. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  owe(verb: Verb, job?: Job, slot = 0): void {
    this.#owed.push({ verb, job, slot });
  }

  /** The first one has come. */
  came(): void {
    this.#owed.shift();
  }

  /** Nothing will come any more. */
  clear(): void {
    this.#owed.length = 0;
    this.#timed = undefined;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.progress.end();
  }

  /** A reply is complete: if another has begun, it has a time of its own. */
  completed(): void {
    this.#isInside = false;
  }

  /** A reply has begun, however often it is said: its time runs from its first octets. */
  begun(nowMs: number): void {
    if (this.#isInside) return;
    this.#isInside = true;
    this.#deadlineMs = nowMs + this.#settings.multiLineResponseTimeoutMs;
  }

  /** The kernel took all that was written. */
  drained(nowMs: number): void {
    if (!this.progress.isLeaving) return;
    this.progress.left(nowMs);
    if (!this.#isInside) this.#deadlineMs = this.progress.deadlineMs;
  }

  /** @param heldBytes what the connection holds */
  look(heldBytes: number, nowMs: number): void {
    if (!this.progress.isLeaving) return;
    this.progress.look(heldBytes, nowMs);
    if (!this.#isInside) this.#deadlineMs = this.progress.deadlineMs;
  }

  /** Sets the deadline when something else has become the first. */
  time(nowMs: number): void {
    const first = this.#owed[0];
    if (first === this.#timed) return;
    this.#timed = first;
    this.#deadlineMs = this.progress.isLeaving
      ? this.progress.deadlineMs
      : nowMs + timeoutOf(this.awaited, this.#settings);
  }
}
