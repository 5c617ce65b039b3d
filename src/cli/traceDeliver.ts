import type { TraceItem } from '../control/operatingReports.ts';
import { askDaemon } from './daemon.ts';
import { daemonOptions, type Verb } from './verb.ts';

/** A trace ends after a minute by itself. */
const silenceMaxMs = 70_000;

export const traceDeliver: Verb = {
  name: 'trace deliver',
  summary: "a queue's next delivery as it happens: resolution, connection, every command and reply",
  argument: ['QUEUE', 'domain/vmta'],
  options: [{ flags: '--data', meaning: 'the content, too' }, ...daemonOptions],
  async run(io, { argument, options }) {
    let lines = 0;
    const told = (item: unknown): void => {
      lines++;
      if (options.json) io.out(JSON.stringify(item));
      else for (const line of traceLines(item as TraceItem)) io.out(line);
    };
    const request = { queue: argument, data: options.data === true };
    const asked = await askDaemon(options, 'trace.deliver', request, { silenceMs: silenceMaxMs, told });
    if ('failure' in asked) return asked.failure;
    if (lines > 0) return 'ok';
    const message = 'the queue opened no new connection within a minute';
    return { exit: 'unknown', code: 'quiet', message, fix: `See "penstock why ${argument}".` };
  },
};

export function traceLines({ schema, engine, atMs, event, text, queue, ...fields }: TraceItem): string[] {
  const time = new Date(atMs).toISOString().slice(11, 23);
  const mark = marks[event];
  if (mark !== undefined)
    return String(text)
      .split(/\r?\n/)
      .map((line) => `${time} ${mark} ${line}`);
  const told = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`],
  );
  return [[time, '-', event.replace(/^delivery\./, ''), ...told].join(' ')];
}

/** Who said it. */
const marks: Readonly<Record<string, string>> = {
  'delivery.commands': 'C:',
  'delivery.content': 'C:',
  'delivery.reply': 'S:',
};
