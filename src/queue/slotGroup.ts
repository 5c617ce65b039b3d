import { type Queue, QueueLine } from './queue.ts';

/** When all slots are taken, a queue without a connection waits this long before another must yield one. */
const slotPatienceMs = 1_000;

/** Queues that share connection slots: all of them, or those of a virtual MTA with max-smtp-out. */
export class SlotGroup {
  readonly limit: number;
  /** Of all queues, opening ones included. */
  connections = 0;
  connectedQueues = 0;
  /** Connections told to close. */
  closing = 0;
  /** Of a virtual MTA: its queues that have a slot here as soon as there is one in the total. */
  candidates = 0;
  /** Want a connection and have none; want another one. */
  readonly starving = new QueueLine();
  readonly hungry = new QueueLine();
  /** Have idle connections and nothing to take. */
  readonly idling = new Set<Queue>();

  constructor(limit: number) {
    this.limit = limit;
  }

  lineFor(queue: Queue): QueueLine {
    return queue.connections() === 0 ? this.starving : this.hungry;
  }

  has(line: QueueLine | undefined): boolean {
    return line === this.starving || line === this.hungry;
  }

  next(): Queue | undefined {
    return this.starving.head ?? this.hungry.head;
  }

  hasRoom(): boolean {
    return this.connections + this.candidates < this.limit;
  }

  /** Queues in line for which no slot is on its way. */
  slotsWanted(): number {
    return this.starving.size + this.hungry.size - this.closing;
  }

  /** A queue above the average yields to one that has had nothing for too long. */
  mustYield(queue: Queue, nowMs: number): boolean {
    const { head, size } = this.starving;
    return (
      head !== undefined &&
      size > this.closing &&
      nowMs - head.inLineSinceMs >= slotPatienceMs &&
      queue.connections() * (this.connectedQueues + size) > this.connections
    );
  }

  /** `wasFirst`: the queue had none before. */
  took(wasFirst: boolean): void {
    this.connections++;
    if (wasFirst) this.connectedQueues++;
  }

  freed(wasLast: boolean): void {
    this.connections--;
    if (wasLast) this.connectedQueues--;
  }
}
