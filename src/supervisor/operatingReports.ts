import type { Config, Origin, Setting } from '../config/config.ts';
import {
  compileDomainSettings,
  type EffectiveDomainSettings,
  effectiveDomainSettings,
} from '../config/domainSettings.ts';
import type {
  QueueDeleteReport,
  QueueListReport,
  QueuePauseReport,
  QueueReport,
  QueueRetryReport,
  QueueShowReport,
  SettingReport,
} from '../control/operatingReports.ts';
import type {
  DeleteCounts,
  FoundQueue,
  PauseAnswer,
  QueueListing,
  QueueSelection,
  QueueSort,
  QueueState,
} from '../engine/operations.ts';
import { type QueueName, splitQueueName } from '../message/names.ts';
import type { RetryCounts } from '../queue/schedule.ts';
import { type EngineAnswer, unanswered } from './quarantineReports.ts';

/** At most `queuesMax` of all that match. */
export function queueListReport(
  config: Config,
  engines: readonly EngineAnswer<QueueListing>[],
  { sort, queuesMax }: Pick<QueueSelection, 'sort' | 'queuesMax'>,
  nowMs: number,
): QueueListReport {
  const reportOf = queueReporter(config, nowMs);
  const queues = engines.flatMap(
    ({ state, answer }) => answer?.queues.map((queue) => reportOf(state.name, queue)) ?? [],
  );
  if (engines.length > 1) queues.sort(orders[sort]);
  return {
    schema: 'penstock.queueList/1',
    total: sum(engines, ({ queuesTotal }) => queuesTotal),
    totalRecipients: sum(engines, ({ recipientsTotal }) => recipientsTotal),
    queues: queues.slice(0, queuesMax),
    pauseRules: rulesOf(engines),
    unanswered: unanswered(engines),
  };
}

const orders: Readonly<Record<QueueSort, (a: QueueReport, b: QueueReport) => number>> = {
  rcpt: (a, b) => b.recipients - a.recipients,
  name: (a, b) => (a.name < b.name ? -1 : 1),
  retry: (a, b) => (b.nextTryMs ?? 0) - (a.nextTryMs ?? 0),
};

/** The queue as each engine has it, with what the configuration says of it. */
export function queueShowReport(
  config: Config,
  name: QueueName,
  engines: readonly EngineAnswer<FoundQueue>[],
  nowMs: number,
): QueueShowReport {
  const reportOf = queueReporter(config, nowMs);
  return {
    schema: 'penstock.queueShow/1',
    name,
    queues: engines.flatMap(({ state, answer }) =>
      answer?.kind === 'found' ? [reportOf(state.name, answer.queue)] : [],
    ),
    settings: settingReports(config, name),
    unanswered: unanswered(engines),
  };
}

export function queuePauseReport(
  selector: string,
  isPaused: boolean,
  engines: readonly EngineAnswer<PauseAnswer>[],
): QueuePauseReport {
  return {
    schema: 'penstock.queuePause/1',
    selector,
    isPaused,
    queues: sum(engines, ({ queues }) => queues),
    recipients: sum(engines, ({ recipients }) => recipients),
    pauseRules: rulesOf(engines),
    unanswered: unanswered(engines),
  };
}

export function queueRetryReport(
  selector: string,
  engines: readonly EngineAnswer<RetryCounts>[],
): QueueRetryReport {
  return {
    schema: 'penstock.queueRetry/1',
    selector,
    queues: sum(engines, ({ queues }) => queues),
    recipients: sum(engines, ({ recipients }) => recipients),
    unanswered: unanswered(engines),
  };
}

export function queueDeleteReport(
  selector: string,
  isTrial: boolean,
  engines: readonly EngineAnswer<DeleteCounts>[],
): QueueDeleteReport {
  return {
    schema: 'penstock.queueDelete/1',
    selector,
    isTrial,
    queues: sum(engines, ({ queues }) => queues),
    recipients: sum(engines, ({ recipients }) => recipients),
    inDelivery: sum(engines, ({ inDelivery }) => inDelivery),
    goesOn: engines.some(({ answer }) => answer?.goesOn === true),
    unanswered: unanswered(engines),
  };
}

/** What of a queue's settings decides when it sends; each with its line. */
export function settingReports(config: Config, name: QueueName): readonly SettingReport[] {
  const { domain, vmta } = splitQueueName(name);
  const settings = effectiveDomainSettings(config, domain, vmta);
  return shownSettings.map(([key, directive, text]) => {
    const { value, origin } = settings[key] as Setting<unknown>;
    return { directive, value: (text as (value: unknown) => string)(value), where: whereText(origin) };
  });
}

/** `file:line`, or `default`. */
export function whereText(origin: Origin | undefined): string {
  return origin === undefined ? 'default' : `${origin.file}:${origin.line}`;
}

type Settings = EffectiveDomainSettings;

type Shown = {
  [K in keyof Settings]: readonly [key: K, directive: string, text: (value: Settings[K]['value']) => string];
}[keyof Settings];

function shown<K extends keyof Settings>(
  key: K,
  directive: string,
  text: (value: Settings[K]['value']) => string,
): Shown {
  return [key, directive, text] as unknown as Shown;
}

const shownSettings: readonly Shown[] = [
  shown('maxSmtpOut', 'max-smtp-out', String),
  shown('maxMsgRate', 'max-msg-rate', rateText),
  shown('maxConnectRate', 'max-connect-rate', rateText),
  shown('maxMsgPerConnection', 'max-msg-per-connection', String),
  shown('maxRcptPerMessage', 'max-rcpt-per-message', String),
  shown('retryAfterMs', 'retry-after', (steps) => steps.map(intervalText).join(',')),
  shown('retryRecipientsAfterMs', 'retry-recipients-after', intervalText),
  shown('bounceAfterMs', 'bounce-after', intervalText),
];

/** As the configuration writes it: `80/1m`. */
export function rateText(rate: { readonly count: number; readonly perMs: number } | undefined): string {
  return rate === undefined ? 'unlimited' : `${rate.count}/${intervalText(rate.perMs)}`;
}

const units: readonly (readonly [name: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

/** As the configuration writes it: `1h30m`. */
export function intervalText(intervalMs: number): string {
  let restMs = intervalMs;
  let text = '';
  for (const [name, ms] of units) {
    const count = Math.floor(restMs / ms);
    restMs -= count * ms;
    if (count > 0) text += `${count}${name}`;
  }
  return text === '' ? `${intervalMs}ms` : text;
}

/** Tells of queues in wall time, beside what is configured. */
export function queueReporter(
  config: Config,
  nowMs: number,
): (engine: string, queue: QueueState) => QueueReport {
  const settingsFor = compileDomainSettings(config);
  return (engine, { retryInMs, ...queue }) => {
    const { domain, vmta } = splitQueueName(queue.name);
    return {
      ...queue,
      engine,
      connectionsMax: settingsFor(domain, vmta).maxSmtpOut.value,
      nextTryMs: retryInMs > 0 ? nowMs + retryInMs : undefined,
    };
  };
}

function rulesOf(engines: readonly EngineAnswer<{ readonly pauseRules: readonly string[] }>[]): string[] {
  return [...new Set(engines.flatMap(({ answer }) => answer?.pauseRules ?? []))];
}

function sum<T>(engines: readonly EngineAnswer<T>[], of: (answer: T) => number): number {
  return engines.reduce((total, { answer }) => total + (answer === undefined ? 0 : of(answer)), 0);
}
