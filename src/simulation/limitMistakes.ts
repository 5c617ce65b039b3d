import { wholeShare } from '../queue/limitShares.ts';
import type { QueueSettings } from '../queue/queue.ts';
import type { Batch, QueueConnection, Step } from '../queue/schedule.ts';
import { Scheduler, type SchedulerOptions } from '../queue/scheduler.ts';
import type { VmtaSettings } from '../queue/sendingVmta.ts';
import type { Mistake } from './mistake.ts';

/** A scheduler that is told of other settings than the configuration's. */
export function settingsOtherwise(
  otherwise: (settings: QueueSettings) => Partial<QueueSettings>,
  vmtaOtherwise: Partial<VmtaSettings> = {},
): Mistake {
  class Misled extends Scheduler {
    constructor(options: SchedulerOptions) {
      super({
        ...options,
        settingsFor(domain, vmta) {
          const settings = options.settingsFor(domain, vmta);
          return { ...settings, ...otherwise(settings) };
        },
        vmtaFor(vmta) {
          return { ...options.vmtaFor!(vmta), ...vmtaOtherwise };
        },
      });
    }
  }
  return { parts: { Scheduler: Misled } };
}

class OneConnectionMore extends Scheduler {
  constructor(options: SchedulerOptions) {
    super({ ...options, connectionLeases: wholeShare(1000) });
  }
}

class CountsWhenTaken extends Scheduler {
  override take(connection: QueueConnection, nowMs: number): Batch | 'wait' | 'close' {
    const taken = super.take(connection, nowMs);
    if (typeof taken !== 'string') super.contentBegins(taken, 0, nowMs);
    return taken;
  }
}

/** Twice the rate may go within the moments before and after the hands of the clock move on. */
class CountsByTheCalendar extends Scheduler {
  readonly #rates: Map<string, NonNullable<QueueSettings['maxMsgRate']>>;
  readonly #counts = new Map<string, { window: number; count: number }>();

  constructor(options: SchedulerOptions) {
    const rates = new Map<string, NonNullable<QueueSettings['maxMsgRate']>>();
    super({
      ...options,
      settingsFor(domain, vmta) {
        const settings = options.settingsFor(domain, vmta);
        if (settings.maxMsgRate !== undefined) rates.set(`${domain}/${vmta}`, settings.maxMsgRate);
        return { ...settings, maxMsgRate: undefined, maxRcptPerMessage: 1 };
      },
    });
    this.#rates = rates;
  }

  override take(connection: QueueConnection, nowMs: number): Batch | 'wait' | 'close' {
    const rate = this.#rates.get(connection.queue);
    if (rate === undefined) return super.take(connection, nowMs);
    const window = Math.floor(nowMs / rate.perMs);
    const counted = this.#counts.get(connection.queue);
    const count = counted?.window === window ? counted.count : 0;
    if (count >= rate.count) return 'wait';
    const taken = super.take(connection, nowMs);
    if (typeof taken !== 'string') this.#counts.set(connection.queue, { window, count: count + 1 });
    return taken;
  }

  override step(nowMs: number): Step {
    const step = super.step(nowMs);
    const ends = [...this.#rates.values()].map(({ perMs }) => (Math.floor(nowMs / perMs) + 1) * perMs);
    return { ...step, wakeAtMs: Math.min(step.wakeAtMs, ...ends) };
  }
}

export const limitMistakes: Readonly<Record<string, Mistake>> = {
  'limit off by one': settingsOtherwise(({ maxSmtpOut }) => ({ maxSmtpOut: maxSmtpOut + 1 })),
  'total limit not kept': { parts: { Scheduler: OneConnectionMore } },
  'a rate counted by the calendar': { parts: { Scheduler: CountsByTheCalendar } },
  'a rate counted when a batch is taken': { parts: { Scheduler: CountsWhenTaken } },
  'rate of connections not kept': settingsOtherwise(() => ({ maxConnectRate: undefined })),
  'limit of a virtual MTA not kept': settingsOtherwise(() => ({}), { maxSmtpOut: 0 }),
  'rate of a virtual MTA not kept': settingsOtherwise(() => ({}), { maxSmtpMsgRate: undefined }),
};
