import type { Config, Setting } from '../config/config.ts';
import { effectiveDomainSettings } from '../config/domainSettings.ts';
import type { HoldReport, WhyMessageReport, WhyQueueReport } from '../control/operatingReports.ts';
import type { FoundQueue, TimedHold, WhyMessage, WhyQueue } from '../engine/operations.ts';
import { type QueueName, splitQueueName } from '../message/names.ts';
import { intervalText, queueReporter, rateText, whereText } from './operatingReports.ts';
import { type EngineAnswer, unanswered } from './quarantineReports.ts';

/** What holds a queue back, each with the line that says so. */
export function whyQueueReport(
  config: Config,
  name: QueueName,
  engines: readonly EngineAnswer<WhyQueue | Extract<FoundQueue, { kind: 'unknown' }>>[],
  nowMs: number,
): WhyQueueReport {
  const reportOf = queueReporter(config, nowMs);
  return {
    schema: 'penstock.whyQueue/1',
    name,
    queues: engines.flatMap(({ state, answer }) => {
      if (answer?.kind !== 'found') return [];
      const holds = answer.holds.map((hold) => holdReport(config, name, hold, nowMs));
      return [{ ...reportOf(state.name, answer.queue), holds }];
    }),
    unanswered: unanswered(engines),
  };
}

export function whyMessageReport(
  id: string,
  engines: readonly EngineAnswer<WhyMessage | 'unknown'>[],
  nowMs: number,
): WhyMessageReport {
  return {
    schema: 'penstock.whyMessage/1',
    id,
    messages: engines.flatMap(({ state, answer }) => {
      if (answer === undefined || answer === 'unknown') return [];
      const recipients = answer.recipients.map(({ nextTryInMs, heldFor, ...recipient }) => ({
        ...recipient,
        nextTryMs: nextTryInMs > 0 ? nowMs + nextTryInMs : undefined,
        heldFor: heldFor ?? '',
      }));
      const { orig, vmta, timeQueuedMs, recipientsTotal } = answer;
      return [{ engine: state.name, orig, vmta, timeQueuedMs, recipientsTotal, recipients }];
    }),
    unanswered: unanswered(engines),
  };
}

function holdReport(config: Config, name: QueueName, hold: TimedHold, nowMs: number): HoldReport {
  const { limit, scope, address, value, untilInMs } = hold;
  const setting = settingOf(config, name, hold);
  return {
    limit,
    scope,
    address,
    value: valueText(limit, value),
    untilMs: untilInMs === undefined ? undefined : nowMs + untilInMs,
    where: setting === undefined ? '' : whereText(setting.origin),
  };
}

/** The setting behind a limit; undefined where none is. */
function settingOf(
  config: Config,
  name: QueueName,
  { limit, scope }: TimedHold,
): Setting<unknown> | undefined {
  if (scope === 'total') return config.totalMaxSmtpOut;
  const { domain, vmta } = splitQueueName(name);
  const key = limit.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const all: object | undefined =
    scope === 'virtual-mta'
      ? config.virtualMtas.find((one) => one.name === vmta)
      : effectiveDomainSettings(config, domain, vmta);
  const settings = { ...all } as Readonly<Record<string, Setting<unknown> | undefined>>;
  return settings[key] ?? settings[`${key}Ms`];
}

function valueText(limit: string, value: TimedHold['value']): string {
  if (value === undefined) return '';
  if (typeof value === 'object') return rateText(value);
  return /-(?:after|interval)$/.test(limit) ? intervalText(value) : String(value);
}
