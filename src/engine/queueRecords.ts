import type { Clock } from '../base/ports.ts';
import { queueEvent, type RemoteCause } from '../delivery/outcome.ts';
import type { QueueName } from '../message/names.ts';
import { hasMode, type QueueState } from '../message/queueState.ts';
import type { ModeState, QueueRetryClock, RetryClock, Step } from '../queue/schedule.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { Spool } from '../spool/spool.ts';

export interface QueueRecordsParts {
  readonly scheduler: Scheduler;
  readonly spool: Pick<Spool, 'putQueueState' | 'putQueueEvent'>;
  /** Some accounting file asks for tq rows. */
  readonly wantsQueueEvents: boolean;
}

/** What of queues outlives a restart, from the scheduler into the spool and back, and their rows. */
export class QueueRecords {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #spool: QueueRecordsParts['spool'];
  readonly #wantsEvents: boolean;

  constructor(clock: Clock, { scheduler, spool, wantsQueueEvents }: QueueRecordsParts) {
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#spool = spool;
    this.#wantsEvents = wantsQueueEvents;
  }

  /** The queue is about to wait. Several connections that fail together are one failure. */
  failed(queue: QueueName, cause: RemoteCause): void {
    const isNews = this.#scheduler.clocks.of(queue, this.#clock.monotonicMs()).retryInMs === 0;
    if (isNews && this.#wantsEvents) {
      this.#spool.putQueueEvent(queueEvent(queue, cause, this.#clock.wallMs()));
    }
  }

  /** Puts what has changed. */
  remember({ retryClocks, changedModes }: Pick<Step, 'retryClocks' | 'changedModes'>): void {
    const nowMs = this.#clock.monotonicMs();
    for (const clock of retryClocks) this.#put(clock.queue, clock);
    for (const queue of changedModes) this.#put(queue, this.#scheduler.clocks.of(queue, nowMs));
  }

  /** After a restart, once the mail has been added. */
  restore(state: QueueState): void {
    const nowMs = this.#clock.monotonicMs();
    if (hasMode(state)) this.#scheduler.modes.restore(state.queue, this.#modeOf(state), nowMs);
    this.#scheduler.restoreRetry(this.#retryClockOf(state), nowMs);
  }

  #retryClockOf({ queue, retryStep, retryAtMs }: QueueState): QueueRetryClock {
    return { queue, retryStep, retryInMs: Math.max(0, retryAtMs - this.#clock.wallMs()) };
  }

  #modeOf({ backoff, disabledSources = [] }: QueueState): ModeState {
    const nowMs = this.#clock.wallMs();
    const leftOf = (untilMs: number): number => (untilMs === 0 ? Number.POSITIVE_INFINITY : untilMs - nowMs);
    return {
      mode: backoff === undefined ? 'normal' : 'backoff',
      ageMs: nowMs - (backoff?.sinceMs ?? nowMs),
      endsInMs: leftOf(backoff?.untilMs ?? 0),
      disabled: disabledSources.map(({ address, untilMs }) => ({ address, enabledInMs: leftOf(untilMs) })),
    };
  }

  #put(queue: QueueName, { retryStep, retryInMs }: RetryClock): void {
    const nowMs = this.#clock.wallMs();
    const wallOf = (inMs: number): number => (inMs === Number.POSITIVE_INFINITY ? 0 : nowMs + inMs);
    const retryAtMs = retryInMs === 0 ? 0 : nowMs + retryInMs;
    const modes = this.#scheduler.modes.state(queue, this.#clock.monotonicMs());
    const backoff =
      modes?.mode === 'backoff'
        ? { sinceMs: nowMs - modes.ageMs, untilMs: wallOf(modes.endsInMs) }
        : undefined;
    const disabledSources = modes?.disabled.map(({ address, enabledInMs }) => ({
      address,
      untilMs: wallOf(enabledInMs),
    }));
    this.#spool.putQueueState({ queue, retryStep, retryAtMs, backoff, disabledSources });
  }
}
