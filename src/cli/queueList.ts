import type { QueueListReport, QueueReport } from '../control/reports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import { engineText } from './engineText.ts';
import { columns, cut } from './io.ts';
import { plainTable } from './plainTable.ts';
import { daemonOptions, type Verb } from './verb.ts';

export const queueList: Verb = {
  name: 'queue list',
  summary: 'the queues that hold mail or wait before their next try',
  options: [{ flags: '--all', meaning: 'the empty ones, too' }, ...daemonOptions],
  async run(io, { options }) {
    const asked = await askDaemon<QueueListReport>(options, 'queue.list', { all: options.all === true });
    if ('failure' in asked) return asked.failure;
    const { queues, unanswered } = asked.result;
    if (options.json) io.out(JSON.stringify(asked.result));
    else if (queues.length > 0 || unanswered.length === 0) {
      for (const line of queueLines(asked.result, Date.now())) io.out(line);
    }
    for (const engine of unanswered) {
      io.err(`penstock queue list: ${engine.name} did not answer; its queues are not shown`);
      io.err(`${engine.name}: ${engineText(engine, Date.now())}`);
    }
    return unanswered.length === 0 ? 'ok' : 'unknown';
  },
};

/** A longer name has a line of its own. */
const nameMaxColumns = 32;

/** Under each queue that is waiting, why its last attempt failed. */
export function queueLines({ queues }: Pick<QueueListReport, 'queues'>, nowMs: number): string[] {
  if (queues.length === 0) return ['No queue holds mail.'];
  const [head, ...rows] = plainTable(
    ['queue', '>recipients', '>delivering', '>connections', 'next try'],
    queues.map((queue) => [
      hasLongName(queue) ? '' : queue.name,
      queue.recipients,
      queue.inDelivery,
      `${queue.connections}/${queue.connectionsMax}`,
      queue.nextTryMs === undefined || queue.nextTryMs <= nowMs
        ? 'now'
        : `in ${durationText(queue.nextTryMs - nowMs)}`,
    ]),
  );
  return [head!, ...rows.flatMap((row, i) => linesOf(queues[i]!, row))];
}

function linesOf(queue: QueueReport, row: string): string[] {
  const name = hasLongName(queue) ? [queue.name] : [];
  const reason = queue.lastError === '' ? [] : [cut(`  ${queue.lastError}`, columns)];
  return [...name, row, ...reason];
}

function hasLongName({ name }: QueueReport): boolean {
  return name.length > nameMaxColumns;
}
