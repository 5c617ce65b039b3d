import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import type { StatusReport } from '../control/reports.ts';
import type { EngineReport } from '../engine/engine.ts';
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
      pauseRules: [...new Set(reports.flatMap(({ pauseRules }) => pauseRules))],
      deliveredTotal: sum(({ outcomes }) => outcomes.deliveredTotal),
      failedTotal: sum(({ outcomes }) => outcomes.failedTotal),
      deferredTotal: sum(({ outcomes }) => outcomes.deferredTotal),
    },
    outgoingConnections: sum(({ outgoingConnections }) => outgoingConnections),
    acctFiles: config.acctFiles.map(({ path }) => ({ path: resolve(path) })),
  };
}
