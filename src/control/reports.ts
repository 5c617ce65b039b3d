/**
 * What the daemon's handlers answer, by verb: `status`, `queue.list`, `quarantine.list`, ... Each is printed as is
 * under `--json`; the schema number rises when a field changes its meaning or goes.
 */
export interface StatusReport {
  readonly schema: 'penstock.status/1';
  readonly version: string;
  readonly pid: number;
  /** Wall milliseconds. */
  readonly startedMs: number;
  readonly uptimeMs: number;
  readonly configFile: string;
  readonly durability: string;
  readonly engines: readonly EngineStateReport[];
  readonly listeners: readonly ListenerReport[];
  readonly spool: SpoolReport;
  readonly queues: QueueTotals;
  readonly outgoingConnections: number;
  readonly acctFiles: readonly AcctFileReport[];
}

/** `draining`: runs, is not configured any more, and only delivers. `notAnswering`: has been silent for 5 s. */
export type EngineStateName =
  | 'starting'
  | 'running'
  | 'draining'
  | 'notAnswering'
  | 'restarting'
  | 'stopping'
  | 'stopped';

export interface EngineStateReport {
  /** `engine-1`, as its folder in the spool. */
  readonly name: string;
  readonly state: EngineStateName;
  /** undefined: there is no process. */
  readonly pid: number | undefined;
  /** Wall milliseconds when this state began. */
  readonly sinceMs: number;
  /** What a start that takes long waits for. */
  readonly waitsFor: string | undefined;
  /** Only while `restarting`. */
  readonly restartInMs: number | undefined;
  /** Since the daemon started. */
  readonly deaths: number;
  /** Why it died last. */
  readonly diedOf: string | undefined;
  /** Wall milliseconds when it told the numbers counted here; undefined: it has told none yet. */
  readonly reportedMs: number | undefined;
}

/** Whether what is told of this engine is of now. */
export function isAnswering({ state }: EngineStateReport): boolean {
  return state === 'running' || state === 'draining';
}

export interface ListenerReport {
  readonly address: string;
  readonly port: number;
  readonly connections: number;
  readonly acceptedTotal: number;
  readonly refusedTotal: number;
  readonly messagesTotal: number;
}

export interface SpoolReport {
  readonly folder: string;
  /** Scheduled for delivery, with their recipients. */
  readonly messages: number;
  readonly recipients: number;
  /** Messages of which something is kept back from delivery. */
  readonly held: number;
  /** Files of at most some 64 MiB. */
  readonly segments: number;
  /** Possible duplicates, should the power fail now. */
  readonly unsyncedOutcomes: number;
  /** New mail is refused with 452: the disk is full but for a reserve. */
  readonly isFull: boolean;
}

export interface QueueTotals {
  readonly queues: number;
  readonly recipients: number;
  /** See `QueueListReport.pauseRules`. */
  readonly pauseRules: readonly string[];
  readonly deliveredTotal: number;
  readonly failedTotal: number;
  readonly deferredTotal: number;
}

export interface AcctFileReport {
  /** As configured; the files themselves carry date and number (powermta d.5). */
  readonly path: string;
}

export interface QuarantineListReport {
  readonly schema: 'penstock.quarantineList/1';
  /** false: read from the folders of a daemon that is stopped. */
  readonly isRunning: boolean;
  /** Messages that are held; of very many only the first are told. */
  readonly total: number;
  readonly messages: readonly QuarantinedReport[];
  /** Engines that did not answer: what they hold is missing above. */
  readonly unanswered: readonly EngineStateReport[];
}

export interface QuarantinedReport {
  /** `engine-1`: ids are given by each engine for itself. */
  readonly engine: string;
  readonly id: string;
  readonly vmta: string;
  /** Wall milliseconds; undefined: not known any more. */
  readonly timeQueuedMs: number | undefined;
  /** How many are held. */
  readonly recipients: number;
  /** Theirs; of very many only the first. */
  readonly domains: readonly string[];
  /** `damaged`, `deadly`, `doubtful` (docs/spool.md). */
  readonly heldFor: readonly string[];
}

export interface QuarantineReleaseReport {
  readonly schema: 'penstock.quarantineRelease/1';
  /** That are tried again. */
  readonly messages: number;
  readonly recipients: number;
  /** Engines that did not answer: what they hold may be held still. */
  readonly unanswered: readonly EngineStateReport[];
}

export interface StopReport {
  readonly schema: 'penstock.stop/1';
  readonly pid: number;
}
