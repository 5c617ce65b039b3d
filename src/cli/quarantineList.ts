import type { QuarantinedReport, QuarantineListReport } from '../control/reports.ts';
import { quarantinedSummary } from '../engine/quarantine.ts';
import { isQuarantined } from '../spool/owed.ts';
import { quarantinedReport } from '../supervisor/quarantineReports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import { engineText } from './engineText.ts';
import type { Failure } from './failure.ts';
import { columns, cut } from './io.ts';
import { plainTable } from './plainTable.ts';
import { engineFolders, inspectFolder, readingFailed } from './spoolFolders.ts';
import { daemonOptions, type GivenOptions, type Verb } from './verb.ts';

/** A list is read by people. */
const listedMax = 1000;

export const quarantineList: Verb = {
  name: 'spool quarantine list',
  summary: 'the messages of which something is kept back from delivery, and why',
  options: daemonOptions,
  async run(io, { options }) {
    const report = await listOf(options);
    if ('exit' in report) return report;
    if (options.json) io.out(JSON.stringify(report));
    else for (const line of quarantineLines(report, Date.now())) io.out(line);
    for (const engine of report.unanswered) {
      io.err(`penstock spool quarantine list: ${engine.name} did not answer; what it holds is not shown`);
      io.err(`${engine.name}: ${engineText(engine, Date.now())}`);
    }
    return report.unanswered.length === 0 ? 'ok' : 'unknown';
  },
};

/** The daemon's word; of one that is stopped, the spool's. */
async function listOf(options: GivenOptions): Promise<QuarantineListReport | Failure> {
  const asked = await askDaemon<QuarantineListReport>(options, 'quarantine.list');
  if ('result' in asked) return asked.result;
  // A socket says nothing of where the spool is.
  if (asked.failure.exit !== 'unreachable' || options.socket !== undefined) return asked.failure;
  const folders = await engineFolders(options);
  if ('exit' in folders) return folders;
  const messages: QuarantinedReport[] = [];
  let total = 0;
  try {
    for (const folder of folders) {
      const { inspection } = await inspectFolder(folder);
      for (const message of inspection.owed) {
        if (!message.recipients.some(isQuarantined)) continue;
        total += 1;
        if (total <= listedMax) messages.push(quarantinedReport(folder.name, quarantinedSummary(message)));
      }
    }
  } catch (error) {
    return readingFailed(error as NodeJS.ErrnoException);
  }
  return { schema: 'penstock.quarantineList/1', isRunning: false, total, messages, unanswered: [] };
}

export function quarantineLines(report: QuarantineListReport, nowMs: number): readonly string[] {
  const { messages, total, isRunning, unanswered } = report;
  const notes = isRunning ? [] : ['No daemon runs: this is what the spool says.'];
  if (total === 0 && unanswered.length > 0) return notes;
  if (total === 0) return [...notes, 'Nothing is held.'];
  const more = total > messages.length ? [`... and ${total - messages.length} more`] : [];
  const table = plainTable(
    ['engine', 'message', '>recipients', 'held for', '>queued', 'to'],
    messages.map(({ engine, id, recipients, heldFor, timeQueuedMs, domains }) => [
      engine,
      id,
      recipients,
      heldFor.join(' '),
      timeQueuedMs === undefined ? '' : `${durationText(nowMs - timeQueuedMs)} ago`,
      domains.join(' '),
    ]),
  );
  return [...notes, ...table.map((line) => cut(line, columns)), ...more];
}
