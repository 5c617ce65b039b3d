import Table from 'cli-table3';
import type { QueueListReport } from '../control/reports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import type { Verb } from './verb.ts';

export const queueList: Verb = {
  name: 'queue list',
  summary: 'the queues that hold mail',
  options: [],
  async run(io, { options }) {
    const asked = await askDaemon<QueueListReport>(io, options, 'queue.list');
    if ('exit' in asked) return asked.exit;
    if (options.json) io.out(JSON.stringify(asked.result));
    else for (const line of queueLines(asked.result, Date.now())) io.out(line);
    return 'ok';
  },
};

/** Under each queue that is waiting, why its last attempt failed. */
export function queueLines({ queues }: QueueListReport, nowMs: number): string[] {
  if (queues.length === 0) return ['No queue holds mail.'];
  const table = new Table({
    head: ['queue', 'recipients', 'delivering', 'connections', 'next try'],
    colAligns: ['left', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: Object.fromEntries(borders.map((border) => [border, ''])),
  });
  for (const queue of queues) {
    table.push([
      queue.name,
      queue.recipients,
      queue.inDelivery,
      `${queue.connections}/${queue.connectionsMax}`,
      queue.nextTryMs === undefined || queue.nextTryMs <= nowMs
        ? 'now'
        : `in ${durationText(queue.nextTryMs - nowMs)}`,
    ]);
  }
  const [head, ...rows] = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  return [head!, ...rows.flatMap((row, i) => [row, ...reason(queues[i]!.lastError)])];
}

function reason(lastError: string): string[] {
  return lastError === '' ? [] : [`  ${lastError}`.slice(0, 80)];
}

const borders = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
  ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
];
