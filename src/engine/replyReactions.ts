import type { Clock, Endpoint, Log } from '../base/ports.ts';
import type { ReplyActions } from '../config/config.ts';
import type { DomainSettingsLookup } from '../config/domainSettings.ts';
import type { LocalCause, PlannedEndpoint } from '../delivery/nextHop.ts';
import type { RemoteCause, RemoteFacts } from '../delivery/outcome.ts';
import type { Judgement } from '../delivery/replyRules.ts';
import { SkippedHosts } from '../delivery/skippedHosts.ts';
import { type QueueName, splitQueueName } from '../message/names.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { OperatorNotices } from './operatorNotices.ts';

export interface ReactionsSetup {
  readonly clock: Clock;
  readonly log: Log;
  readonly scheduler: Pick<Scheduler, 'setMode' | 'disableSource'>;
  readonly settingsFor: DomainSettingsLookup;
  readonly notices: Pick<OperatorNotices, 'sourceDisabled'>;
  /** The queue as a whole waits. */
  failQueue(queue: QueueName, cause: RemoteCause): void;
  /** Each recipient of the queue fails. */
  bounceQueue(queue: QueueName, cause: LocalCause): void;
}

/** The queue whose rules judged, and the connection. */
export interface JudgedQueue {
  readonly queue: QueueName;
  /** Ours; undefined: the system's choice. */
  readonly localAddress: string | undefined;
  readonly remote: RemoteFacts;
}

/** What a reply said, and what the queue's rules ask for upon it. */
export interface Judged extends LocalCause {
  readonly judgement: Judgement;
}

type Reaction = (of: JudgedQueue, actions: ReplyActions, cause: LocalCause) => void;

/** What rules ask of queues (powermta b.9). What they ask of recipients is done where replies are read. */
export class ReplyReactions {
  readonly #setup: ReactionsSetup;
  readonly #skipped = new SkippedHosts();

  constructor(setup: ReactionsSetup) {
    this.#setup = setup;
  }

  judged(of: JudgedQueue, { judgement, status, diagnostic }: Judged): void {
    const { actions, rules } = judgement;
    this.#setup.log.write('info', 'delivery.judged', {
      queue: of.queue,
      reply: diagnostic,
      actions,
      rules: rules.map(({ expression, origin }) => `${origin.file}:${origin.line} /${expression}/`),
    });
    for (const [name, react] of this.#reactions) {
      if (actions[name] !== undefined) react(of, actions, { status, diagnostic });
    }
  }

  /** A host asked to go on to the next one. */
  mxSkipped(queue: QueueName, endpoint: Endpoint, cause: LocalCause): void {
    const { clock, settingsFor } = this.#setup;
    const { domain, vmta } = splitQueueName(queue);
    const [firstWaitMs] = settingsFor(domain, vmta).retryAfterMs.value as [number];
    this.#skipped.skip(queue, keyOf(endpoint), { untilMs: clock.monotonicMs() + firstWaitMs, cause });
  }

  /** Without the hosts that are passed over; the cause of one of them when none is left. */
  usable(
    queue: QueueName,
    endpoints: readonly PlannedEndpoint[],
  ): { readonly endpoints: readonly PlannedEndpoint[]; readonly cause: LocalCause | undefined } {
    const nowMs = this.#setup.clock.monotonicMs();
    const skips = endpoints.map((endpoint) => this.#skipped.of(queue, keyOf(endpoint), nowMs));
    const usable = endpoints.filter((_, i) => skips[i] === undefined);
    return { endpoints: usable, cause: usable.length > 0 ? undefined : skips.at(-1)?.cause };
  }

  /** It waits now; then every host is asked again. */
  queueFailed(queue: QueueName): void {
    this.#skipped.forget(queue);
  }

  /** In this order: the wait of a queue that is deferred is that of its new mode. */
  readonly #reactions: readonly (readonly [keyof ReplyActions, Reaction])[] = [
    ['mode', ({ queue }, actions) => this.#setMode(queue, actions)],
    ['disableSourceIp', (of, actions, cause) => this.#disableSource(of, actions, cause)],
    [
      'deferQueue',
      ({ queue, remote }, _actions, cause) => this.#setup.failQueue(queue, { ...cause, remote }),
    ],
    ['bounceQueue', ({ queue }, _actions, cause) => this.#setup.bounceQueue(queue, bounceQueueCause(cause))],
  ];

  #setMode(queue: QueueName, { mode, backoffToNormalAfterMs }: ReplyActions): void {
    const { scheduler, clock } = this.#setup;
    scheduler.setMode(queue, mode!, clock.monotonicMs(), backoffToNormalAfterMs);
  }

  #disableSource(
    { queue, localAddress }: JudgedQueue,
    { reenableAfterMs }: ReplyActions,
    cause: LocalCause,
  ): void {
    const { scheduler, clock, settingsFor, notices, log } = this.#setup;
    if (localAddress === undefined) {
      log.write('warn', 'delivery.noSourceToDisable', { queue });
      return;
    }
    const { domain, vmta } = splitQueueName(queue);
    const afterMs = reenableAfterMs ?? settingsFor(domain, vmta).reenableSourceIpAfterMs.value;
    const nowMs = clock.monotonicMs();
    const isDone = scheduler.disableSource(queue, localAddress, afterMs && nowMs + afterMs, nowMs);
    if (isDone) notices.sourceDisabled(queue, localAddress, cause, afterMs);
  }
}

/** Why all of a queue fails: as PowerMTA's own patterns look for it (`x-pmta;bounce-queue`). */
export function bounceQueueCause({ status, diagnostic }: LocalCause): LocalCause {
  return { status: `5${status.slice(1)}`, diagnostic: `${diagnostic};x-pmta;bounce-queue` };
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
