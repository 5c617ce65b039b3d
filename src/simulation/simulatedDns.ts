import type { Dns, DnsAnswer, DnsData, DnsType, MxRecord } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import type { SeededRandom } from './seededRandom.ts';

/** Rates are chances from 0 to 1, per question. */
export interface DnsFaults {
  /** An answer takes from 0 to this. */
  readonly latencyMs: number;
  readonly servfailRate: number;
  /** The answer is a time-out, after twenty seconds. */
  readonly timeoutRate: number;
  /** NXDOMAIN for a name that exists. */
  readonly nxdomainRate: number;
  /** SERVFAIL for this name and all who ask for it, for up to `flapMs`. */
  readonly flapRate: number;
  readonly flapMs: number;
}

export const perfectDns: DnsFaults = {
  latencyMs: 0,
  servfailRate: 0,
  timeoutRate: 0,
  nxdomainRate: 0,
  flapRate: 0,
  flapMs: 0,
};

const timeoutMs = 20_000;
/** How long what is told may be kept: short, so that much is asked. */
const ttlMs = 20_000;
export const negativeTtlMs = 10_000;
const servfail: DnsAnswer<never> = { kind: 'failed', code: 'SERVFAIL' };

/** A resolver with a table of names. Addresses of a family rotate, as those of real servers do. */
export class SimulatedDns {
  /** May be replaced at any time; names that flap stop as soon as `flapRate` is zero. */
  faults: DnsFaults = perfectDns;
  /** Faults that have come about. */
  faultCount = 0;
  /** Names that were said not to exist, truly or not, and when. */
  readonly absences: { readonly name: string; readonly atMs: number }[] = [];
  readonly #agenda: Agenda;
  readonly #random: SeededRandom;
  readonly #names = new Map<string, readonly string[]>();
  readonly #mx = new Map<string, readonly MxRecord[]>();
  readonly #failsUntilMs = new Map<string, number>();

  constructor(agenda: Agenda, random: SeededRandom) {
    this.#agenda = agenda;
    this.#random = random;
  }

  /** Canonical addresses of a name, replacing others; none: it has none any more. */
  set(name: string, addresses: readonly string[]): void {
    setOrDelete(this.#names, name.toLowerCase(), addresses);
  }

  /** The mail exchangers of a domain, replacing others. */
  setMx(domain: string, records: readonly MxRecord[]): void {
    setOrDelete(this.#mx, domain.toLowerCase(), records);
  }

  /** The resolver as one process sees it. */
  host(): SimulatedDnsHost {
    let isDead = false;
    return {
      query: (name, type) =>
        new Promise((resolve) => {
          if (isDead) return;
          const { answer, afterMs } = this.#answer(name.toLowerCase(), type);
          this.#agenda.after(afterMs, () => {
            if (!isDead) resolve(answer);
          });
        }),
      crash() {
        isDead = true;
      },
    };
  }

  #answer<T extends DnsType>(
    name: string,
    type: T,
  ): { readonly answer: DnsAnswer<DnsData[T]>; readonly afterMs: number } {
    const { latencyMs, servfailRate, timeoutRate, nxdomainRate, flapRate, flapMs } = this.faults;
    const random = this.#random;
    const afterMs = latencyMs === 0 ? 0 : random.below(latencyMs + 1);
    if (random.chance(flapRate)) this.#failsUntilMs.set(name, this.#agenda.nowMs + random.below(flapMs + 1));
    const isFlapping = flapRate > 0 && this.#agenda.nowMs < (this.#failsUntilMs.get(name) ?? 0);
    const found = this.#found(name, type);
    if (random.chance(timeoutRate)) {
      this.faultCount += 1;
      return { answer: { kind: 'failed', code: 'TIMEOUT' }, afterMs: timeoutMs };
    }
    const answer: DnsAnswer<DnsData[T]> =
      isFlapping || random.chance(servfailRate) ? servfail : random.chance(nxdomainRate) ? absent : found;
    if (answer !== found) this.faultCount += 1;
    if (answer.kind === 'none' && !answer.exists) this.absences.push({ name, atMs: this.#agenda.nowMs });
    return { answer, afterMs };
  }

  #found<T extends DnsType>(name: string, type: T): DnsAnswer<DnsData[T]> {
    const records = this.#records(name, type) as readonly DnsData[T][];
    if (records.length > 0) return { kind: 'found', records, ttlMs };
    const exists = this.#names.has(name) || this.#mx.has(name);
    return exists ? { kind: 'none', exists, ttlMs: negativeTtlMs } : absent;
  }

  #records(name: string, type: DnsType): readonly (string | MxRecord)[] {
    if (type === 'MX') return this.#rotated(this.#mx.get(name) ?? []);
    const addresses = this.#names.get(name) ?? [];
    return this.#rotated(addresses.filter((address) => address.includes(':') === (type === 'AAAA')));
  }

  #rotated<T>(records: readonly T[]): readonly T[] {
    if (records.length < 2) return records;
    const by = this.#random.below(records.length);
    return [...records.slice(by), ...records.slice(0, by)];
  }
}

const absent: DnsAnswer<never> = { kind: 'none', exists: false, ttlMs: negativeTtlMs };

function setOrDelete<T>(map: Map<string, readonly T[]>, key: string, values: readonly T[]): void {
  if (values.length === 0) map.delete(key);
  else map.set(key, values);
}

export interface SimulatedDnsHost extends Dns {
  /** The process died: what it asked is never answered. */
  crash(): void;
}
