import { type EngineStateReport, isAnswering, type StatusReport } from '../control/reports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import { engineText } from './engineText.ts';
import { pairLines } from './io.ts';
import { daemonOptions, type Verb } from './verb.ts';

export const status: Verb = {
  name: 'status',
  summary: 'what the daemon is doing',
  options: daemonOptions,
  async run(io, { options }) {
    const asked = await askDaemon<StatusReport>(options, 'status');
    if ('failure' in asked) return asked.failure;
    const { engines } = asked.result;
    if (options.json) io.out(JSON.stringify(asked.result));
    else for (const line of statusLines(asked.result)) io.out(line);
    return engines.length > 0 && engines.every(isAnswering) ? 'ok' : 'unknown';
  },
};

const fullLine = ['', 'FULL: new mail is refused with 452 until its disk has room'] as const;

export function statusLines(report: StatusReport): string[] {
  const { spool, queues, engines } = report;
  const nowMs = report.startedMs + report.uptimeMs;
  return pairLines([
    ['penstock', `${report.version}, pid ${report.pid}, up ${durationText(report.uptimeMs)}`],
    ['configuration', report.configFile],
    ...engines.map((engine) => [engine.name, engineText(engine, nowMs)] as const),
    ...report.listeners.map(
      (one) =>
        [
          'listener',
          `${one.address.includes(':') ? `[${one.address}]` : one.address}:${one.port}  ${one.connections} open, ` +
            `${one.acceptedTotal} accepted, ${one.refusedTotal} refused, ${one.messagesTotal} messages`,
        ] as const,
    ),
    ['spool', `${spool.folder}  ${spool.messages} messages, ${spool.recipients} recipients owed`],
    ...(spool.isFull ? [fullLine] : []),
    ...(spool.held === 0
      ? []
      : [['held back', `${spool.held} messages: see "penstock spool quarantine list"`] as const]),
    ['durability', report.durability],
    [
      'queues',
      `${queues.queues} with ${queues.recipients} recipients, ${report.outgoingConnections} connections`,
    ],
    ...(queues.pauseRules.length === 0 ? [] : [['paused', queues.pauseRules.join(' ')] as const]),
    [
      'since start',
      `${queues.deliveredTotal} delivered, ${queues.failedTotal} bounced, ${queues.deferredTotal} deferred`,
    ],
    ...report.acctFiles.map(({ path }) => ['accounting', path] as const),
    ...staleness(engines, nowMs),
  ]);
}

/** How old the numbers are, where they are not of now. */
function staleness(engines: readonly EngineStateReport[], nowMs: number): (readonly [string, string])[] {
  if (engines.length === 0) return [['note', 'no engine has been started yet']];
  return engines
    .filter((engine) => !isAnswering(engine))
    .map(({ name, reportedMs }) => [
      'note',
      reportedMs === undefined
        ? `${name} has told nothing yet: what it holds is not counted`
        : `of ${name} the numbers are ${durationText(nowMs - reportedMs)} old`,
    ]);
}
