import type { Alarmed } from './alarmHeap.ts';
import { type Queue, QueueLine } from './queue.ts';
import type { RateSet } from './rateSet.ts';

/**
 * The rates that all queues of a virtual MTA share. While they are used up, queues with something to send
 * stand in line; as room comes, so many are admitted as there is room for, each for one batch. Who still has
 * to connect may never take, so after a slice of the window nobody is waited for.
 */
export class RateGate implements Alarmed {
  readonly rates: RateSet;
  readonly line = new QueueLine();
  alarmAtMs = Number.POSITIVE_INFINITY;
  alarmPlace = -1;
  /** Let in, and neither served nor gone since. */
  #admitted = 0;
  #patientUntilMs = Number.POSITIVE_INFINITY;

  constructor(rates: RateSet) {
    this.rates = rates;
  }

  /** Whether a queue may take or connect for a batch of that size now. If not, it has to stand in line. */
  isOpenFor(queue: Queue, sizeBytes: number, nowMs: number): boolean {
    if (queue.isAdmitted) return this.rates.takeAtMs(1, sizeBytes, nowMs) <= nowMs;
    return this.line.size === 0 && this.#hasRoomBeside(sizeBytes, nowMs);
  }

  /** It had its batch, or wants none any more. */
  leave(queue: Queue): void {
    if (!queue.isAdmitted) return;
    queue.isAdmitted = false;
    this.#admitted = Math.max(0, this.#admitted - 1);
  }

  /** Admits the head of the line if its turn has come; it is to leave the line. `sizeBytes`: of its next batch. */
  admit(sizeBytes: number, nowMs: number): Queue | undefined {
    const { head } = this.line;
    if (head === undefined) return undefined;
    if (!this.#hasRoomBeside(sizeBytes, nowMs)) return undefined;
    head.isAdmitted = true;
    this.#admitted++;
    this.#patientUntilMs = nowMs + this.rates.sliceMs;
    return head;
  }

  /** For one more, that of the admitted ones kept free. */
  #hasRoomBeside(sizeBytes: number, nowMs: number): boolean {
    if (nowMs >= this.#patientUntilMs) this.#admitted = 0;
    return this.rates.batchesMax(sizeBytes, nowMs) > this.#admitted;
  }

  /** When the head of the line may get its turn by time alone, later than now. */
  nextAtMs(sizeBytes: number, nowMs: number): number {
    if (this.line.head === undefined) return Number.POSITIVE_INFINITY;
    const freeAtMs = this.rates.takeAtMs(1, sizeBytes, nowMs);
    return freeAtMs > nowMs ? freeAtMs : this.#patientUntilMs;
  }
}
