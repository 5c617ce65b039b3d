import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { compileDomainSettings } from '../config/domainSettings.ts';
import {
  type EngineStateReport,
  isAnswering,
  type QueueListReport,
  type StatusReport,
} from '../control/reports.ts';
import type { EngineReport, QueueState } from '../engine/engine.ts';
import { splitQueueName } from '../message/names.ts';
import type { EngineView } from './supervisedEngine.ts';

/** What a status says beside its engines' numbers. */
export interface DaemonFacts {
  readonly config: Config;
  readonly configFile: string | undefined;
  readonly version: string;
  readonly pid: number;
  /** Wall milliseconds. */
  readonly startedMs: number;
  readonly nowMs: number;
}

/** The engines' numbers added up. One that does not answer counts with the last it told. */
export function statusReport(facts: DaemonFacts, engines: readonly EngineView[]): StatusReport {
  const { config, version, pid, startedMs, nowMs } = facts;
  const reports = engines.flatMap(({ report }) => report ?? []);
  const sum = (of: (report: EngineReport) => number | undefined): number =>
    reports.reduce((total, report) => total + (of(report) ?? 0), 0);
  return {
    schema: 'penstock.status/1',
    version,
    pid,
    startedMs,
    uptimeMs: nowMs - startedMs,
    configFile: facts.configFile === undefined ? config.file : resolve(facts.configFile),
    durability: config.durability.value,
    engines: engines.map(({ state }) => state),
    listeners: config.listeners.map(({ address, port }, index) => ({
      address,
      port,
      connections: sum(({ listeners }) => listeners[index]?.connections),
      acceptedTotal: sum(({ listeners }) => listeners[index]?.acceptedTotal),
      refusedTotal: sum(({ listeners }) => listeners[index]?.refusedTotal),
      messagesTotal: sum(({ listeners }) => listeners[index]?.messagesTotal),
    })),
    spool: {
      folder: resolve(config.spools[0]!.value),
      messages: sum(({ messages }) => messages),
      recipients: sum(({ recipients }) => recipients),
      held: sum(({ held }) => held),
      segments: sum(({ segments }) => segments),
      unsyncedOutcomes: sum(({ unsyncedOutcomes }) => unsyncedOutcomes),
      isFull: reports.some(({ isFull }) => isFull),
    },
    queues: {
      queues: sum(({ queues }) => queues),
      recipients: sum(({ recipients }) => recipients),
      deliveredTotal: sum(({ outcomes }) => outcomes.deliveredTotal),
      failedTotal: sum(({ outcomes }) => outcomes.failedTotal),
      deferredTotal: sum(({ outcomes }) => outcomes.deferredTotal),
    },
    outgoingConnections: sum(({ outgoingConnections }) => outgoingConnections),
    acctFiles: config.acctFiles.map(({ path }) => ({ path: resolve(path) })),
  };
}

/** One engine's answer; `queues` undefined: it gave none. */
export interface EngineQueues {
  readonly state: EngineStateReport;
  readonly queues: readonly QueueState[] | undefined;
}

export interface QueueSelection {
  /** false: only queues that hold mail or wait before their next try. */
  readonly all: boolean;
  readonly nowMs: number;
}

export function queueListReport(
  config: Config,
  engines: readonly EngineQueues[],
  { all, nowMs }: QueueSelection,
): QueueListReport {
  const settingsFor = compileDomainSettings(config);
  const told = engines.flatMap(({ queues }) => queues ?? []);
  const shown = all ? told : told.filter(({ recipients, retryInMs }) => recipients > 0 || retryInMs > 0);
  return {
    schema: 'penstock.queueList/1',
    queues: shown.map(({ name, recipients, inDelivery, connections, retryInMs, lastError }) => {
      const { domain, vmta } = splitQueueName(name);
      return {
        name,
        recipients,
        inDelivery,
        connections,
        connectionsMax: settingsFor(domain, vmta).maxSmtpOut.value,
        nextTryMs: retryInMs > 0 ? nowMs + retryInMs : undefined,
        lastError,
      };
    }),
    unanswered: engines.flatMap(({ state, queues }) =>
      queues === undefined || !isAnswering(state) ? [state] : [],
    ),
  };
}
