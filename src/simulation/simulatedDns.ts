import type { Dns } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import type { SeededRandom } from './seededRandom.ts';

/** Rates are chances from 0 to 1, per question. */
export interface DnsFaults {
  /** An answer takes from 0 to this. */
  readonly latencyMs: number;
  readonly servfailRate: number;
  /** The answer is a time-out, after 20 s. */
  readonly timeoutRate: number;
  /** NXDOMAIN for a name that exists. */
  readonly nxdomainRate: number;
  /** The name begins to fail for every question during up to `flapMs`. */
  readonly flapRate: number;
  readonly flapMs: number;
}

export declare const perfectDns: DnsFaults;

/** A resolver with a table of names. Addresses of a family rotate, as those of real servers do. */
export declare class SimulatedDns {
  faults: DnsFaults;
  faultCount: number;

  constructor(agenda: Agenda, random: SeededRandom);

  /** Canonical addresses of a name, replacing others; none: the name goes away (NXDOMAIN). */
  set(name: string, addresses: readonly string[]): void;

  /** The resolver as one process sees it. */
  host(): SimulatedDnsHost;
}

export interface SimulatedDnsHost extends Dns {
  /** The process died: what it asked is never answered. */
  crash(): void;
}
