import type { Evidence } from './evidence.ts';
import type { SubmissionNote } from './injectorModel.ts';
import type { Receiver } from './receiver.ts';
import type { WorldDomain, WorldVmta } from './worldConfig.ts';
import type { AbsenceNote } from './worldRoutes.ts';

/** A broken promise of architecture 1. */
export interface Violation {
  readonly promise: string;
  readonly detail: string;
}

/** Everything there is to judge by, once the world has come to rest. */
export interface Case {
  readonly submissions: readonly SubmissionNote[];
  readonly injectorViolations: readonly string[];
  readonly receivers: readonly { readonly domain: WorldDomain; readonly receiver: Receiver }[];
  readonly vmtas: readonly WorldVmta[];
  readonly totalMaxSmtpOut: number;
  /** The most connections all receivers held at one time. */
  readonly mostHeld: number;
  /** The same by the client's address. */
  readonly mostHeldBy: ReadonlyMap<string, number>;
  readonly acctFiles: readonly { readonly path: string; readonly records: string }[];
  /** Accounting files as they stand. */
  readonly files: ReadonlyMap<string, string>;
  readonly evidence: Evidence;
  /** What DNS said not to exist. */
  readonly absences: readonly AbsenceNote[];
  /** Wall time when the world began. */
  readonly wallStartMs: number;
  readonly wallStepsMs: number;
  /** How long no engine served, in all. */
  readonly downMs: number;
}

/** Tells a broken promise. */
export type Say = (promise: string, detail: string) => void;
