import type { Rate } from '../config/config.ts';
import { RateWindow } from './rateWindow.ts';

/**
 * At most `count` in any window of `perMs`, as whoever we talk to sees it: what may happen is reserved before,
 * and counted at the moment from which on it certainly has happened. So it does not matter how long it takes
 * in between; what is reserved and what has been counted are never more than `count` together.
 *
 * One thing larger than `count` (a message of more octets than the rate) has a window for itself.
 */
export class RateLimit {
  readonly rate: NonNullable<Rate>;
  readonly #window: RateWindow;
  #reserved = 0;

  constructor(rate: NonNullable<Rate>) {
    this.rate = rate;
    this.#window = new RateWindow(rate.perMs);
  }

  /** What may be reserved now; never below 0. */
  room(nowMs: number): number {
    return Math.max(0, this.rate.count - this.#reserved - this.#window.sum(nowMs));
  }

  /**
   * When `amount` things of `size` may be reserved if nothing changes before: `nowMs`, a later time, or
   * Infinity if only the end of what is reserved now can make room.
   */
  freeAtMs(amount: number, size: number, nowMs: number): number {
    const most =
      this.rate.count - this.#reserved - (amount === 1 ? Math.min(size, this.rate.count) : amount * size);
    return most < 0 ? Number.POSITIVE_INFINITY : this.#window.fallsToMs(most, nowMs);
  }

  reserve(amount: number): void {
    this.#reserved += amount;
  }

  /** Ends a reservation: so much of it has happened, now at the latest. */
  settle(reserved: number, happened: number, nowMs: number): void {
    this.#reserved -= reserved;
    this.#window.took(happened, nowMs);
  }

  /** Remembers nothing that would make a difference. */
  isAtRest(nowMs: number): boolean {
    return this.#reserved === 0 && this.#window.sum(nowMs) === 0;
  }
}
