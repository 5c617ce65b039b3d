import type { Victim } from './failpoints.ts';
import type { FaultOrder } from './faults.ts';

/** What a daemon of a crash round is told through its environment, for its preload to do. */
export interface CrashOrder {
  /** Kill at the nth passing (from 1) of this step; once, however many lives see this order. */
  readonly kill?: { readonly step: string; readonly nth: number; readonly victim: Victim };
  /** While there is a file `faulty` in the folder. */
  readonly fault?: FaultOrder;
  /** The wall clock is off by `offsetMs` from `afterMs` of each process' life on. */
  readonly clock?: readonly { readonly afterMs: number; readonly offsetMs: number }[];
  /** Outside of the site. `fired` appears in it with the kill, `faults` grows by a byte a failed operation. */
  readonly folder: string;
}

export const orderVariable = 'CRASH_ORDER';
export const firedFile = 'fired';
export const faultyFile = 'faulty';
export const faultsFile = 'faults';
