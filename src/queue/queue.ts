import type { DomainSettings } from '../config/config.ts';
import type { QueueName } from '../message/names.ts';
import { none } from './columns.ts';

/** What the scheduler asks of the domain settings. `maxRcptPerMessage` 0: no limit. */
export type QueueSettings = Pick<
  DomainSettings,
  'maxSmtpOut' | 'retryAfterMs' | 'retryRecipientsAfterMs' | 'bounceAfterMs' | 'maxRcptPerMessage'
>;

/** One queue: domain x virtual MTA. Lives while it has recipients, connections or a retry clock running; then all of it is forgotten. */
export class Queue {
  readonly name: QueueName;
  readonly id: number;
  readonly settings: QueueSettings;
  readonly maxRcptPerBatch: number;

  /** All that are owed here: ready, waiting and in delivery. */
  recipients = 0;
  inDelivery = 0;
  /** The ready list (readyList.ts): recipients, the messages they belong to, its two ends. */
  ready = 0;
  readyMessages = 0;
  readyHead = none;
  readyTail = none;
  /** Message slot -> its last recipient on the ready list; only for messages with several recipients here. */
  lastReady: Map<number, number> | undefined;
  /** While one message is added: how many recipients it has here. */
  adding = 0;

  opening = 0;
  open = 0;
  /** Of the open ones: told to close, to make room. */
  closing = 0;
  /** Batches under delivery. */
  batches = 0;

  /** Failures of the queue since its last delivery: the next one waits `retryAfterMs[retryStep]`. */
  retryStep = 0;
  /** undefined: not in retry. */
  retryAtMs: number | undefined;

  /** Where it stands in line for a connection slot, if it wants one. */
  line: QueueLine | undefined;
  lineNext: Queue | undefined;
  linePrevious: Queue | undefined;
  inLineSinceMs = 0;
  /** The scheduler's set that holds it while it has idle connections. */
  idleSet: Set<Queue> | undefined;

  constructor(name: QueueName, id: number, settings: QueueSettings) {
    this.name = name;
    this.id = id;
    this.settings = settings;
    this.maxRcptPerBatch = settings.maxRcptPerMessage || Number.POSITIVE_INFINITY;
  }

  connections(): number {
    return this.opening + this.open;
  }

  /** Pipelining may put two batches on one connection, hence the floor. */
  idle(): number {
    return Math.max(0, this.open - this.batches - this.closing);
  }

  /** Something may go out, as far as this queue's own clock says. */
  runnable(): boolean {
    return this.ready > 0 && this.retryAtMs === undefined;
  }

  /** How many batches are ready, at least. */
  readyBatches(): number {
    return Math.max(this.readyMessages, Math.ceil(this.ready / this.maxRcptPerBatch));
  }

  wantsConnection(): boolean {
    return (
      this.runnable() &&
      this.connections() < this.settings.maxSmtpOut &&
      this.readyBatches() > this.opening + this.idle()
    );
  }

  abandoned(): boolean {
    return this.recipients === 0 && this.connections() === 0 && this.retryAtMs === undefined;
  }
}

/** Queues that stand in line for a connection slot: first come, first served; leaving is O(1) from anywhere. */
export class QueueLine {
  head: Queue | undefined;
  size = 0;
  #tail: Queue | undefined;

  join(queue: Queue, nowMs: number): void {
    queue.line = this;
    queue.inLineSinceMs = nowMs;
    queue.linePrevious = this.#tail;
    queue.lineNext = undefined;
    if (this.#tail === undefined) this.head = queue;
    else this.#tail.lineNext = queue;
    this.#tail = queue;
    this.size++;
  }

  leave(queue: Queue): void {
    const { linePrevious: previous, lineNext: next } = queue;
    if (previous === undefined) this.head = next;
    else previous.lineNext = next;
    if (next === undefined) this.#tail = previous;
    else next.linePrevious = previous;
    queue.line = queue.linePrevious = queue.lineNext = undefined;
    this.size--;
  }
}
