import type { QueueListReport, QueueReport } from '../control/operatingReports.ts';
import type { EngineStateReport } from '../control/reports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import { engineText } from './engineText.ts';
import { misuse } from './failure.ts';
import { columns, cut, type Io } from './io.ts';
import { plainTable } from './plainTable.ts';
import { daemonOptions, textOption, type Verb } from './verb.ts';

/** As PowerMTA shows. */
const listedUsually = 20;

export const selectorArgument = [
  'SELECTOR',
  'domain[/vmta], with * for any text on either side; default: every queue',
  'optional',
] as const;

export const queueList: Verb = {
  name: 'queue list',
  summary: 'the queues that hold mail or wait before their next try, the fullest first',
  argument: selectorArgument,
  options: [
    { flags: '--all', meaning: 'the empty ones, too' },
    { flags: '--paused', meaning: 'only those that are paused' },
    { flags: '--mode MODE', meaning: 'only those in normal or in backoff mode' },
    { flags: '--sort KEY', meaning: 'rcpt, name or retry (the longest wait first); default: rcpt' },
    { flags: '--max N', meaning: `so many at most, up to 1000; default: ${listedUsually}` },
    ...daemonOptions,
  ],
  async run(io, { argument, options }) {
    const max = Number(textOption(options, 'max') ?? listedUsually);
    if (!Number.isInteger(max) || max < 1 || max > 1000) return misuse('--max is 1 to 1000');
    const asked = await askDaemon<QueueListReport>(options, 'queue.list', {
      selector: argument,
      all: options.all === true,
      pausedOnly: options.paused === true,
      mode: textOption(options, 'mode'),
      sort: textOption(options, 'sort'),
      max,
    });
    if ('failure' in asked) return asked.failure;
    const { queues, unanswered } = asked.result;
    if (options.json) io.out(JSON.stringify(asked.result));
    else if (queues.length > 0 || unanswered.length === 0) {
      for (const line of queueLines(asked.result, Date.now())) io.out(line);
    }
    return sayUnanswered(io, 'queue list', unanswered, 'its queues are not shown');
  },
};

/** What is missing from an answer, and the exit that says so. */
export function sayUnanswered(
  io: Io,
  verb: string,
  unanswered: readonly EngineStateReport[],
  meaning: string,
): 'ok' | 'unknown' {
  for (const engine of unanswered) {
    io.err(`penstock ${verb}: ${engine.name} did not answer; ${meaning}`);
    io.err(`${engine.name}: ${engineText(engine, Date.now())}`);
  }
  return unanswered.length === 0 ? 'ok' : 'unknown';
}

/** A longer name has a line of its own. */
const nameMaxColumns = 32;

/** Under each queue that is waiting, why its last attempt failed. */
export function queueLines(
  report: Pick<QueueListReport, 'queues' | 'total' | 'totalRecipients' | 'pauseRules'>,
  nowMs: number,
): string[] {
  const { queues, total, totalRecipients } = report;
  const rules = pauseLines(report.pauseRules);
  if (queues.length === 0) return ['No queue holds mail.', ...rules];
  const [head, ...rows] = plainTable(
    ['queue', '>recipients', '>delivering', '>connections', 'next try'],
    queues.map((queue) => [
      hasLongName(queue) ? '' : queue.name,
      queue.recipients,
      queue.inDelivery,
      `${queue.connections}/${queue.connectionsMax}`,
      nextTryText(queue, nowMs),
    ]),
  );
  const more =
    total > queues.length ? [`${queues.length} of ${total} queues, with ${totalRecipients} recipients`] : [];
  return [head!, ...rows.flatMap((row, i) => linesOf(queues[i]!, row)), ...more, ...rules];
}

/** What is paused, where anything is. */
export function pauseLines(pauseRules: readonly string[]): string[] {
  return pauseRules.length === 0 ? [] : [cut(`paused: ${pauseRules.join(' ')}`, columns)];
}

export function nextTryText({ isPaused, nextTryMs }: QueueReport, nowMs: number): string {
  if (isPaused) return 'paused';
  return nextTryMs === undefined || nextTryMs <= nowMs ? 'now' : `in ${durationText(nextTryMs - nowMs)}`;
}

function linesOf(queue: QueueReport, row: string): string[] {
  const name = hasLongName(queue) ? [queue.name] : [];
  const reason = queue.lastError === '' ? [] : [cut(`  ${queue.lastError}`, columns)];
  return [...name, row, ...reason];
}

function hasLongName({ name }: QueueReport): boolean {
  return name.length > nameMaxColumns;
}
