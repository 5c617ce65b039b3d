import type { Digest } from '../base/ports.ts';
import type { QueueState } from '../message/queueState.ts';
import {
  type HoldReason,
  holdNumber,
  type OwedAfterRestart,
  type OwedSink,
  type SettledRecipient,
} from './owed.ts';

const encoder = new TextEncoder();

/**
 * A sum over what a restart is told of a segment, in whatever order: a footer must say what the records say,
 * for a restart believes it.
 */
export class ToldSum implements OwedSink {
  readonly #digest: Digest;
  #count = 0;
  #sum = 0;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  equals(other: ToldSum): boolean {
    return this.#count === other.#count && this.#sum === other.#sum;
  }

  put({ id, location, storedBytes, hasBodyFile, vmta, timeQueuedMs, recipients }: OwedAfterRestart): void {
    this.#add([
      'put',
      [id.epoch, id.sequence, location.segment, location.recordAt, location.recordBytes],
      [storedBytes, hasBodyFile, vmta, timeQueuedMs],
      recipients.map(({ index, domain, attempts, nextTryMs, heldFor }) => [
        index,
        domain,
        attempts,
        nextTryMs,
        holdNumber(heldFor),
      ]),
    ]);
  }

  settle({ id, recipientIndex, kind, attempts, nextTryMs }: SettledRecipient): void {
    this.#add(['settle', id.epoch, id.sequence, recipientIndex, kind, attempts, nextTryMs]);
  }

  hold({ epoch, sequence }: OwedAfterRestart['id'], reason: HoldReason | undefined): void {
    this.#add(['hold', epoch, sequence, holdNumber(reason)]);
  }

  purge({ epoch, sequence }: OwedAfterRestart['id'], recipientIndex: number): void {
    this.#add(['purge', epoch, sequence, recipientIndex]);
  }

  queueState(state: QueueState): void {
    const { queue, retryStep, retryAtMs, backoff, disabledSources = [] } = state;
    const sources = disabledSources.map(({ address, untilMs }) => [address, untilMs]);
    this.#add(['queueState', queue, retryStep, retryAtMs, backoff?.sinceMs, backoff?.untilMs, sources]);
  }

  #add(told: readonly unknown[]): void {
    this.#count += 1;
    this.#sum = (this.#sum + this.#digest.crc32(encoder.encode(JSON.stringify(told)), 0)) >>> 0;
  }
}
