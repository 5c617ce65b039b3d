import type { Clock, Log } from '../base/ports.ts';
import type { DomainSettingsLookup } from '../config/domainSettings.ts';
import type { LocalCause } from '../delivery/nextHop.ts';
import { type QueueName, splitQueueName } from '../message/names.ts';
import { formatDateTime } from '../protocol/dateTime.ts';
import type { ModeCause, ModeChange, Step } from '../queue/schedule.ts';
import type { LocalMail } from './localMail.ts';

export interface NoticesSetup {
  readonly clock: Clock;
  readonly log: Log;
  readonly settingsFor: DomainSettingsLookup;
  readonly localMail: Pick<LocalMail, 'notify'>;
  /** What the queue met last, or ''. */
  lastError(queue: QueueName): string;
}

/** About the same thing of the same queue one mail is sent in so long. */
const silenceMs = 3_600_000;
/** In that time, about everything; and so many things are remembered. */
const mailsMax = 60;
const thingsMax = 10_000;

const causes: Readonly<Record<ModeCause, string>> = {
  asked: 'a rule on replies, or an operator, asked for it',
  time: 'its time was over',
  delivery: 'a message was delivered',
  sources: 'its last local address was disabled',
};

/** Tells the operator, in the log and by mail, what queues do by themselves. */
export class OperatorNotices {
  readonly #setup: NoticesSetup;
  /** When it was told last, by what was told; oldest first. */
  readonly #toldMs = new Map<string, number>();
  #mails = 0;
  #countedFromMs = Number.NEGATIVE_INFINITY;

  constructor(setup: NoticesSetup) {
    this.#setup = setup;
  }

  tellModes({ modes, withoutSource }: Pick<Step, 'modes' | 'withoutSource'>): void {
    const { log } = this.#setup;
    for (const change of modes) {
      log.write('info', 'queue.mode', { ...change });
      this.#mailMode(change);
    }
    for (const queue of withoutSource) log.write('warn', 'queue.withoutSource', { queue });
  }

  /** @param afterMs until it is used again; undefined: until it is enabled */
  sourceDisabled(queue: QueueName, address: string, cause: LocalCause, afterMs: number | undefined): void {
    const { settingsFor } = this.#setup;
    const { domain, vmta } = splitQueueName(queue);
    const until = afterMs === undefined ? 'it is enabled' : this.#date(afterMs);
    this.#mail(settingsFor(domain, vmta).disabledSourceIpNotify.value, queue, {
      subject: `${address} is disabled for ${queue}`,
      text: [
        `The queue ${queue} does not use ${address} before ${until}, because a rule on replies asked for it.`,
        `The reply: ${cause.diagnostic}`,
      ].join('\n\n'),
    });
  }

  #mailMode({ queue, mode, cause }: ModeChange): void {
    const { settingsFor, lastError } = this.#setup;
    const { domain, vmta } = splitQueueName(queue);
    const error = lastError(queue);
    this.#mail(settingsFor(domain, vmta).backoffNotify.value, queue, {
      subject: `${queue} is in ${mode} mode`,
      text: [
        `The queue ${queue} is in ${mode} mode since ${this.#date(0)}: ${causes[cause]}.`,
        ...(error === '' ? [] : [`What it met last: ${error}`]),
      ].join('\n\n'),
    });
  }

  #mail(
    addresses: readonly string[],
    queue: QueueName,
    { subject, text }: { readonly subject: string; readonly text: string },
  ): void {
    const { vmta } = splitQueueName(queue);
    for (const to of addresses) {
      if (to === '' || !this.#mayMail(`${to} ${subject}`)) continue;
      this.#setup.localMail.notify({ to, vmta, subject, text });
    }
  }

  /** A queue that comes and goes, or many at once, must not flood anybody. */
  #mayMail(what: string): boolean {
    const nowMs = this.#setup.clock.monotonicMs();
    if ((this.#toldMs.get(what) ?? Number.NEGATIVE_INFINITY) + silenceMs > nowMs) return false;
    if (this.#countedFromMs + silenceMs <= nowMs) {
      this.#countedFromMs = nowMs;
      this.#mails = 0;
    }
    this.#mails += 1;
    if (this.#mails === mailsMax + 1) this.#setup.log.write('warn', 'notices.tooMany', { mailsMax });
    if (this.#mails > mailsMax) return false;
    this.#toldMs.delete(what);
    this.#toldMs.set(what, nowMs);
    if (this.#toldMs.size > thingsMax) this.#toldMs.delete(this.#toldMs.keys().next().value!);
    return true;
  }

  #date(inMs: number): string {
    const { clock } = this.#setup;
    const wallMs = clock.wallMs() + inMs;
    return formatDateTime(wallMs, clock.zoneOffsetMinutes(wallMs));
  }
}
