import type { BatchPosition, Watermark } from '../message/batchPosition.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Content, Envelope, SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import type { QueueState } from '../message/queueState.ts';
import type { OwedMail } from './copyForward.ts';
import type { HoldReason } from './owed.ts';

/** What a positive reply waits for: on disk, handed to the kernel, in memory (powermta b.10). */
export type Durability = 'sync' | 'os' | 'none';

export interface NewMessage {
  readonly envelope: Envelope;
  readonly content: Content;
  readonly durability: Durability;
}

export interface OwnedMessage {
  readonly message: NewMessage;
  readonly owner: MessageOwner;
}

/** Whoever puts a message is told twice; with `durability sync` both come together. */
export interface MessageOwner {
  /** The reply may leave: 250 when stored, 451 when not. Comes once. */
  answer(stored: boolean): void;
  /** The message is owed from now on, and lies there. Comes once, and only for a stored message. */
  owed(location: SpoolLocation): void;
}

/**
 * The durable truth about accepted mail (architecture 5). One writer, one folder. A second
 * implementation (PostgreSQL) is to stand behind the same methods.
 */
export interface Spool {
  /** A new id, never used before in this folder. */
  nextId(): MessageId;
  putMessage(message: NewMessage, owner: MessageOwner): void;
  /** All of them or none become durable, in one batch; their answers are the same and come together. */
  putMessages(messages: readonly OwnedMessage[]): void;
  /**
   * Outcomes and deferrals. They become durable within 100 ms or with the next message. `messageSegment`:
   * where the message lies at this moment.
   */
  putEvent(event: DeliveryEvent, messageSegment: number): void;
  /**
   * Final outcomes of one message, at least one, and the message that reports them: both are durable, or neither
   * (architecture 5, Outcomes). The report is smaller than a content that has a file of its own, and its owner
   * has nothing to answer: what a failing disk loses is written again.
   */
  putReported(events: readonly DeliveryEvent[], messageSegment: number, report: OwnedMessage): void;
  /** For accounting alone. Durable like an outcome. */
  putQueueEvent(event: QueueEvent): void;
  /** What is to be remembered of a queue; the last word counts. Durable like an outcome. */
  putQueueState(state: QueueState): void;
  /** Keeps a message back from delivery over every restart, or (undefined) no more. Durable like an outcome. */
  hold(id: MessageId, reason: HoldReason | undefined): void;
  /**
   * These recipients are deleted, over every restart, until each has its outcome. Epoch, sequence and place in
   * the envelope, three numbers each. Durable like an outcome.
   */
  purge(named: Float64Array): void;
  /** Resolves once everything that was put so far is durable, however long the disk fails. */
  settled(): Promise<void>;
  /** Who is asked when messages are to be copied forward; without it none are. */
  ownedBy(mail: OwedMail): void;
  /** Looks after room on the disk: what is free, and what may be freed. To be called about once a second. */
  tick(): void;
  /** The stored message, checked against its CRCs. */
  read(location: SpoolLocation): Promise<StoredMessage | SpoolReadFailure>;
  /** Every cursor has passed this batch: segments up to it may go when nothing in them is owed. */
  recorded(position: BatchPosition): void;
  /** No room for new mail: what is left is kept for outcomes and rows. */
  readonly isFull: boolean;
  /** Bytes handed over and not yet published: the engine stops reading clients above its budget. */
  readonly pendingBytes: number;
  /** Outcomes given and not yet published: each is a possible duplicate should the power fail now. */
  readonly unsyncedEvents: number;
  /** How long the oldest of them, or of queue states and holds, has waited; 0: all are durable. */
  unsyncedForMs(nowMs: number): number;
  /**
   * True when no outcome became durable for 5 s, or very many wait: then no new delivery starts, for each
   * is a possible duplicate.
   */
  outcomesStalled(nowMs: number): boolean;
  /** Publishes what was put, then closes. Nothing may be put afterwards. */
  close(): Promise<void>;
}

export interface StoredMessage {
  readonly kind: 'stored';
  readonly envelope: Envelope;
  readonly content: Content;
}

export interface SpoolReadFailure {
  readonly kind: 'unreadable';
  /** `damaged`, or the system's code. */
  readonly code: string;
}

/** What the spool tells the engine of its own accord. */
export interface SpoolEvents {
  published(watermark: Watermark): void;
  /** A write or sync failed; the spool goes on in a new segment. For the log and the operator. */
  failed(code: string, segment: number): void;
}
