import type { Rate } from '../config/config.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { QueueName } from '../message/names.ts';

/** A message slot. Valid until the last recipient of the message is settled for good or has expired. */
export type MessageHandle = number;

export interface OwedMessage {
  readonly id: MessageId;
  readonly location: SpoolLocation;
  /** Of its content, octets, for data rates; undefined: not known before it is delivered. */
  readonly sizeBytes?: number;
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

/** Why a queue was given up. */
export interface GivenUpCause {
  /** RFC 3463, `5.y.z`. */
  readonly status: string;
  readonly diagnostic: string;
}

/** bounce-after has passed, or its queue was given up; the scheduler no longer knows this recipient. */
export interface ExpiredRecipient {
  /** undefined: its time is over. */
  readonly cause?: GivenUpCause;
  readonly queue: QueueName;
  readonly handle: MessageHandle;
  readonly id: MessageId;
  readonly location: SpoolLocation;
  readonly recipientIndex: number;
  readonly attempts: number;
}

/** One of a queue's connections from a local address. Those are alike: nobody needs to know which one it is. */
export interface QueueConnection {
  readonly queue: QueueName;
  /** Place among the source hosts of its virtual MTA. */
  readonly sourceHost: number;
}

export type QueueMode = 'normal' | 'backoff';

/** Why a queue is in another mode now: it was asked for, or the time, a delivery, the last address decided. */
export type ModeCause = 'asked' | 'time' | 'delivery' | 'sources';

export interface ModeChange {
  readonly queue: QueueName;
  readonly mode: QueueMode;
  readonly cause: ModeCause;
}

/** Taken out by an operator; the scheduler no longer knows this recipient. */
export type DeletedRecipient = Omit<ExpiredRecipient, 'queue'>;

/** Which recipients an operator wants to be rid of. */
export interface Deletion {
  matches(queue: QueueName): boolean;
  /** Monotonic: what was queued later stays. */
  readonly queuedBeforeMs: number;
  /** Only counts. */
  readonly isTrial?: boolean;
  /** Of them, those for which it says yes; by message and place in the envelope. */
  readonly of?: (handle: MessageHandle, index: number) => boolean;
}

export interface DeletionCounts extends RetryCounts {
  /** They were meant, too, and are left alone: what is under way ends as it ends. */
  readonly inDelivery: number;
  /** Who was taken out (nobody in a trial): epoch, sequence and place in the envelope, three numbers each. */
  readonly named: Float64Array;
}

export interface PauseCounts {
  /** That were meant, with all they hold. */
  readonly queues: number;
  readonly recipients: number;
}

export interface RetryCounts {
  /** That were meant. */
  readonly queues: number;
  readonly recipients: number;
}

/** The mode of a queue and the local addresses it does not use, as they stand. */
export interface ModeState {
  readonly mode: QueueMode;
  /** How long it has been in that mode. */
  readonly ageMs: number;
  /** When backoff mode ends by itself; Infinity: it does not. */
  readonly endsInMs: number;
  readonly disabled: readonly DisabledAddress[];
}

export interface DisabledAddress {
  readonly address: string;
  /** Infinity: until it is enabled. */
  readonly enabledInMs: number;
}

export interface Step {
  /** Connections to open, one entry each. They count as opening from now on. */
  readonly open: readonly QueueConnection[];
  /** Idle connections that should `take`, one entry each; repeated by every step until they do. */
  readonly offer: readonly QueueConnection[];
  /** Idle connections to close: another queue waits for their slot, or their address is disabled. */
  readonly close: readonly QueueConnection[];
  /** Each recipient once. */
  readonly expired: readonly ExpiredRecipient[];
  /** Of queues whose retry clock began, ended or was forgotten since the last step, in that order. */
  readonly retryClocks: readonly QueueRetryClock[];
  /** Since the last step, in that order. */
  readonly modes: readonly ModeChange[];
  /** Queues whose mode, the end of it, or disabled addresses are not what they were, one entry each. */
  readonly changedModes: readonly QueueName[];
  /** Queues whose last local address was disabled since the last step: nothing starts there. */
  readonly withoutSource: readonly QueueName[];
  /** When to step again if nothing happens before; Infinity: nothing to wait for. */
  readonly wakeAtMs: number;
}

/**
 * `returned`: the recipient was not attempted. `unheard`: the same, but the remote may have been told of it,
 * so it counts for rates. `withdrawn`: it is not this scheduler's any more, though it has no outcome.
 */
export type Settlement = 'delivered' | 'failed' | 'deferred' | 'returned' | 'unheard' | 'withdrawn';

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
  /** An operator took it out of its queue. */
  readonly isDeleted?: true;
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
  readonly mode: QueueMode;
  /** ready + waiting + inDelivery. */
  readonly recipients: number;
  readonly ready: number;
  /** Deferred recipients whose own time has not come. */
  readonly waiting: number;
  readonly inDelivery: number;
  readonly isPaused: boolean;
  /** Opening ones included. */
  readonly connections: number;
}

/** One thing that keeps a queue from starting more now. */
export interface Hold {
  /** The directive that says so, or what else it is: `mail` (none is ready), `disable-source-ip`. */
  readonly limit: string;
  /** Whose it is: `max-smtp-out` may be the queue's or its virtual MTA's. */
  readonly scope: 'queue' | 'address' | 'virtual-mta' | 'total';
  /** As configured: a count, a rate, or milliseconds. */
  readonly value?: number | NonNullable<Rate>;
  /** For limits of one local address. */
  readonly address?: string;
  /** Until then if nothing happens before, monotonic; Infinity or none: until something happens. */
  readonly untilMs?: number;
}

export interface SchedulerCounts {
  readonly messages: number;
  readonly recipients: number;
  readonly queues: number;
  readonly connections: number;
  /** Of the tables; the queues' own objects (some hundred bytes each) are not in it. */
  readonly tableBytes: number;
}
