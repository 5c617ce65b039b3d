import type { StatusReport } from '../control/reports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import { pairLines } from './io.ts';
import type { Verb } from './verb.ts';

export const status: Verb = {
  name: 'status',
  summary: 'what the daemon is doing',
  options: [],
  async run(io, { options }) {
    const asked = await askDaemon<StatusReport>(io, options, 'status');
    if ('exit' in asked) return asked.exit;
    if (options.json) io.out(JSON.stringify(asked.result));
    else for (const line of statusLines(asked.result)) io.out(line);
    return 'ok';
  },
};

export function statusLines(report: StatusReport): string[] {
  const { spool, queues } = report;
  return pairLines([
    ['penstock', `${report.version}, pid ${report.pid}, up ${durationText(report.uptimeMs)}`],
    ['configuration', report.configFile],
    ...report.listeners.map(
      (one) =>
        [
          'listener',
          `${one.address.includes(':') ? `[${one.address}]` : one.address}:${one.port}  ${one.connections} open, ` +
            `${one.acceptedTotal} accepted, ${one.refusedTotal} refused, ${one.messagesTotal} messages`,
        ] as const,
    ),
    ['spool', `${spool.folder}  ${spool.messages} messages, ${spool.recipients} recipients owed`],
    ['durability', report.durability],
    [
      'queues',
      `${queues.queues} with ${queues.recipients} recipients, ${report.outgoingConnections} connections`,
    ],
    [
      'since start',
      `${queues.deliveredTotal} delivered, ${queues.failedTotal} bounced, ${queues.deferredTotal} deferred`,
    ],
    ...report.acctFiles.map(({ path }) => ['accounting', path] as const),
  ]);
}
