import type { QueueReport, QueueShowReport, SettingReport } from '../control/operatingReports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import { cut, cutFront, pairLines } from './io.ts';
import { plainTable } from './plainTable.ts';
import { sayUnanswered } from './queueList.ts';
import { daemonOptions, type Verb } from './verb.ts';

export const queueShow: Verb = {
  name: 'queue show',
  summary: 'one queue: what it holds, why it waits, and the settings that hold for it',
  argument: ['QUEUE', 'domain/vmta'],
  options: daemonOptions,
  async run(io, { argument, options }) {
    const asked = await askDaemon<QueueShowReport>(options, 'queue.show', { queue: argument });
    if ('failure' in asked) return asked.failure;
    const { queues, settings, unanswered } = asked.result;
    if (options.json) io.out(JSON.stringify(asked.result));
    else {
      for (const queue of queues) for (const line of showLines(queue, Date.now())) io.out(line);
      io.out('');
      for (const line of settingLines(settings)) io.out(line);
    }
    return sayUnanswered(io, 'queue show', unanswered, 'its part of the queue is not shown');
  },
};

export function settingLines(settings: readonly SettingReport[]): readonly string[] {
  const rows = settings.map(({ directive, value, where }) => [
    directive,
    cut(value, 22),
    cutFront(where, 30),
  ]);
  return plainTable(['setting', 'value', 'from'], rows);
}

export function showLines(queue: QueueReport, nowMs: number): string[] {
  const { name, recipients, ready, waiting, inDelivery, connections, connectionsMax } = queue;
  const { retryStep, nextTryMs, pausedBy, lastError } = queue;
  const inMs = Math.max(0, (nextTryMs ?? nowMs) - nowMs);
  const failures = retryStep === 0 ? '' : `, ${retryStep} failures since its last delivery`;
  return pairLines([
    ['queue', name],
    ['engine', queue.engine],
    ['recipients', `${recipients}: ${ready} ready, ${waiting} waiting, ${inDelivery} in delivery`],
    ['mode', queue.mode],
    ['connections', `${connections} of ${connectionsMax}`],
    ['next try', inMs > 0 ? `in ${durationText(inMs)}${failures}` : `now${failures}`],
    ...(queue.isPaused ? [['paused', `by ${pausedBy}`] as const] : []),
    ...(lastError === '' ? [] : [['last error', lastError] as const]),
  ]);
}
