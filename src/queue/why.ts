import type { Queue } from './queue.ts';
import type { RateKind, RateSet } from './rateSet.ts';
import type { Hold } from './schedule.ts';
import type { SendingVmta } from './sendingVmta.ts';

/** What there is to ask about a queue. */
export interface Question {
  readonly queue: Queue;
  readonly vmta: SendingVmta;
  /** Of the message that would go next. */
  readonly sizeBytes: number;
  /** Whose connection slots it waits for. */
  readonly shortOf: 'total' | 'virtual-mta' | undefined;
  readonly nowMs: number;
}

/** Everything that keeps a queue from starting more now, the nearest to it first. Empty: nothing does. */
export function holdsOf(question: Question): readonly Hold[] {
  return [
    ...ofItsClock(question),
    ...ofItsConnections(question),
    ...question.queue.rateSets().flatMap((rates) => ofRates(rates, ['connect', 'msg', 'data'], question)),
    ...ofAddresses(question),
    ...ofVirtualMta(question),
    ...(question.shortOf === 'total' ? [{ limit: 'total-max-smtp-out', scope: 'total' } as const] : []),
  ];
}

function ofItsClock({ queue }: Question): readonly Hold[] {
  const holds: Hold[] = [];
  const scope = 'queue';
  if (queue.ready === 0) holds.push({ limit: 'mail', scope });
  if (queue.retryAtMs !== undefined) {
    const steps = queue.retryAfterMs();
    const value = steps[Math.min(Math.max(0, queue.retryStep - 1), steps.length - 1)]!;
    const limit = queue.mode === 'normal' ? 'retry-after' : 'backoff-retry-after';
    holds.push({ limit, scope, value, untilMs: queue.retryAtMs });
  }
  if (queue.mode === 'backoff') holds.push({ limit: 'mode=backoff', scope, untilMs: queue.backoffUntilMs });
  return holds;
}

function ofItsConnections({ queue, nowMs }: Question): readonly Hold[] {
  const holds: Hold[] = [];
  const scope = 'queue';
  const { maxSmtpOut, smtpOutRampupIntervalMs } = queue.settings;
  const value = queue.maxSmtpOut();
  if (queue.connections() >= value) {
    holds.push({ limit: value < maxSmtpOut ? 'backoff-max-smtp-out' : 'max-smtp-out', scope, value });
  }
  const untilMs = queue.openedAtMs + smtpOutRampupIntervalMs;
  if (smtpOutRampupIntervalMs > 0 && untilMs > nowMs) {
    holds.push({ limit: 'smtp-out-rampup-interval', scope, value: smtpOutRampupIntervalMs, untilMs });
  }
  return holds;
}

function ofRates(
  rates: RateSet,
  kinds: readonly RateKind[],
  { sizeBytes, nowMs }: Question,
  of: Pick<Hold, 'scope' | 'address'> = { scope: 'queue' },
): readonly Hold[] {
  return kinds.flatMap((kind) => {
    const limit = rates[kind];
    const untilMs = limit?.freeAtMs(1, kind === 'data' ? sizeBytes : 1, nowMs) ?? nowMs;
    if (limit === undefined || untilMs <= nowMs) return [];
    return [{ limit: rates.directives[kind], ...of, value: limit.rate, untilMs }];
  });
}

function ofAddresses(question: Question): readonly Hold[] {
  const { queue, vmta } = question;
  if (!queue.hasUnlikeHosts) return [];
  return vmta.sourceAddresses.flatMap((address, i) => {
    const host = queue.host(i);
    if (host === undefined) return [];
    const of = { scope: 'address', ...(address === undefined ? {} : { address }) } as const;
    const { disabledUntilMs: untilMs, maxSmtpOut: value } = host;
    const isFull = host.connections() >= value;
    return [
      ...(untilMs === undefined ? [] : [{ limit: 'disable-source-ip', ...of, untilMs }]),
      ...(isFull ? [{ limit: 'source-ip-max-smtp-out', ...of, value }] : []),
      ...host.rateSets.flatMap((rates) => ofRates(rates, ['connect', 'msg', 'data'], question, of)),
    ];
  });
}

function ofVirtualMta(question: Question): readonly Hold[] {
  const { queue, vmta, shortOf } = question;
  const holds: Hold[] = [];
  const scope = 'virtual-mta';
  if (shortOf === 'virtual-mta') holds.push({ limit: 'max-smtp-out', scope, value: vmta.slots!.limit });
  if (vmta.gate === undefined) return holds;
  const { rates, line } = vmta.gate;
  const used = ofRates(rates, ['msg', 'data'], question, { scope });
  if (used.length > 0 || queue.line !== line) return [...holds, ...used];
  // There is room again, and others are before it in line.
  const limit = rates.msg === undefined ? rates.directives.data : rates.directives.msg;
  return [...holds, { limit, scope }];
}
