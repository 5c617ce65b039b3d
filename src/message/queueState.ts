import type { QueueName } from './names.ts';

/** What of a queue outlives a restart, beside its mail. */
export interface QueueState {
  readonly queue: QueueName;
  /** Failures of the queue since its last delivery. */
  readonly retryStep: number;
  /** Wall time before which the queue does not try again; 0: not in retry. */
  readonly retryAtMs: number;
  /** undefined: it is in normal mode. */
  readonly backoff?: BackoffState | undefined;
  /** Local addresses it does not use; none without it. */
  readonly disabledSources?: readonly DisabledSource[] | undefined;
}

/** Wall times. */
export interface BackoffState {
  readonly sinceMs: number;
  /** When it ends by itself; 0: it does not. */
  readonly untilMs: number;
}

export interface DisabledSource {
  readonly address: string;
  /** Wall time when it is used again; 0: when somebody enables it. */
  readonly untilMs: number;
}

/** The state of a queue that nothing needs to be remembered of. */
export function isAtRest(state: QueueState): boolean {
  return state.retryStep === 0 && state.retryAtMs === 0 && !hasMode(state);
}

/** More is to be remembered than its retry clock. */
export function hasMode({ backoff, disabledSources }: QueueState): boolean {
  return backoff !== undefined || (disabledSources?.length ?? 0) > 0;
}
