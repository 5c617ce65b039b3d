import { assert } from '../base/assert.ts';
import { type QueueName, queueName } from '../message/names.ts';
import { MessageTable, none, RecipientTable } from './columns.ts';
import { ConnectionSlots } from './connectionSlots.ts';
import { deadlineMs, ExpiryCalendar } from './expiryCalendar.ts';
import type { LimitShares } from './limitShares.ts';
import { Queue, type QueueSettings } from './queue.ts';
import { joinReady, leaveReady } from './readyList.ts';
import type {
  Batch,
  ExpiredRecipient,
  MessageHandle,
  OwedMessage,
  OwedRecipient,
  QueueRetryClock,
  QueueSummary,
  RetryClock,
  SchedulerCounts,
  Settled,
  Settlement,
  Step,
} from './schedule.ts';
import { Standing } from './standing.ts';
import { TimeHeap } from './timeHeap.ts';

export interface SchedulerOptions {
  /** Asked once when a queue comes into being; holds until the queue is empty and dropped. */
  settingsFor(domain: string, vmta: string): QueueSettings;
  /** total-max-smtp-out: `wholeShare(limit)` for one engine. */
  readonly connectionLeases: LimitShares;
}

/** Recipients moved by time in one step: bounds how long it takes and how many expire in it. */
const movesPerStep = 10_000;
const mostAttempts = 0xffff;

interface OpenBatch extends Batch {
  readonly owner: Queue;
  /** Recipient slots; `none` once settled. */
  readonly slots: number[];
  unsettled: number;
}

/**
 * Decides what may start and when (powermta f). Pure and synchronous: `nowMs` is monotonic and never falls
 * from call to call; the owner calls `step` after every change and at `wakeAtMs`.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #messages = new MessageTable();
  readonly #recipients = new RecipientTable();
  /** Recipients to look at again: deferred ones when they are ready or expire, overdue ones at once. */
  readonly #waiting = new TimeHeap();
  readonly #calendar = new ExpiryCalendar(this.#recipients);
  /** One entry for each queue in retry. */
  readonly #retrying = new TimeHeap();

  /** For who must know of every message what is still owed. */
  readonly standing = new Standing(this.#messages, this.#recipients, this.#waiting);

  readonly #queues = new Map<QueueName, Queue>();
  readonly #queueById: (Queue | undefined)[] = [];
  readonly #freeIds: number[] = [];
  readonly #slots: ConnectionSlots;
  #retryClocks: { readonly queue: QueueName; readonly retryStep: number; readonly retryAtMs: number }[] = [];

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#slots = new ConnectionSlots(options.connectionLeases);
  }

  /** Takes in a message: a new one, or one the spool still owes. What is overdue expires in the next step. */
  add(owed: OwedMessage, nowMs: number): MessageHandle {
    assert(owed.recipients.length > 0, 'an owed message has recipients');
    const messages = this.#messages;
    const handle = messages.claim();
    messages.epoch[handle] = owed.id.epoch;
    messages.sequence[handle] = owed.id.sequence;
    messages.moveTo(handle, owed.location);
    messages.queuedAtMs[handle] = nowMs - owed.ageMs;
    messages.live[handle] = owed.recipients.length;

    const queues = owed.recipients.map(({ domain }) => this.#queue(domain, owed.vmta));
    for (const queue of queues) queue.adding++;
    owed.recipients.forEach((recipient, i) => {
      this.#addRecipient(handle, recipient, queues[i]!, nowMs);
    });
    for (const queue of queues) {
      if (queue.adding > 0) this.#review(queue, nowMs);
      queue.adding = 0;
    }
    return handle;
  }

  /** What may start now, and when to look again. */
  step(nowMs: number): Step {
    const expired = this.#passTime(nowMs);
    const open = this.#slots.open(nowMs);
    const close = this.#slots.closeIdle(nowMs);
    const offer = this.#slots.offers();
    const retryClocks = this.#retryClocks.map(({ queue, retryStep, retryAtMs }) => ({
      queue,
      retryStep,
      retryInMs: Math.max(0, retryAtMs - nowMs),
    }));
    this.#retryClocks = [];
    return { open, offer, close, expired, retryClocks, wakeAtMs: Math.max(nowMs, this.#nextAtMs()) };
  }

  /** An opening connection is ready for its first transaction. */
  connectionOpened(name: QueueName, nowMs: number): void {
    this.#slots.opened(this.#known(name), nowMs);
  }

  /** An opening connection came to nothing. Says nothing of the queue: see `queueFailed`. */
  connectionAbandoned(name: QueueName, nowMs: number): void {
    const queue = this.#known(name);
    this.#slots.abandoned(queue, nowMs);
    this.#dropIfAbandoned(queue);
  }

  /** An open connection is gone, for whatever reason. Settle its batch first. */
  connectionClosed(name: QueueName, nowMs: number): void {
    const queue = this.#known(name);
    this.#slots.closed(queue, nowMs);
    this.#dropIfAbandoned(queue);
  }

  /**
   * The next batch for an open connection of this queue. `wait`: nothing now, a later `offer` tells;
   * `close`: nothing, and the slot is needed elsewhere: close this connection now.
   */
  take(name: QueueName, nowMs: number): Batch | 'wait' | 'close' {
    const queue = this.#known(name);
    this.#putOverdueAside(queue, nowMs);
    const verdict = this.#slots.mayTake(queue, nowMs);
    const taken = verdict === 'take' ? this.#takeHead(queue) : verdict;
    this.#slots.review(queue, nowMs);
    return taken;
  }

  /**
   * What became of one recipient of a batch; once for each. `deferred`: it waits retry-recipients-after
   * while the queue goes on, or expires in the next step if its time is over. `returned`: it goes back to
   * the front without an attempt; if the queue as a whole is to blame, call `queueFailed` as well.
   */
  settle(batch: Batch, recipientIndex: number, settlement: Settlement, nowMs: number): Settled {
    const { owner: queue, slots, recipientIndexes } = batch as OpenBatch;
    const inOrder = recipientIndexes.indexOf(recipientIndex, slots.length - (batch as OpenBatch).unsettled);
    const place = inOrder >= 0 ? inOrder : recipientIndexes.indexOf(recipientIndex);
    const slot = slots[place];
    assert(slot !== undefined && slot !== none, 'each recipient of a batch is settled once');
    slots[place] = none;
    (batch as OpenBatch).unsettled--;
    if ((batch as OpenBatch).unsettled === 0) queue.batches--;
    queue.inDelivery--;

    const attemptsBefore = this.#recipients.attempts[slot]!;
    const attempts = settlement === 'returned' ? attemptsBefore : Math.min(mostAttempts, attemptsBefore + 1);
    this.#recipients.attempts[slot] = attempts;
    const deadline = this.#deadlineMs(slot, queue);
    const overdue = deadline <= nowMs;
    let nextTryInMs = 0;
    const segment = this.#messages.segment[this.#recipients.message[slot]!]!;
    if (settlement === 'delivered' || settlement === 'failed' || settlement === 'withdrawn') {
      if (settlement === 'delivered') this.#endRetry(queue);
      this.#forget(slot, queue);
    } else if (overdue) {
      this.#waiting.push(deadline, slot);
    } else if (settlement === 'deferred') {
      nextTryInMs = queue.settings.retryRecipientsAfterMs;
      this.#waiting.push(Math.min(nowMs + nextTryInMs, deadline), slot);
    } else {
      this.#makeReady(slot, queue, 'front');
    }
    this.#review(queue, nowMs);
    return { attempts, nextTryInMs, segment };
  }

  /**
   * The queue failed as a whole: no connection could be made, or greeting or MAIL were deferred. It waits
   * the next step of retry-after (the last one repeats). A queue that waits already goes on waiting: several
   * connections that fail together are one failure. One that is gone has nothing to wait for.
   */
  queueFailed(name: QueueName, nowMs: number): RetryClock {
    const queue = this.#queues.get(name);
    if (queue === undefined) return { retryStep: 0, retryInMs: 0 };
    if (queue.retryAtMs === undefined) {
      const steps = queue.settings.retryAfterMs;
      const waitMs = steps[Math.min(queue.retryStep, steps.length - 1)]!;
      const retryAtMs = nowMs + waitMs;
      this.#retryClocks.push({ queue: name, retryStep: queue.retryStep + 1, retryAtMs });
      this.#holdQueue(queue, queue.retryStep + 1, retryAtMs, nowMs);
    }
    return retryClock(queue, nowMs);
  }

  /** After a restart, once the mail has been added: the retry clock as it stood. Forgotten where no mail is. */
  restoreRetry({ queue: name, retryStep, retryInMs }: QueueRetryClock, nowMs: number): void {
    const queue = this.#queues.get(name);
    if (queue === undefined) {
      this.#retryClocks.push({ queue: name, retryStep: 0, retryAtMs: 0 });
      return;
    }
    queue.retryStep = retryStep;
    if (retryInMs > 0) this.#holdQueue(queue, retryStep, nowMs + retryInMs, nowMs);
  }

  /** How long ago the message was queued that is next in line; 0 where nothing is ready. */
  headAgeMs(name: QueueName, nowMs: number): number {
    const head = this.#queues.get(name)?.readyHead ?? none;
    return head === none ? 0 : nowMs - this.#messages.queuedAtMs[this.#recipients.message[head]!]!;
  }

  *queues(nowMs: number): Iterable<QueueSummary> {
    for (const queue of this.#queues.values()) {
      const { name, recipients, ready, inDelivery } = queue;
      yield {
        name,
        recipients,
        ready,
        waiting: recipients - ready - inDelivery,
        inDelivery,
        connections: queue.connections(),
        ...retryClock(queue, nowMs),
      };
    }
  }

  counts(): SchedulerCounts {
    const tables = [this.#messages, this.#recipients, this.#waiting, this.#calendar, this.#retrying];
    return {
      messages: this.#messages.count,
      recipients: this.#recipients.count,
      queues: this.#queues.size,
      connections: this.#slots.connections,
      tableBytes: tables.reduce((sum, table) => sum + table.bytes(), 0),
    };
  }

  // Recipients

  #addRecipient(handle: MessageHandle, recipient: OwedRecipient, queue: Queue, nowMs: number): void {
    const slot = this.#recipients.claim();
    this.#recipients.message[slot] = handle;
    this.#recipients.queue[slot] = queue.id;
    this.#recipients.index[slot] = recipient.index;
    this.#recipients.attempts[slot] = Math.min(mostAttempts, recipient.attempts);
    this.#recipients.hasSiblings[slot] = queue.adding > 1 ? 1 : 0;
    queue.recipients++;
    const deadline = this.#deadlineMs(slot, queue);
    if (recipient.nextTryInMs <= 0 && deadline > nowMs) this.#makeReady(slot, queue, 'back');
    else this.#waiting.push(Math.min(nowMs + recipient.nextTryInMs, deadline), slot);
  }

  #makeReady(slot: number, queue: Queue, where: 'front' | 'back'): void {
    joinReady(this.#recipients, queue, slot, where);
    this.#calendar.join(slot, this.#deadlineMs(slot, queue));
  }

  #unready(slot: number, queue: Queue, deadline: number): void {
    leaveReady(this.#recipients, queue, slot);
    this.#calendar.leave(slot, deadline);
  }

  #forget(slot: number, queue: Queue): void {
    const message = this.#recipients.message[slot]!;
    this.#recipients.release(slot);
    queue.recipients--;
    this.#messages.live[message]!--;
    if (this.#messages.live[message] === 0) this.#messages.release(message);
  }

  #deadlineMs(slot: number, queue: Queue): number {
    return deadlineMs(
      this.#messages.queuedAtMs[this.#recipients.message[slot]!]!,
      queue.settings.bounceAfterMs,
    );
  }

  // Time

  /** Ends waits that are over; returns who expired. */
  #passTime(nowMs: number): ExpiredRecipient[] {
    const expired: ExpiredRecipient[] = [];
    for (let moves = 0; moves < movesPerStep && this.#nextAtMs() <= nowMs; moves++) {
      if (this.#retrying.firstAtMs() <= nowMs) {
        const queue = this.#queueById[this.#retrying.pop()]!;
        queue.retryAtMs = undefined;
        this.#review(queue, nowMs);
        continue;
      }
      const isReady = this.#waiting.firstAtMs() > nowMs;
      const slot = isReady ? this.#calendar.first() : this.#waiting.pop();
      const queue = this.#queueById[this.#recipients.queue[slot]!]!;
      const deadline = this.#deadlineMs(slot, queue);
      if (isReady) this.#unready(slot, queue, deadline);
      if (deadline > nowMs) {
        this.#makeReady(slot, queue, 'back');
      } else {
        expired.push(this.#expiredRecipient(slot, queue));
        this.#forget(slot, queue);
      }
      this.#review(queue, nowMs);
    }
    return expired;
  }

  #nextAtMs(): number {
    return Math.min(this.#retrying.firstAtMs(), this.#waiting.firstAtMs(), this.#calendar.firstAtMs());
  }

  #expiredRecipient(slot: number, queue: Queue): ExpiredRecipient {
    const handle = this.#recipients.message[slot]!;
    return {
      queue: queue.name,
      handle,
      id: this.#messages.idOf(handle),
      location: this.#messages.locationOf(handle),
      recipientIndex: this.#recipients.index[slot]!,
      attempts: this.#recipients.attempts[slot]!,
    };
  }

  #endRetry(queue: Queue): void {
    if (queue.retryStep === 0) return;
    queue.retryStep = 0;
    this.#retryClocks.push({ queue: queue.name, retryStep: 0, retryAtMs: 0 });
  }

  #holdQueue(queue: Queue, retryStep: number, retryAtMs: number, nowMs: number): void {
    assert(queue.retryAtMs === undefined, 'a queue has one retry clock');
    queue.retryStep = retryStep;
    queue.retryAtMs = retryAtMs;
    this.#retrying.push(retryAtMs, queue.id);
    this.#review(queue, nowMs);
  }

  // Batches

  /** So that nothing overdue is attempted even if no step came in between; the next step expires it. */
  #putOverdueAside(queue: Queue, nowMs: number): void {
    for (let slot = queue.readyHead; slot !== none; slot = queue.readyHead) {
      const deadline = this.#deadlineMs(slot, queue);
      if (deadline > nowMs) return;
      this.#unready(slot, queue, deadline);
      this.#waiting.push(deadline, slot);
    }
  }

  #takeHead(queue: Queue): OpenBatch {
    const recipients = this.#recipients;
    const handle = recipients.message[queue.readyHead]!;
    const deadline = this.#deadlineMs(queue.readyHead, queue);
    const slots: number[] = [];
    const recipientIndexes: number[] = [];
    const attempts: number[] = [];
    for (
      let slot = queue.readyHead;
      slot !== none && recipients.message[slot] === handle && slots.length < queue.maxRcptPerBatch;
      slot = queue.readyHead
    ) {
      this.#unready(slot, queue, deadline);
      slots.push(slot);
      recipientIndexes.push(recipients.index[slot]!);
      attempts.push(recipients.attempts[slot]!);
    }
    queue.inDelivery += slots.length;
    queue.batches++;
    return {
      queue: queue.name,
      handle,
      id: this.#messages.idOf(handle),
      location: this.#messages.locationOf(handle),
      recipientIndexes,
      attempts,
      owner: queue,
      slots,
      unsettled: slots.length,
    };
  }

  // Queues

  #queue(domain: string, vmta: string): Queue {
    const name = queueName(domain, vmta);
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      const id = this.#freeIds.pop() ?? this.#queueById.length;
      queue = new Queue(name, id, this.#options.settingsFor(domain, vmta));
      this.#queues.set(name, queue);
      this.#queueById[id] = queue;
    }
    return queue;
  }

  #known(name: QueueName): Queue {
    const queue = this.#queues.get(name);
    assert(queue !== undefined, 'a queue with a connection is known');
    return queue;
  }

  #review(queue: Queue, nowMs: number): void {
    this.#slots.review(queue, nowMs);
    this.#dropIfAbandoned(queue);
  }

  #dropIfAbandoned(queue: Queue): void {
    if (!queue.abandoned()) return;
    this.#endRetry(queue);
    this.#queues.delete(queue.name);
    this.#queueById[queue.id] = undefined;
    this.#freeIds.push(queue.id);
  }
}

function retryClock(queue: Queue, nowMs: number): RetryClock {
  const retryInMs = queue.retryAtMs === undefined ? 0 : Math.max(0, queue.retryAtMs - nowMs);
  return { retryStep: queue.retryStep, retryInMs };
}
