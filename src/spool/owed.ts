import type { DeliveryEventKind } from '../message/deliveryEvent.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { QueueState } from '../message/queueState.ts';

/**
 * Why a recipient is kept back from delivery: its message's content is damaged; the engine died of the
 * message, twice; its outcome may have stood in a record that cannot be read any more; an operator deleted
 * it, and its outcome is still to be written. Their places in this list are on disk: only append.
 */
export const holdReasons = ['damaged', 'deadly', 'doubtful', 'deleted'] as const;
export type HoldReason = (typeof holdReasons)[number];

/** A message that still owes an outcome to at least one recipient. */
export interface OwedAfterRestart {
  readonly id: MessageId;
  readonly location: SpoolLocation;
  /** What of it lies in its segment, bytes. */
  readonly storedBytes: number;
  /** The content lies in a file of its own. */
  readonly hasBodyFile: boolean;
  readonly vmta: string;
  readonly timeQueuedMs: number;
  readonly recipients: readonly OwedRecipient[];
}

export interface OwedRecipient {
  /** Place in the envelope. */
  readonly index: number;
  readonly domain: string;
  readonly attempts: number;
  /** Wall time; 0 when it was never deferred. */
  readonly nextTryMs: number;
  /** Why it is kept back from delivery; undefined: it is not. */
  readonly heldFor: HoldReason | undefined;
}

/** What an outcome or deferral says to a restart. */
export interface SettledRecipient {
  readonly id: MessageId;
  readonly recipientIndex: number;
  readonly kind: DeliveryEventKind;
  readonly attempts: number;
  readonly nextTryMs: number;
}

/** Takes up what the spool holds, told in spool order. */
export interface OwedSink {
  /** A message, or a snapshot of one: what was known of it before is replaced. */
  put(message: OwedAfterRestart): void;
  /** One for a recipient that is not owed changes nothing. A deferral shows that it is not held any more. */
  settle(settled: SettledRecipient): void;
  /**
   * Every recipient of it but those that are deleted. `reason` undefined: held no more. A message that is not
   * owed is none to hold.
   */
  hold(id: MessageId, reason: HoldReason | undefined): void;
  /** It is deleted: nobody is to try it, and its outcome says so. One that is not owed is none to delete. */
  purge(id: MessageId, recipientIndex: number): void;
  queueState(state: QueueState, segment: number): void;
}

/** Somebody has to look at it. */
export function isQuarantined({ heldFor }: Pick<OwedRecipient, 'heldFor'>): boolean {
  return heldFor !== undefined && heldFor !== 'deleted';
}

/** Holds on disk: 0 is none. */
export function holdNumber(reason: HoldReason | undefined): number {
  return reason === undefined ? 0 : holdReasons.indexOf(reason) + 1;
}

export function holdOf(number: number): HoldReason | undefined {
  return holdReasons[number - 1];
}
