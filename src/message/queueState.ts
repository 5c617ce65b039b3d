import type { QueueName } from './names.ts';

/** What of a queue outlives a restart, beside its mail. */
export interface QueueState {
  readonly queue: QueueName;
  /** Failures of the queue since its last delivery. */
  readonly retryStep: number;
  /** Wall time before which the queue does not try again; 0: not in retry. */
  readonly retryAtMs: number;
}

/** The state of a queue that nothing needs to be remembered of. */
export function isAtRest({ retryStep, retryAtMs }: QueueState): boolean {
  return retryStep === 0 && retryAtMs === 0;
}
