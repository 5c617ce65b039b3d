import type { Clock, Timer } from '../base/ports.ts';

interface Alarm {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes only when told to. */
export class VirtualClock implements Clock {
  #nowMs = 1_000_000;
  readonly #wallOffsetMs: number;
  readonly #alarms = new Set<Alarm>();

  constructor(wallStartMs = 1_750_000_000_000) {
    this.#wallOffsetMs = wallStartMs - this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  zoneOffsetMinutes(): number {
    return 0;
  }

  soon(callback: () => void): void {
    void Promise.resolve().then(callback);
  }

  after(delayMs: number, callback: () => void): Timer {
    const alarm = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  /** When the next alarm rings; Infinity without one. */
  get nextAlarmMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const alarm of this.#alarms) next = Math.min(next, alarm.atMs);
    return next;
  }

  /** Lets time pass and rings what is due, in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let next = this.nextAlarmMs; next <= untilMs; next = this.nextAlarmMs) {
      this.#nowMs = Math.max(this.#nowMs, next);
      for (const alarm of [...this.#alarms]) {
        if (alarm.atMs > next) continue;
        this.#alarms.delete(alarm);
        alarm.callback();
      }
    }
    this.#nowMs = untilMs;
  }

  /** The process died: its timers with it. */
  dropAlarms(): void {
    this.#alarms.clear();
  }
}
