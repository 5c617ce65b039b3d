import type { EngineStateReport } from './reports.ts';

/** What the daemon's handlers answer to commands that operate queues. */
export interface QueueListReport {
  readonly schema: 'penstock.queueList/1';
  /** That match, with all they hold; of very many only the first are told. */
  readonly total: number;
  readonly totalRecipients: number;
  readonly queues: readonly QueueReport[];
  /** What is paused, in the order it was said, `!` before what was resumed: the last that matches decides. */
  readonly pauseRules: readonly string[];
  /** Engines that did not answer: their queues are missing above. */
  readonly unanswered: readonly EngineStateReport[];
}

export interface QueueReport {
  /** `domain/vmta`. */
  readonly name: string;
  /** Each engine has queues of its own. */
  readonly engine: string;
  /** ready + waiting + inDelivery. */
  readonly recipients: number;
  readonly ready: number;
  /** Deferred, and their own time has not come. */
  readonly waiting: number;
  readonly inDelivery: number;
  readonly connections: number;
  readonly connectionsMax: number;
  /** `normal`, or `backoff`: after replies that ask for less. */
  readonly mode: string;
  readonly isPaused: boolean;
  /** The selector that pauses it, or ''. */
  readonly pausedBy: string;
  /** Failures since its last delivery. */
  readonly retryStep: number;
  /** Wall milliseconds before which nothing starts; undefined: now. */
  readonly nextTryMs: number | undefined;
  /** The last deferral's reply, or ''. */
  readonly lastError: string;
}

export interface QueueShowReport {
  readonly schema: 'penstock.queueShow/1';
  readonly name: string;
  /** One for each engine that has it. */
  readonly queues: readonly QueueReport[];
  readonly settings: readonly SettingReport[];
  readonly unanswered: readonly EngineStateReport[];
}

export interface SettingReport {
  readonly directive: string;
  /** As one would write it. */
  readonly value: string;
  /** `file:line`, or `default`. */
  readonly where: string;
}

export interface QueuePauseReport {
  readonly schema: 'penstock.queuePause/1';
  readonly selector: string;
  readonly isPaused: boolean;
  /** That it meant, with what they hold; queues that come later obey, too. */
  readonly queues: number;
  readonly recipients: number;
  readonly pauseRules: readonly string[];
  /** Engines that did not answer: their queues may go on as before. */
  readonly unanswered: readonly EngineStateReport[];
}

export interface QueueRetryReport {
  readonly schema: 'penstock.queueRetry/1';
  readonly selector: string;
  readonly queues: number;
  /** Deferred ones that need not wait any more. */
  readonly recipients: number;
  readonly unanswered: readonly EngineStateReport[];
}

export interface QueueDeleteReport {
  readonly schema: 'penstock.queueDelete/1';
  readonly selector: string;
  /** Nobody was deleted: this is who would be. */
  readonly isTrial: boolean;
  readonly queues: number;
  readonly recipients: number;
  /** Meant, too, and left alone: what is under way ends as it ends. */
  readonly inDelivery: number;
  /** Envelopes are still being read: more will be deleted. */
  readonly goesOn: boolean;
  readonly unanswered: readonly EngineStateReport[];
}

export interface WhyQueueReport {
  readonly schema: 'penstock.whyQueue/1';
  readonly name: string;
  /** One for each engine that has it. */
  readonly queues: readonly (QueueReport & { readonly holds: readonly HoldReport[] })[];
  readonly unanswered: readonly EngineStateReport[];
}

/** One thing that keeps a queue from starting more now; the nearest to it comes first. */
export interface HoldReport {
  /** The directive that says so, or what else it is: `pause`, `mail` (none is ready), `disable-source-ip`. */
  readonly limit: string;
  readonly scope: string;
  /** Of a limit of one local address. */
  readonly address: string | undefined;
  /** As one would write it, or ''. */
  readonly value: string;
  /** Wall milliseconds; undefined: until something happens. */
  readonly untilMs: number | undefined;
  /** `file:line`, `default`, or '' for what no directive says. */
  readonly where: string;
}

export interface WhyMessageReport {
  readonly schema: 'penstock.whyMessage/1';
  readonly id: string;
  /** One for each engine that owes a message of this id. */
  readonly messages: readonly WhyMessageOfEngine[];
  readonly unanswered: readonly EngineStateReport[];
}

export interface WhyMessageOfEngine {
  readonly engine: string;
  readonly orig: string;
  readonly vmta: string;
  /** Wall milliseconds. */
  readonly timeQueuedMs: number;
  readonly recipientsTotal: number;
  /** The first of those who are owed. */
  readonly recipients: readonly WhyRecipientReport[];
}

export interface WhyRecipientReport {
  readonly rcpt: string;
  readonly queue: string;
  readonly attempts: number;
  /** Wall milliseconds; undefined: now, or it is in delivery. */
  readonly nextTryMs: number | undefined;
  /** Why it is kept back, or ''. */
  readonly heldFor: string;
  readonly lastError: string;
}

/** One line of a trace; the fields beside these are those of the log's event. */
export interface TraceItem {
  readonly schema: 'penstock.trace/1';
  readonly engine: string;
  /** Wall milliseconds. */
  readonly atMs: number;
  /** `delivery.connected`, `delivery.commands`, `delivery.reply` ... */
  readonly event: string;
  readonly [field: string]: unknown;
}
