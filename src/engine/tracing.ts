import type { Clock, Log, LogLevel } from '../base/ports.ts';
import type { DomainSettingsLookup, EffectiveDomainSettings } from '../config/domainSettings.ts';
import { type QueueName, queueName } from '../message/names.ts';

/** One thing that happened on the way of a queue's mail. */
export interface TraceLine {
  /** Wall milliseconds. */
  readonly atMs: number;
  /** As in the log: `delivery.connected`, `delivery.commands`, `delivery.reply` ... */
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface TracePage {
  /** Since the last page. */
  readonly lines: readonly TraceLine[];
  /** Nothing follows: a connection has ended, the queue has failed, or it has told enough. */
  readonly isOver: boolean;
}

interface Trace {
  readonly withData: boolean;
  readonly beganMs: number;
  askedMs: number;
  told: number;
  lines: TraceLine[];
  isOver: boolean;
}

const tracesMax = 10;
const linesMax = 1000;
/** From its beginning; and without anybody who asks. */
const longestMs = 60_000;
const unaskedMaxMs = 10_000;

type LogSetting = 'logConnections' | 'logCommands' | 'logData' | 'logResolution' | 'logTls';

/** Which events the log has on request only. */
const requested: Readonly<Record<string, LogSetting>> = {
  'delivery.resolved': 'logResolution',
  'delivery.connected': 'logConnections',
  'delivery.disconnected': 'logConnections',
  'delivery.commands': 'logCommands',
  'delivery.reply': 'logCommands',
  'delivery.content': 'logData',
  'delivery.secured': 'logTls',
  'delivery.tlsFailed': 'logTls',
};

const ends: ReadonlySet<string> = new Set(['delivery.disconnected', 'delivery.queueFailed']);

/**
 * Lets somebody watch a queue: its connections log everything, and what they log is kept for who asks. The
 * log itself gets what it would get anyhow.
 */
export class Tracing implements Log {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #configured: DomainSettingsLookup;
  readonly #traces = new Map<QueueName, Trace>();

  constructor(clock: Clock, log: Log, settingsFor: DomainSettingsLookup) {
    this.#clock = clock;
    this.#log = log;
    this.#configured = settingsFor;
  }

  /** As configured, but that a watched queue logs everything; connections ask when they begin. */
  readonly settingsFor: DomainSettingsLookup = (domain, vmta) => {
    const settings = this.#configured(domain, vmta);
    const trace = this.#traces.size === 0 ? undefined : this.#traceOf(queueName(domain, vmta));
    return trace === undefined ? settings : watched(settings, trace.withData);
  };

  /** False: so many are watched already. One that is watched is watched anew. */
  begin(queue: QueueName, withData: boolean): boolean {
    for (const known of [...this.#traces.keys()]) this.#traceOf(known);
    if (this.#traces.size >= tracesMax && !this.#traces.has(queue)) return false;
    const nowMs = this.#clock.monotonicMs();
    const trace = { withData, beganMs: nowMs, askedMs: nowMs, told: 0, lines: [], isOver: false };
    this.#traces.set(queue, trace);
    return true;
  }

  page(queue: QueueName): TracePage {
    const trace = this.#traceOf(queue);
    if (trace === undefined) return { lines: [], isOver: true };
    const { lines, isOver } = trace;
    trace.askedMs = this.#clock.monotonicMs();
    trace.lines = [];
    if (isOver) this.#traces.delete(queue);
    return { lines, isOver };
  }

  write(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const queue = this.#traces.size === 0 ? undefined : (fields.queue as QueueName | undefined);
    const trace = queue === undefined ? undefined : this.#traceOf(queue);
    if (trace !== undefined) this.#tell(trace, event, fields);
    if (trace === undefined || this.#isLogged(queue!, event)) this.#log.write(level, event, fields);
  }

  #tell(trace: Trace, event: string, fields: Readonly<Record<string, unknown>>): void {
    if (trace.isOver) return;
    trace.lines.push({ atMs: this.#clock.wallMs(), event, fields });
    trace.told += 1;
    trace.isOver = ends.has(event) || trace.told >= linesMax;
  }

  #isLogged(queue: QueueName, event: string): boolean {
    const setting = requested[event];
    if (setting === undefined) return true;
    const slash = queue.indexOf('/');
    return this.#configured(queue.slice(0, slash), queue.slice(slash + 1))[setting].value;
  }

  /** undefined: it is not watched, or nobody asks any more. */
  #traceOf(queue: QueueName): Trace | undefined {
    const trace = this.#traces.get(queue);
    if (trace === undefined) return undefined;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - trace.beganMs > longestMs) trace.isOver = true;
    if (nowMs - trace.askedMs <= unaskedMaxMs) return trace;
    this.#traces.delete(queue);
    return undefined;
  }
}

function watched(settings: EffectiveDomainSettings, withData: boolean): EffectiveDomainSettings {
  const on = { value: true, origin: undefined };
  return {
    ...settings,
    logConnections: on,
    logCommands: on,
    logResolution: on,
    logTls: on,
    logData: withData ? on : settings.logData,
  };
}
