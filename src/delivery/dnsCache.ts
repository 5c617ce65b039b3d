import type { Clock, Dns, DnsAnswer, DnsData, DnsType } from '../base/ports.ts';

export interface DnsLookup<Data> {
  readonly answer: DnsAnswer<Data>;
  /** How long it still holds. */
  readonly leftMs: number;
  /** It was asked for just now, and not remembered. */
  readonly isFresh: boolean;
}

export interface DnsCacheLimits {
  /** Answers kept; beyond, the one not used for longest goes. */
  readonly entries: number;
  /** However short a record wants to live: its queue may need it a hundred times a second. */
  readonly leastMs: number;
  readonly mostMs: number;
  /** RFC 2308 5: names may come into being. */
  readonly mostNegativeMs: number;
  /** RFC 2308 7: at most five minutes; less than any queue waits. */
  readonly failureMs: number;
}

export const dnsCacheLimits: DnsCacheLimits = {
  entries: 50_000,
  leastMs: 5_000,
  mostMs: 86_400_000,
  mostNegativeMs: 3_600_000,
  failureMs: 10_000,
};

interface Entry {
  readonly answer: DnsAnswer<unknown>;
  readonly untilMs: number;
}

/** Remembers answers as long as they hold. A question that is under way is not asked again. */
export class DnsCache {
  readonly #dns: Dns;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #limits: DnsCacheLimits;
  /** The one not used for longest is first. */
  readonly #entries = new Map<string, Entry>();
  readonly #asking = new Map<string, Promise<Entry>>();

  constructor(dns: Dns, clock: Pick<Clock, 'monotonicMs'>, limits = dnsCacheLimits) {
    this.#dns = dns;
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** `name` in lower case, without a final dot. */
  async lookup<T extends DnsType>(name: string, type: T): Promise<DnsLookup<DnsData[T]>> {
    const key = `${type} ${name}`;
    const nowMs = this.#clock.monotonicMs();
    const known = this.#entries.get(key);
    if (known !== undefined) this.#entries.delete(key);
    if (known !== undefined && known.untilMs > nowMs) {
      this.#entries.set(key, known);
      return lookupOf(known, nowMs, false);
    }
    let asking = this.#asking.get(key);
    const isFresh = asking === undefined;
    if (asking === undefined) {
      asking = this.#dns.query(name, type).then((answer) => this.#keep(key, answer));
      this.#asking.set(key, asking);
    }
    return lookupOf(await asking, this.#clock.monotonicMs(), isFresh);
  }

  #keep(key: string, answer: DnsAnswer<unknown>): Entry {
    const nowMs = this.#clock.monotonicMs();
    const entry = { answer, untilMs: nowMs + this.#holdsMs(answer) };
    this.#asking.delete(key);
    this.#entries.set(key, entry);
    // Two go for each that comes: what nobody asks for any more does not stay until there is no room.
    for (const [oldest, { untilMs }] of firstOf(this.#entries, 2)) {
      if (untilMs <= nowMs || this.#entries.size > this.#limits.entries) this.#entries.delete(oldest);
    }
    return entry;
  }

  #holdsMs(answer: DnsAnswer<unknown>): number {
    const { leastMs, mostMs, mostNegativeMs, failureMs } = this.#limits;
    if (answer.kind === 'failed') return failureMs;
    return Math.max(leastMs, Math.min(answer.ttlMs, answer.kind === 'found' ? mostMs : mostNegativeMs));
  }
}

function lookupOf<Data>({ answer, untilMs }: Entry, nowMs: number, isFresh: boolean): DnsLookup<Data> {
  // What a key holds is of the type the key names.
  return { answer: answer as DnsAnswer<Data>, leftMs: Math.max(0, untilMs - nowMs), isFresh };
}

function* firstOf<K, V>(map: ReadonlyMap<K, V>, count: number): Iterable<[K, V]> {
  let left = count;
  for (const entry of map) {
    if (left-- === 0) return;
    yield entry;
  }
}
