import type { Clock } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import type { TraceItem } from '../control/operatingReports.ts';
import type { ControlHandler } from '../control/server.ts';
import { ControlRefusal } from '../control/wire.ts';
import { type DeleteOrder, type QueueSelection, queueSorts } from '../engine/operations.ts';
import { formatMessageId, parseMessageId } from '../message/messageId.ts';
import type { QueueName } from '../message/names.ts';
import { parseQueueSelector } from '../queue/queueSelector.ts';
import type { Answers, Question } from './engineMessages.ts';
import {
  queueDeleteReport,
  queueListReport,
  queuePauseReport,
  queueRetryReport,
  queueShowReport,
} from './operatingReports.ts';
import type { EngineAnswer } from './quarantineReports.ts';
import { whyMessageReport, whyQueueReport } from './whyReports.ts';

export interface OperatingSetup {
  readonly config: Config;
  readonly clock: Clock;
  askEngines<Q extends Question>(
    question: Q,
  ): Promise<readonly EngineAnswer<Answers[Q['about']]>[] | ControlRefusal>;
}

type Options = Readonly<Record<string, unknown>>;

/** A list is read by people. */
const listedMax = 1000;

/** The control verbs that operate queues. */
export function operatingHandlers(setup: OperatingSetup): readonly (readonly [string, ControlHandler])[] {
  return [
    ['queue.list', (options) => list(setup, options)],
    ['queue.show', (options) => show(setup, options)],
    ['queue.pause', (options) => pause(setup, options, true)],
    ['queue.resume', (options) => pause(setup, options, false)],
    ['queue.retry', (options) => retry(setup, options)],
    ['queue.delete', (options) => deleteFrom(setup, options)],
    ['why', (options) => why(setup, options)],
    ['trace.deliver', (options) => trace(setup, options)],
  ];
}

async function list({ config, clock, askEngines }: OperatingSetup, options: Options): Promise<unknown> {
  const selector = selectorOf(options);
  if (selector instanceof ControlRefusal) return selector;
  const { all, pausedOnly, mode, sort = 'rcpt', max = listedMax } = options;
  const knownSort = queueSorts.find((one) => one === sort);
  if (knownSort === undefined) return badOptions(`sort is one of ${queueSorts.join(', ')}`);
  if (mode !== undefined && mode !== 'normal' && mode !== 'backoff')
    return badOptions('mode is normal or backoff');
  if (typeof max !== 'number' || !Number.isInteger(max) || max < 1 || max > listedMax)
    return badOptions(`max is 1 to ${listedMax}`);
  const selection: QueueSelection = {
    selector,
    pausedOnly: pausedOnly === true,
    mode,
    all: all === true,
    sort: knownSort,
    queuesMax: max,
  };
  const asked = await askEngines({ about: 'queues', selection });
  if (asked instanceof ControlRefusal) return asked;
  return queueListReport(config, asked, selection, clock.wallMs());
}

async function show({ config, clock, askEngines }: OperatingSetup, { queue }: Options): Promise<unknown> {
  const name = queueOf(queue);
  if (name === undefined) return badOptions('a queue is domain/vmta');
  const asked = await askEngines({ about: 'queue', queue: name });
  if (asked instanceof ControlRefusal) return asked;
  const report = queueShowReport(config, name, asked, clock.wallMs());
  const isKnown = report.queues.length > 0 || report.unanswered.length > 0;
  return isKnown ? report : unknownQueue(name, asked);
}

/** Of a queue, or of a message. */
async function why({ config, clock, askEngines }: OperatingSetup, { of }: Options): Promise<unknown> {
  const id = typeof of === 'string' ? parseMessageId(of) : undefined;
  if (id !== undefined) {
    const asked = await askEngines({ about: 'whyMessage', id });
    if (asked instanceof ControlRefusal) return asked;
    const report = whyMessageReport(formatMessageId(id), asked, clock.wallMs());
    const isKnown = report.messages.length > 0 || report.unanswered.length > 0;
    return isKnown ? report : new ControlRefusal('UNKNOWN_MESSAGE', `nothing is owed of ${report.id}`);
  }
  const name = queueOf(of);
  if (name === undefined) return badOptions('a queue is domain/vmta, a message id like 1f.2a9');
  const asked = await askEngines({ about: 'why', queue: name });
  if (asked instanceof ControlRefusal) return asked;
  const report = whyQueueReport(config, name, asked, clock.wallMs());
  const isKnown = report.queues.length > 0 || report.unanswered.length > 0;
  return isKnown ? report : unknownQueue(name, asked);
}

/** Item by item, as it happens. */
async function trace(setup: OperatingSetup, { queue, data }: Options): Promise<unknown> {
  const name = queueOf(queue);
  if (name === undefined) return badOptions('a queue is domain/vmta');
  const asked = await setup.askEngines({ about: 'trace', queue: name, withData: data === true });
  if (asked instanceof ControlRefusal) return asked;
  if (asked.some(({ answer }) => answer?.kind === 'found')) return traceItems(setup, name);
  const isBusy = asked.some(({ answer }) => answer?.kind === 'busy');
  if (isBusy) return new ControlRefusal('BUSY', 'so many queues are watched that no other can be');
  const known = asked.map(({ state, answer }) => ({
    state,
    answer: answer?.kind === 'unknown' ? answer : undefined,
  }));
  return unknownQueue(name, known);
}

const traceLookMs = 100;

async function* traceItems({ askEngines }: OperatingSetup, queue: QueueName): AsyncGenerator<TraceItem> {
  for (;;) {
    const asked = await askEngines({ about: 'traced', queue });
    if (asked instanceof ControlRefusal) return;
    for (const { state, answer } of asked) {
      for (const { atMs, event, fields } of answer?.lines ?? []) {
        yield { schema: 'penstock.trace/1', engine: state.name, atMs, event, ...fields };
      }
    }
    if (asked.every(({ answer }) => answer === undefined || answer.isOver)) return;
    await new Promise((resolve) => setTimeout(resolve, traceLookMs));
  }
}

async function pause({ askEngines }: OperatingSetup, options: Options, isPaused: boolean): Promise<unknown> {
  const selector = selectorOf(options);
  if (selector instanceof ControlRefusal) return selector;
  const asked = await askEngines({ about: 'pause', selector, isPaused });
  if (asked instanceof ControlRefusal) return asked;
  if (asked.some(({ answer }) => answer === 'tooMany'))
    return new ControlRefusal('TOO_MANY_RULES', 'so many selectors are paused that no other is remembered');
  const counted = asked.map(({ state, answer }) => ({
    state,
    answer: answer === 'tooMany' ? undefined : answer,
  }));
  return queuePauseReport(selector, isPaused, counted);
}

async function retry({ askEngines }: OperatingSetup, options: Options): Promise<unknown> {
  const selector = selectorOf(options);
  if (selector instanceof ControlRefusal) return selector;
  const asked = await askEngines({ about: 'retry', selector });
  return asked instanceof ControlRefusal ? asked : queueRetryReport(selector, asked);
}

async function deleteFrom({ askEngines }: OperatingSetup, options: Options): Promise<unknown> {
  const selector = selectorOf(options);
  if (selector instanceof ControlRefusal) return selector;
  const { orig, rcpt, job, olderThanMs = 0, isTrial } = options;
  const texts = [orig, rcpt, job].filter((text) => text !== undefined);
  if (!texts.every((text) => typeof text === 'string' && text !== '' && text.length <= patternMaxChars))
    return badOptions('orig, rcpt and job are texts, with * for any');
  if (typeof olderThanMs !== 'number' || !(olderThanMs >= 0)) return badOptions('older-than is an interval');
  const order: DeleteOrder = {
    selector,
    olderThanMs,
    orig: textOrNone(orig),
    rcpt: textOrNone(rcpt),
    job: textOrNone(job),
    isTrial: isTrial === true,
  };
  if (order.isTrial && texts.length > 0)
    return badOptions('only selector and older-than can be counted before');
  const asked = await askEngines({ about: 'delete', order });
  if (asked instanceof ControlRefusal) return asked;
  if (asked.some(({ answer }) => answer === 'busy'))
    return new ControlRefusal('BUSY', 'another deletion still reads envelopes');
  const counted = asked.map(({ state, answer }) => ({
    state,
    answer: answer === 'busy' ? undefined : answer,
  }));
  return queueDeleteReport(selector, order.isTrial, counted);
}

const patternMaxChars = 512;

function textOrNone(text: unknown): string | undefined {
  return typeof text === 'string' ? text : undefined;
}

function selectorOf({ selector = '*' }: Options): string | ControlRefusal {
  const parsed = typeof selector === 'string' ? parseQueueSelector(selector) : undefined;
  return parsed?.text ?? badOptions('a selector is domain[/vmta], with * for any text on either side');
}

/** Domains are lower case; virtual MTAs are as they are configured. undefined: it is no queue's name. */
export function queueOf(given: unknown): QueueName | undefined {
  const match = typeof given === 'string' ? /^([^/\s]+)\/(\S+)$/.exec(given.trim()) : null;
  return match === null ? undefined : `${match[1]!.toLowerCase()}/${match[2]!}`;
}

export function unknownQueue(
  name: QueueName,
  engines: readonly EngineAnswer<{ readonly kind: string; readonly nearest?: string | undefined }>[],
): ControlRefusal {
  const nearest = engines.flatMap(({ answer }) => answer?.nearest ?? [])[0];
  const meant = nearest === undefined ? '' : `; ${nearest} may be meant`;
  return new ControlRefusal('UNKNOWN_QUEUE', `no queue is called ${name}${meant}`);
}

function badOptions(message: string): ControlRefusal {
  return new ControlRefusal('BAD_OPTIONS', message);
}
