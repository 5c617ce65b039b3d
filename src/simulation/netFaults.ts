/**
 * How hostile a simulated network is. Rates are chances from 0 to 1. `perfectNet` has none; latency is no
 * fault, but with zero everything arrives at once.
 */
export interface NetFaults {
  /** One way, drawn from 0 to this for each segment. */
  readonly latencyMs: number;
  /** Per segment: it takes up to `slowMs` longer (a loss and its repetition, a busy router). */
  readonly slowRate: number;
  readonly slowMs: number;
  /** Per write: it arrives in several parts, cut at any byte. */
  readonly splitRate: number;
  /** Per connection: it is reset at some byte, or after some time. */
  readonly resetRate: number;
  /** Per attempt: ECONNREFUSED although somebody listens. */
  readonly refuseRate: number;
  /** Per attempt: no answer at all, ETIMEDOUT after two minutes. */
  readonly blackholeRate: number;
  /** Per connection: a window of a few hundred bytes, so that much stays unsent. */
  readonly tightWindowRate: number;
}

export const perfectNet: NetFaults = {
  latencyMs: 0,
  slowRate: 0,
  slowMs: 0,
  splitRate: 0,
  resetRate: 0,
  refuseRate: 0,
  blackholeRate: 0,
  tightWindowRate: 0,
};
