import { assert } from '../base/assert.ts';
import type { QueueName } from '../message/names.ts';
import type { LimitShares } from './limitShares.ts';
import { type Queue, QueueLine } from './queue.ts';

/** When all slots are taken, a queue without a connection waits this long before another must yield one. */
const slotPatienceMs = 1_000;

/**
 * Who may have a connection, max-smtp-out and the shared total observed.
 *
 * Fairness: a freed slot goes to the queue without a connection that has waited longest, then in turn to
 * those that could use another. While any queue is short of a slot, idle connections are closed, and queues
 * above the average number of connections yield one after a batch to those that have none.
 */
export class ConnectionSlots {
  /** Of all queues, opening ones included. */
  connections = 0;
  readonly #leases: LimitShares;
  /** Want a connection and have none; want another one. */
  readonly #starving = new QueueLine();
  readonly #hungry = new QueueLine();
  /** Have idle connections: with something to take; with nothing. */
  readonly #offerable = new Set<Queue>();
  readonly #idling = new Set<Queue>();
  /** Connections told to close. */
  #closing = 0;
  #connectedQueues = 0;
  /** The last look found no slot for a queue that wants one. */
  #short = false;

  constructor(leases: LimitShares) {
    this.#leases = leases;
  }

  /** To be called after any change of a queue: puts it into the line and the set where it belongs now. */
  review(queue: Queue, nowMs: number): void {
    const empty = queue.connections() === 0;
    const line = !queue.wantsConnection() ? undefined : empty ? this.#starving : this.#hungry;
    if (queue.line !== line) {
      queue.line?.leave(queue);
      line?.join(queue, nowMs);
    }
    const idleSet = queue.idle() === 0 ? undefined : queue.runnable() ? this.#offerable : this.#idling;
    if (queue.idleSet !== idleSet) {
      queue.idleSet?.delete(queue);
      idleSet?.add(queue);
      queue.idleSet = idleSet;
    }
  }

  /** Leases slots for those in line; one entry a connection to open. */
  open(nowMs: number): QueueName[] {
    const open: QueueName[] = [];
    for (let queue = this.#nextInLine(); queue !== undefined; queue = this.#nextInLine()) {
      this.#short = !this.#leases.lease();
      if (this.#short) return open;
      if (queue.connections() === 0) this.#connectedQueues++;
      this.connections++;
      queue.opening++;
      open.push(queue.name);
      queue.line!.leave(queue); // to the end of the line, if it wants another one
      this.review(queue, nowMs);
    }
    this.#short = false;
    return open;
  }

  opened(queue: Queue, nowMs: number): void {
    assert(queue.opening > 0, 'a connection that opened was opening');
    queue.opening--;
    queue.open++;
    this.review(queue, nowMs);
  }

  abandoned(queue: Queue, nowMs: number): void {
    assert(queue.opening > 0, 'a connection that was abandoned was opening');
    queue.opening--;
    this.#free(queue, nowMs);
  }

  closed(queue: Queue, nowMs: number): void {
    assert(queue.open > 0, 'a connection that closed was open');
    queue.open--;
    if (queue.closing > 0) {
      queue.closing--;
      this.#closing--;
    }
    this.#free(queue, nowMs);
  }

  /** One entry an idle connection that could take something. */
  offers(): QueueName[] {
    const offers: QueueName[] = [];
    for (const queue of this.#offerable) {
      const batches = Math.min(queue.idle(), queue.readyBatches());
      for (let i = 0; i < batches; i++) offers.push(queue.name);
    }
    return offers;
  }

  /** One entry an idle connection that is to make room. */
  closeIdle(nowMs: number): QueueName[] {
    const close: QueueName[] = [];
    if (!this.#short) return close;
    for (const queue of this.#idling) {
      while (queue.idle() > 0 && this.#slotsWanted() > 0) {
        this.#markClosing(queue);
        close.push(queue.name);
      }
      if (queue.idle() > 0) break;
      this.review(queue, nowMs);
    }
    return close;
  }

  /** May an open connection of this queue take a batch, wait for one, or must it make room? */
  mayTake(queue: Queue, nowMs: number): 'take' | 'wait' | 'close' {
    const yields = queue.runnable() ? this.#mustYield(queue, nowMs) : this.#short && this.#slotsWanted() > 0;
    if (yields) this.#markClosing(queue);
    return yields ? 'close' : queue.runnable() ? 'take' : 'wait';
  }

  #nextInLine(): Queue | undefined {
    return this.#starving.head ?? this.#hungry.head;
  }

  /** Queues in line for which no slot is on its way. */
  #slotsWanted(): number {
    return this.#starving.size + this.#hungry.size - this.#closing;
  }

  /** A queue above the average yields to one that has had nothing for too long. */
  #mustYield(queue: Queue, nowMs: number): boolean {
    const starving = this.#starving.head;
    return (
      this.#short &&
      starving !== undefined &&
      this.#starving.size > this.#closing &&
      nowMs - starving.inLineSinceMs >= slotPatienceMs &&
      queue.connections() * (this.#connectedQueues + this.#starving.size) > this.connections
    );
  }

  /** Not twice for one connection, should it ask again before it closes. */
  #markClosing(queue: Queue): void {
    if (queue.closing === queue.open) return;
    queue.closing++;
    this.#closing++;
  }

  #free(queue: Queue, nowMs: number): void {
    this.connections--;
    this.#short = false; // the next look decides anew
    if (queue.connections() === 0) this.#connectedQueues--;
    this.#leases.release();
    this.review(queue, nowMs);
  }
}
