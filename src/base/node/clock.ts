import type { Clock, Timer } from '../ports.ts';

/** setTimeout overflows above 2^31-1 ms and fires at once; longer delays are armed in steps. */
const stepMaxMs = 2_000_000_000;
/** Every zone that exists changes its offset on a quarter of an hour UTC (Lord Howe on a half). */
const zoneSliceMs = 900_000;

/** The machine's clocks. The zone is the process' own (TZ or /etc/localtime). */
export function systemClock(): Clock {
  let slice = Number.NaN;
  let offset = 0;
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    zoneOffsetMinutes(wallMs) {
      const wanted = Math.floor(wallMs / zoneSliceMs);
      if (wanted !== slice) {
        slice = wanted;
        // `|| 0`: getTimezoneOffset negated is -0 in UTC.
        offset = -new Date(wallMs).getTimezoneOffset() || 0;
      }
      return offset;
    },
    soon: (callback) => void setImmediate(callback),
    after: (delayMs, callback) => new ArmedTimer(delayMs, callback),
  };
}

class ArmedTimer implements Timer {
  readonly #dueMs: number;
  readonly #callback: () => void;
  #handle: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void) {
    this.#dueMs = performance.now() + delayMs;
    this.#callback = callback;
    this.#handle = this.#arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #arm(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#fired(), Math.min(Math.ceil(delayMs), stepMaxMs));
  }

  /** The event loop's time is rounded, so a timer may fire a moment early: then wait the rest. */
  #fired(): void {
    const restMs = this.#dueMs - performance.now();
    if (restMs > 0) this.#handle = this.#arm(restMs);
    else this.#callback();
  }
}
