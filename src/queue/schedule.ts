import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { QueueName } from '../message/names.ts';

/** A message slot. Valid until the last recipient of the message is settled for good or has expired. */
export type MessageHandle = number;

export interface OwedMessage {
  readonly id: MessageId;
  readonly location: SpoolLocation;
  readonly vmta: string;
  /** Since it was queued. */
  readonly ageMs: number;
  /** Not empty. */
  readonly recipients: readonly OwedRecipient[];
}

export interface OwedRecipient {
  /** Place in the envelope. */
  readonly index: number;
  readonly domain: string;
  /** Made so far. */
  readonly attempts: number;
  /** 0 or less: ready. */
  readonly nextTryInMs: number;
}

/** Recipients of one message for one transaction. `attempts[i]` belongs to `recipientIndexes[i]`. */
export interface Batch {
  readonly queue: QueueName;
  readonly handle: MessageHandle;
  readonly id: MessageId;
  readonly location: SpoolLocation;
  readonly recipientIndexes: readonly number[];
  /** Made before this one. */
  readonly attempts: readonly number[];
}

/** bounce-after has passed; the scheduler no longer knows this recipient. */
export interface ExpiredRecipient {
  readonly queue: QueueName;
  readonly handle: MessageHandle;
  readonly id: MessageId;
  readonly location: SpoolLocation;
  readonly recipientIndex: number;
  readonly attempts: number;
}

export interface Step {
  /** Connections to open, one entry each. They count as opening from now on. */
  readonly open: readonly QueueName[];
  /** Idle connections that should `take`, one entry each; repeated by every step until they do. */
  readonly offer: readonly QueueName[];
  /** Idle connections to close because another queue waits for their slot, one entry each. */
  readonly close: readonly QueueName[];
  /** Each recipient once. */
  readonly expired: readonly ExpiredRecipient[];
  /** Of queues whose retry clock began, ended or was forgotten since the last step, in that order. */
  readonly retryClocks: readonly QueueRetryClock[];
  /** When to step again if nothing happens before; Infinity: nothing to wait for. */
  readonly wakeAtMs: number;
}

/**
 * `returned`: the connection died before the recipient was attempted. `withdrawn`: it is not this scheduler's
 * any more, though it has no outcome.
 */
export type Settlement = 'delivered' | 'failed' | 'deferred' | 'returned' | 'withdrawn';

export interface Settled {
  /** Made so far, this one included. */
  readonly attempts: number;
  /** For `deferred`: when it is tried again, 0 where it expires at once. Otherwise 0. */
  readonly nextTryInMs: number;
  /** Where the message lies now: it may have been moved since the batch was taken. */
  readonly segment: number;
}

/** A message that is owed, wherever it waits. */
export interface StandingMessage {
  readonly handle: MessageHandle;
  readonly id: MessageId;
  readonly location: SpoolLocation;
}

export interface StandingRecipient {
  readonly index: number;
  readonly attempts: number;
  /** 0: ready, or in delivery. */
  readonly nextTryInMs: number;
}

export interface RetryClock {
  /** Failures of the queue since its last delivery. */
  readonly retryStep: number;
  /** Left of the present wait; 0: not in retry. */
  readonly retryInMs: number;
}

export interface QueueRetryClock extends RetryClock {
  readonly queue: QueueName;
}

export interface QueueSummary extends RetryClock {
  readonly name: QueueName;
  /** ready + waiting + inDelivery. */
  readonly recipients: number;
  readonly ready: number;
  /** Deferred recipients whose own time has not come. */
  readonly waiting: number;
  readonly inDelivery: number;
  /** Opening ones included. */
  readonly connections: number;
}

export interface SchedulerCounts {
  readonly messages: number;
  readonly recipients: number;
  readonly queues: number;
  readonly connections: number;
  /** Of the tables; the queues' own objects (some hundred bytes each) are not in it. */
  readonly tableBytes: number;
}
