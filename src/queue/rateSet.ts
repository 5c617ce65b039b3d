import type { Rate } from '../config/config.ts';
import { RateLimit } from './rateLimit.ts';

/** What a rate counts: recipients attempted, connections opened, octets delivered. */
export type RateKind = 'msg' | 'connect' | 'data';

export type Rates = { readonly [K in RateKind]: Rate };

const kinds: readonly RateKind[] = ['msg', 'connect', 'data'];

export const noRates: readonly RateSet[] = [];

/** The rates of one holder: a queue in a mode, a virtual MTA, a local address. Each is kept for itself. */
export class RateSet {
  /** The directives they come from. */
  readonly directives: { readonly [K in RateKind]: string };
  readonly msg: RateLimit | undefined;
  readonly connect: RateLimit | undefined;
  readonly data: RateLimit | undefined;

  private constructor(rates: Rates, directives: { readonly [K in RateKind]: string }) {
    this.directives = directives;
    this.msg = rates.msg && new RateLimit(rates.msg);
    this.connect = rates.connect && new RateLimit(rates.connect);
    this.data = rates.data && new RateLimit(rates.data);
  }

  /** None where there is no rate: what is not limited is not counted. */
  static of(rates: Rates, directives: { readonly [K in RateKind]: string }): readonly RateSet[] {
    return kinds.some((kind) => rates[kind] !== undefined) ? [new RateSet(rates, directives)] : noRates;
  }

  /** When so many batches of that size may be taken if nothing happens before; see `RateLimit.freeAtMs`. */
  takeAtMs(batches: number, sizeBytes: number, nowMs: number): number {
    return Math.max(
      nowMs,
      this.msg?.freeAtMs(batches, 1, nowMs) ?? nowMs,
      this.data?.freeAtMs(batches, sizeBytes, nowMs) ?? nowMs,
    );
  }

  /** The same for one more connection that will take the last of them. */
  openAtMs(batches: number, sizeBytes: number, nowMs: number): number {
    const connectAtMs = this.connect?.freeAtMs(1, 1, nowMs) ?? nowMs;
    return Math.max(connectAtMs, this.takeAtMs(batches, sizeBytes, nowMs));
  }

  /** Recipients that may be taken now. */
  recipientsMax(nowMs: number): number {
    return this.msg?.room(nowMs) ?? Number.POSITIVE_INFINITY;
  }

  /** Batches of that size that may be taken now; the first one may be larger than the rate. */
  batchesMax(sizeBytes: number, nowMs: number): number {
    if (this.takeAtMs(1, sizeBytes, nowMs) > nowMs) return 0;
    const byOctets = this.data === undefined ? Number.POSITIVE_INFINITY : this.data.room(nowMs) / sizeBytes;
    return Math.max(1, Math.min(this.recipientsMax(nowMs), Math.floor(byOctets)));
  }

  reserve(recipients: number, sizeBytes: number): void {
    this.msg?.reserve(recipients);
    this.data?.reserve(sizeBytes);
  }

  /** Of recipients reserved before, so many have been named to a remote by now. */
  named(recipients: number, happened: number, nowMs: number): void {
    this.msg?.settle(recipients, happened, nowMs);
  }

  carried(reservedBytes: number, happenedBytes: number, nowMs: number): void {
    this.data?.settle(reservedBytes, happenedBytes, nowMs);
  }

  isAtRest(nowMs: number): boolean {
    return kinds.every((kind) => this[kind]?.isAtRest(nowMs) ?? true);
  }

  /** Whether it keeps the same rates, so that what it counted holds for the other, too. */
  isLike(other: RateSet): boolean {
    return kinds.every((kind) => {
      const [mine, its] = [this[kind]?.rate, other[kind]?.rate];
      return mine?.count === its?.count && mine?.perMs === its?.perMs;
    });
  }

  /** When the shortest of them has moved on by a slice. */
  get sliceMs(): number {
    return Math.max(1, Math.min(...kinds.flatMap((kind) => this[kind]?.rate.perMs ?? [])) / 60);
  }
}
