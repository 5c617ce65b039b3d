import type {
  HoldReport,
  WhyMessageReport,
  WhyQueueReport,
  WhyRecipientReport,
} from '../control/operatingReports.ts';
import { askDaemon } from './daemon.ts';
import { durationText } from './durationText.ts';
import { columns, cut, cutFront, pairLines } from './io.ts';
import { plainTable } from './plainTable.ts';
import { sayUnanswered } from './queueList.ts';
import { showLines } from './queueShow.ts';
import { daemonOptions, type Verb } from './verb.ts';

export const why: Verb = {
  name: 'why',
  summary: 'what a queue or a message waits for, and which line says so',
  argument: ['WHAT', 'a queue, domain/vmta, or the id of a message'],
  options: daemonOptions,
  async run(io, { argument, options }) {
    const asked = await askDaemon<WhyQueueReport | WhyMessageReport>(options, 'why', { of: argument });
    if ('failure' in asked) return asked.failure;
    const report = asked.result;
    if (options.json) io.out(JSON.stringify(report));
    else {
      const lines =
        'queues' in report ? whyQueueLines(report, Date.now()) : whyMessageLines(report, Date.now());
      for (const line of lines) io.out(line);
    }
    return sayUnanswered(io, 'why', report.unanswered, 'its part is not shown');
  },
};

export function whyQueueLines({ queues }: Pick<WhyQueueReport, 'queues'>, nowMs: number): readonly string[] {
  return queues.flatMap((queue) => [...showLines(queue, nowMs), '', ...holdLines(queue.holds, nowMs)]);
}

/** What no directive says. */
const words: Readonly<Record<string, string>> = { mail: 'no recipient is ready', pause: 'queue pause' };

function holdLines(holds: readonly HoldReport[], nowMs: number): readonly string[] {
  if (holds.length === 0) return ['Nothing holds it back.'];
  return plainTable(
    ['held back by', 'value', 'until', 'from'],
    holds.map(({ limit, scope, address, value, untilMs, where }) => [
      cut(scope === 'queue' ? (words[limit] ?? limit) : `${limit} of ${address ?? scope}`, 30),
      cut(value, 12),
      untilMs === undefined ? '' : `in ${durationText(untilMs - nowMs)}`,
      cutFront(where, 20),
    ]),
  );
}

export function whyMessageLines(
  { id, messages }: Pick<WhyMessageReport, 'id' | 'messages'>,
  nowMs: number,
): readonly string[] {
  return messages.flatMap(({ engine, orig, vmta, timeQueuedMs, recipientsTotal, recipients }) => [
    ...pairLines([
      ['message', `${id} on ${engine}`],
      ['sender', orig === '' ? '<>' : orig],
      ['virtual MTA', vmta],
      ['queued', `${durationText(nowMs - timeQueuedMs)} ago`],
      ['owed to', `${recipientsTotal} recipients`],
    ]),
    ...recipients.flatMap((recipient) => recipientLines(recipient, nowMs)),
    ...(recipientsTotal > recipients.length ? [`... and ${recipientsTotal - recipients.length} more`] : []),
  ]);
}

function recipientLines(recipient: WhyRecipientReport, nowMs: number): readonly string[] {
  const { rcpt, queue, attempts, nextTryMs, heldFor, lastError } = recipient;
  const next = nextTryMs === undefined ? 'ready' : `next try in ${durationText(nextTryMs - nowMs)}`;
  const state = heldFor === '' ? next : `held: ${heldFor}`;
  const lines = [rcpt, `  ${state}, ${attempts} attempts, in ${queue}`];
  return [...lines, ...(lastError === '' ? [] : [`  ${lastError}`])].map((line) => cut(line, columns));
}
