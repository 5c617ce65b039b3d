import type { Clock, Timer } from '../base/ports.ts';

/** A day: Node's timers end at 24.8 of them. */
const longestMs = 86_400_000;

/** One timer for the earliest time at which something is to be looked at again. */
export class WakeTimer {
  readonly #clock: Clock;
  readonly #wake: () => void;
  #next: { readonly atMs: number; readonly timer: Timer } | undefined;

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Not later than then; Infinity: whenever. It may wake too early, and is set anew then. */
  at(atMs: number, nowMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY || (this.#next !== undefined && this.#next.atMs <= atMs)) return;
    this.cancel();
    const timer = this.#clock.after(Math.min(atMs - nowMs, longestMs), () => {
      this.#next = undefined;
      this.#wake();
    });
    this.#next = { atMs, timer };
  }

  cancel(): void {
    this.#next?.timer.cancel();
    this.#next = undefined;
  }
}
