import type { Timer } from '../base/ports.ts';
import type { SeededRandom } from './seededRandom.ts';

interface Appointment {
  readonly atMs: number;
  /** Decides between appointments of the same moment: any order is possible, the seed chooses. */
  readonly lot: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** A power of two: sums and differences of times are exact, so a deadline is never missed by a rounding. */
const grainsPerMs = 1024;

/**
 * Everything that is going to happen in a simulation, in virtual time. Nothing happens by itself: each
 * `step` jumps to the next moment and carries out one appointment of it.
 */
export class Agenda {
  readonly #random: SeededRandom;
  /** A binary heap, the next one first. */
  readonly #heap: Appointment[] = [];
  #nowMs = 0;
  /** Appointments carried out so far. */
  steps = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Virtual milliseconds since the simulation began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const appointment: Appointment = {
      atMs: Math.ceil((this.#nowMs + Math.max(0, delayMs)) * grainsPerMs) / grainsPerMs,
      lot: this.#random.u32(),
      run,
      isCancelled: false,
    };
    this.#push(appointment);
    return {
      cancel() {
        appointment.isCancelled = true;
      },
    };
  }

  /** When the next appointment is; Infinity without one. */
  get nextMs(): number {
    while (this.#heap[0]?.isCancelled) this.#pop();
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Carries out the next appointment. False when there is none. */
  step(): boolean {
    if (this.nextMs === Number.POSITIVE_INFINITY) return false;
    const next = this.#pop();
    this.#nowMs = next.atMs;
    this.steps += 1;
    next.run();
    return true;
  }

  #push(appointment: Appointment): void {
    const heap = this.#heap;
    let at = heap.push(appointment) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(appointment, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = appointment;
  }

  #pop(): Appointment {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Appointment, b: Appointment): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.lot < b.lot);
}
