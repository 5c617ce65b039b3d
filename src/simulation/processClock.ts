import type { Clock, Timer } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';

/** The wall clock of the simulated machine: all of its processes see it step. */
export interface WallTime {
  readonly startMs: number;
  /** What it was stepped by since. */
  steppedMs: number;
  readonly zoneOffsetMinutes: number;
}

/** The system's timers take at least this. */
const tickMs = 1;

/** Virtual time as one life of one process has it. Its timers die with it. */
export class ProcessClock implements Clock {
  readonly #agenda: Agenda;
  readonly #wall: WallTime;
  readonly #bornMs: number;
  #isDead = false;
  #waiting = 0;

  constructor(agenda: Agenda, wall: WallTime) {
    this.#agenda = agenda;
    this.#wall = wall;
    this.#bornMs = agenda.nowMs;
  }

  /** Callbacks that were asked for and have not come. */
  get waiting(): number {
    return this.#waiting;
  }

  wallMs(): number {
    return Math.floor(this.#wall.startMs + this.#wall.steppedMs + this.#agenda.nowMs);
  }

  /** As the system's: it begins with the process. */
  monotonicMs(): number {
    return this.#agenda.nowMs - this.#bornMs;
  }

  zoneOffsetMinutes(): number {
    return this.#wall.zoneOffsetMinutes;
  }

  soon(callback: () => void): void {
    this.#waiting += 1;
    this.#agenda.after(0, () => {
      if (this.#isDead) return;
      this.#waiting -= 1;
      callback();
    });
  }

  after(delayMs: number, callback: () => void): Timer {
    this.#waiting += 1;
    let isOver = false;
    const timer = this.#agenda.after(Math.max(tickMs, delayMs), () => {
      if (this.#isDead) return;
      isOver = true;
      this.#waiting -= 1;
      callback();
    });
    return {
      cancel: () => {
        if (isOver) return;
        isOver = true;
        this.#waiting -= 1;
        timer.cancel();
      },
    };
  }

  kill(): void {
    this.#isDead = true;
  }
}
