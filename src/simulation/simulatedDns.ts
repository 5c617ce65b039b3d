import type { Dns, DnsAnswer } from '../base/ports.ts';
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
const none: DnsAnswer = { kind: 'none' };
const servfail: DnsAnswer = { kind: 'failed', code: 'ESERVFAIL' };

/** A resolver with a table of names. Addresses of a family rotate, as those of real servers do. */
export class SimulatedDns {
  /** May be replaced at any time; names that flap stop as soon as `flapRate` is zero. */
  faults: DnsFaults = perfectDns;
  /** Faults that have come about. */
  faultCount = 0;
  readonly #agenda: Agenda;
  readonly #random: SeededRandom;
  readonly #names = new Map<string, readonly string[]>();
  readonly #failsUntilMs = new Map<string, number>();

  constructor(agenda: Agenda, random: SeededRandom) {
    this.#agenda = agenda;
    this.#random = random;
  }

  /** Canonical addresses of a name, replacing others; none: the name goes away (NXDOMAIN). */
  set(name: string, addresses: readonly string[]): void {
    this.#names.set(name.toLowerCase(), addresses);
  }

  /** The resolver as one process sees it. */
  host(): SimulatedDnsHost {
    let isDead = false;
    return {
      addresses: (name) =>
        new Promise((resolve) => {
          if (isDead) return;
          const { answer, afterMs } = this.#answer(name.toLowerCase());
          this.#agenda.after(afterMs, () => {
            if (!isDead) resolve(answer);
          });
        }),
      crash() {
        isDead = true;
      },
    };
  }

  #answer(name: string): { readonly answer: DnsAnswer; readonly afterMs: number } {
    const { latencyMs, servfailRate, timeoutRate, nxdomainRate, flapRate, flapMs } = this.faults;
    const random = this.#random;
    const afterMs = latencyMs === 0 ? 0 : random.below(latencyMs + 1);
    if (random.chance(flapRate)) this.#failsUntilMs.set(name, this.#agenda.nowMs + random.below(flapMs + 1));
    const isFlapping = flapRate > 0 && this.#agenda.nowMs < (this.#failsUntilMs.get(name) ?? 0);
    const found = this.#found(name);
    if (random.chance(timeoutRate)) {
      this.faultCount += 1;
      return { answer: { kind: 'failed', code: 'ETIMEOUT' }, afterMs: timeoutMs };
    }
    const answer =
      isFlapping || random.chance(servfailRate) ? servfail : random.chance(nxdomainRate) ? none : found;
    if (answer !== found) this.faultCount += 1;
    return { answer, afterMs };
  }

  #found(name: string): DnsAnswer {
    const addresses = this.#names.get(name) ?? [];
    if (addresses.length === 0) return none;
    const isIpv6 = (address: string): boolean => address.includes(':');
    return {
      kind: 'found',
      addresses: [
        ...this.#rotated(addresses.filter((address) => !isIpv6(address))),
        ...this.#rotated(addresses.filter(isIpv6)),
      ],
    };
  }

  #rotated(addresses: readonly string[]): readonly string[] {
    if (addresses.length < 2) return addresses;
    const by = this.#random.below(addresses.length);
    return [...addresses.slice(by), ...addresses.slice(0, by)];
  }
}

export interface SimulatedDnsHost extends Dns {
  /** The process died: what it asked is never answered. */
  crash(): void;
}
