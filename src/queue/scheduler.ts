import { assert } from '../base/assert.ts';
import type { QueueName } from '../message/names.ts';
import { MessageTable, none, RecipientTable } from './columns.ts';
import { ConnectionSlots } from './connectionSlots.ts';
import { deadlineMs, ExpiryCalendar } from './expiryCalendar.ts';
import { GivenUp } from './givenUp.ts';
import type { LimitShares } from './limitShares.ts';
import { countNamed, countSettled, type OpenBatch, ratesOf } from './openBatch.ts';
import { Operating } from './operating.ts';
import type { Queue } from './queue.ts';
import type { QueueHost } from './queueHost.ts';
import { QueueModes } from './queueModes.ts';
import { QueueRegistry, type RegistryOptions } from './queueRegistry.ts';
import { queueSummary } from './queueSummary.ts';
import { joinReady, leaveReady } from './readyList.ts';
import { RetryClocks } from './retryClocks.ts';
import type {
  Batch,
  ExpiredRecipient,
  GivenUpCause,
  Hold,
  MessageHandle,
  OwedMessage,
  OwedRecipient,
  QueueConnection,
  QueueMode,
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
import { holdsOf } from './why.ts';

export interface SchedulerOptions extends RegistryOptions {
  /** total-max-smtp-out: `wholeShare(limit)` for one engine. */
  readonly connectionLeases: LimitShares;
}

/** Recipients moved by time in one step: bounds how long it takes and how many expire in it. */
const movesPerStep = 10_000;
const mostAttempts = 0xffff;

/** Of a message whose size is not known: more than any rate, so that it has a window for itself. */
const unknownBytes = 0xffff_ffff;

/**
 * Decides what may start and when (powermta f). Pure and synchronous: `nowMs` is monotonic and never falls
 * from call to call; the owner calls `step` after every change and at `wakeAtMs`.
 */
export class Scheduler {
  readonly #messages = new MessageTable();
  readonly #recipients = new RecipientTable();
  /** Recipients to look at again: deferred ones when they are ready or expire, overdue ones at once. */
  readonly #waiting = new TimeHeap();
  readonly #calendar = new ExpiryCalendar(this.#recipients);

  /** What an operator may command. */
  readonly operating: Operating = new Operating({
    messages: this.#messages,
    recipients: this.#recipients,
    waiting: this.#waiting,
    queues: () => this.#registry.all(),
    queueOf: (slot) => this.#registry.byId(this.#recipients.queue[slot]!),
    endWait: (queue, nowMs) => this.clocks.end(queue, nowMs),
    makeReady: (slot, queue) => this.#makeReady(slot, queue, 'back'),
    unready: (slot, queue) => this.#unready(slot, queue, this.#deadlineMs(slot, queue)),
    review: (queue, nowMs) => this.#review(queue, nowMs),
  });

  /** For who must know of every message what is still owed. */
  readonly standing = new Standing(this.#messages, this.#recipients, this.#waiting);

  readonly #givenUp = new GivenUp(this.#recipients, this.#waiting);
  readonly #registry: QueueRegistry;
  readonly #slots: ConnectionSlots;
  /** Modes and disabled addresses, to be asked and restored. */
  readonly modes: QueueModes;
  readonly clocks: RetryClocks;

  constructor(options: SchedulerOptions) {
    const registry = new QueueRegistry(options);
    this.#registry = registry;
    this.#slots = new ConnectionSlots(
      options.connectionLeases,
      registry.vmtas,
      (queue) => this.#messages.sizeBytes[this.#recipients.message[queue.readyHead]!]!,
    );
    this.modes = new QueueModes(registry, this.#slots);
    this.clocks = new RetryClocks(registry, this.#slots);
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
    messages.sizeBytes[handle] = owed.sizeBytes ?? unknownBytes;
    messages.live[handle] = owed.recipients.length;

    const queues = owed.recipients.map(({ domain }) => this.#queueFor(domain, owed.vmta, nowMs));
    for (const queue of queues) queue.adding++;
    owed.recipients.forEach((recipient, i) => {
      this.#addRecipient(handle, recipient, queues[i]!, nowMs);
    });
    for (const queue of queues) {
      if (queue.adding > 0) {
        this.clocks.wakeForNewMail(queue, nowMs);
        this.#review(queue, nowMs);
      }
      queue.adding = 0;
    }
    return handle;
  }

  /** What may start now, and when to look again. */
  step(nowMs: number): Step {
    const expired = this.#passTime(nowMs);
    const open = this.#slots.open(nowMs);
    const close = this.#slots.closeIdle(nowMs);
    const offer = this.#slots.offers(nowMs);
    const retryClocks = this.clocks.news(nowMs);
    return {
      open,
      offer,
      close,
      expired,
      retryClocks,
      ...this.modes.news(),
      wakeAtMs: Math.max(nowMs, this.#nextAtMs()),
    };
  }

  /** An opening connection is ready for its first transaction. */
  connectionOpened(connection: QueueConnection, nowMs: number): void {
    const queue = this.#registry.known(connection.queue);
    this.#slots.opened(queue, knownHost(queue, connection), nowMs);
  }

  /** An opening connection failed at one remote. False: it may not try another, max-connect-rate says. */
  connectAgain(connection: QueueConnection, nowMs: number): boolean {
    const queue = this.#registry.known(connection.queue);
    const isAllowed = queue.mayConnectAgain(knownHost(queue, connection), nowMs);
    this.#slots.review(queue, nowMs);
    return isAllowed;
  }

  /** An opening connection came to nothing. Says nothing of the queue: see `queueFailed`. */
  connectionAbandoned(connection: QueueConnection, nowMs: number): void {
    const queue = this.#registry.known(connection.queue);
    this.#slots.abandoned(queue, knownHost(queue, connection), nowMs);
    this.#dropIfAbandoned(queue, nowMs);
  }

  /** An open connection is gone, for whatever reason. Settle its batch first. */
  connectionClosed(connection: QueueConnection, nowMs: number): void {
    const queue = this.#registry.known(connection.queue);
    this.#slots.closed(queue, knownHost(queue, connection), nowMs);
    this.#dropIfAbandoned(queue, nowMs);
  }

  /**
   * The next batch for an open connection of this queue. `wait`: nothing now, a later `offer` tells;
   * `close`: nothing, and the slot is needed elsewhere: close this connection now.
   */
  take(connection: QueueConnection, nowMs: number): Batch | 'wait' | 'close' {
    const queue = this.#registry.known(connection.queue);
    const host = knownHost(queue, connection);
    this.#putOverdueAside(queue, nowMs);
    const verdict = this.#slots.mayTake(queue, host, nowMs);
    const taken = verdict === 'take' ? this.#takeHead(queue, host, nowMs) : verdict;
    this.#slots.review(queue, nowMs);
    return taken;
  }

  /**
   * Every recipient of a batch has been named to the remote, and a content of so many octets follows. Not told,
   * they count when they are settled: never too early, but as late as the reply to the content.
   */
  contentBegins(batch: Batch, sizeBytes: number, nowMs: number): void {
    const { owner, rateSets } = batch as OpenBatch;
    if (rateSets.length === 0) return;
    countNamed(batch as OpenBatch, sizeBytes, nowMs);
    this.#slots.review(owner, nowMs);
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
    if ((batch as OpenBatch).unsettled === 0) {
      queue.batches--;
      (batch as OpenBatch).host.batches--;
    }
    queue.inDelivery--;
    if ((batch as OpenBatch).rateSets.length > 0) countSettled(batch as OpenBatch, settlement, nowMs);

    const attemptsBefore = this.#recipients.attempts[slot]!;
    const isReturned = settlement === 'returned' || settlement === 'unheard';
    const attempts = isReturned ? attemptsBefore : Math.min(mostAttempts, attemptsBefore + 1);
    this.#recipients.attempts[slot] = attempts;
    const deadline = this.#deadlineMs(slot, queue);
    const overdue = deadline <= nowMs;
    let nextTryInMs = 0;
    const segment = this.#messages.segment[this.#recipients.message[slot]!]!;
    if (settlement === 'delivered' || settlement === 'failed' || settlement === 'withdrawn') {
      if (settlement === 'delivered') {
        this.clocks.reset(queue);
        this.modes.delivered(queue, (batch as OpenBatch).mode, nowMs);
      }
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
   * the next step of retry-after (the last one repeats), or retry-after-dns-error without a step. A queue that
   * waits already goes on waiting: several connections that fail together are one failure; only a remote's
   * weighs more than one of DNS. One that is gone has nothing to wait for.
   */
  queueFailed(name: QueueName, nowMs: number, of: 'remote' | 'dns' = 'remote'): RetryClock {
    return this.clocks.failed(name, nowMs, of);
  }

  /**
   * Who is in this queue and not in delivery is not tried any more: the next steps tell them as expired.
   * They are owed until then. How many they are.
   */
  giveUp(name: QueueName, cause: GivenUpCause, nowMs: number): number {
    const queue = this.#registry.get(name);
    if (queue === undefined) return 0;
    const unready = (slot: number): void => this.#unready(slot, queue, this.#deadlineMs(slot, queue));
    const recipients = this.#givenUp.add(queue, cause, unready);
    this.#review(queue, nowMs);
    return recipients;
  }

  /**
   * Another mode: its limits and waits hold from now on. `normalAfterMs`: when backoff ends by itself, instead
   * of backoff-to-normal-after; a queue that is in backoff mode already goes on as it was without it. False:
   * there is no such queue.
   */
  setMode(name: QueueName, mode: QueueMode, nowMs: number, normalAfterMs?: number): boolean {
    return this.modes.set(name, mode, nowMs, normalAfterMs);
  }

  /**
   * The queue uses that local address no more before then (undefined: before it is enabled), and its idle
   * connections from there are closed. False: there is no such queue, or its virtual MTA has no such address.
   */
  disableSource(name: QueueName, address: string, untilMs: number | undefined, nowMs: number): boolean {
    return this.modes.disable(name, address, untilMs, nowMs);
  }

  /** Uses a disabled local address again; every one without `address`. False: none was disabled. */
  enableSource(name: QueueName, address: string | undefined, nowMs: number): boolean {
    return this.modes.enable(name, address, nowMs);
  }

  /** Everything that keeps a queue from starting more now; nothing of a queue that is not there. */
  why(name: QueueName, nowMs: number): readonly Hold[] {
    const queue = this.#registry.get(name);
    if (queue === undefined) return [];
    const sizeBytes =
      queue.ready === 0 ? 0 : this.#messages.sizeBytes[this.#recipients.message[queue.readyHead]!]!;
    return holdsOf({
      queue,
      vmta: this.#registry.vmtaOf(queue),
      sizeBytes,
      shortOf: this.#slots.isShort(queue),
      nowMs,
    });
  }

  /** After a restart, once the mail has been added: the retry clock as it stood, without mail while it runs. */
  restoreRetry(clock: QueueRetryClock, nowMs: number): void {
    this.clocks.restore(clock, nowMs);
  }

  /** How long ago the message was queued that is next in line; 0 where nothing is ready. */
  headAgeMs(name: QueueName, nowMs: number): number {
    const head = this.#registry.get(name)?.readyHead ?? none;
    return head === none ? 0 : nowMs - this.#messages.queuedAtMs[this.#recipients.message[head]!]!;
  }

  *queues(nowMs: number): Iterable<QueueSummary> {
    for (const queue of this.#registry.all()) yield queueSummary(queue, nowMs);
  }

  /** undefined: there is no such queue. */
  queue(name: QueueName, nowMs: number): QueueSummary | undefined {
    const queue = this.#registry.get(name);
    return queue && queueSummary(queue, nowMs);
  }

  counts(): SchedulerCounts {
    const tables = [this.#messages, this.#recipients, this.#waiting, this.#calendar];
    return {
      messages: this.#messages.count,
      recipients: this.#recipients.count,
      queues: this.#registry.size,
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
      const { alarms, gates } = this.#slots;
      const givenUp = this.#givenUp.take();
      if (givenUp !== undefined) {
        expired.push({ ...this.#expire(givenUp.slot, nowMs), cause: givenUp.cause });
        continue;
      }
      if (alarms.firstAtMs() <= nowMs) {
        this.#alarm(alarms.first()!, nowMs);
        continue;
      }
      if (gates.firstAtMs() <= nowMs) {
        this.#slots.admit(gates.first()!, nowMs);
        continue;
      }
      const isReady = this.#waiting.firstAtMs() > nowMs;
      const slot = isReady ? this.#calendar.first() : this.#waiting.pop();
      const queue = this.#registry.byId(this.#recipients.queue[slot]!);
      const deadline = this.#deadlineMs(slot, queue);
      if (isReady) this.#unready(slot, queue, deadline);
      if (deadline > nowMs) {
        this.#makeReady(slot, queue, 'back');
        this.#review(queue, nowMs);
      } else expired.push(this.#expire(slot, nowMs));
    }
    return expired;
  }

  #nextAtMs(): number {
    if (!this.#givenUp.isEmpty) return 0;
    const { alarms, gates } = this.#slots;
    const queuesAtMs = Math.min(alarms.firstAtMs(), gates.firstAtMs());
    return Math.min(queuesAtMs, this.#waiting.firstAtMs(), this.#calendar.firstAtMs());
  }

  /** Its time has come: a wait, a mode, a disabled address is over, or its rates have room. */
  #alarm(queue: Queue, nowMs: number): void {
    this.clocks.passTime(queue, nowMs);
    this.modes.passTime(queue, nowMs);
    this.#review(queue, nowMs);
  }

  #expire(slot: number, nowMs: number): ExpiredRecipient {
    const queue = this.#registry.byId(this.#recipients.queue[slot]!);
    const handle = this.#recipients.message[slot]!;
    const expired = {
      queue: queue.name,
      handle,
      id: this.#messages.idOf(handle),
      location: this.#messages.locationOf(handle),
      recipientIndex: this.#recipients.index[slot]!,
      attempts: this.#recipients.attempts[slot]!,
    };
    this.#forget(slot, queue);
    this.#review(queue, nowMs);
    return expired;
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

  #takeHead(queue: Queue, host: QueueHost, nowMs: number): OpenBatch {
    const recipients = this.#recipients;
    const handle = recipients.message[queue.readyHead]!;
    const deadline = this.#deadlineMs(queue.readyHead, queue);
    const slots: number[] = [];
    const recipientIndexes: number[] = [];
    const attempts: number[] = [];
    const rateSets = ratesOf(queue, host, this.#registry.vmtaOf(queue).gate?.rates);
    let most = queue.maxRcptPerBatch;
    for (const rates of rateSets) most = Math.min(most, rates.recipientsMax(nowMs));
    for (
      let slot = queue.readyHead;
      slot !== none && recipients.message[slot] === handle && slots.length < most;
      slot = queue.readyHead
    ) {
      this.#unready(slot, queue, deadline);
      slots.push(slot);
      recipientIndexes.push(recipients.index[slot]!);
      attempts.push(recipients.attempts[slot]!);
    }
    queue.inDelivery += slots.length;
    queue.batches++;
    host.batches++;
    const sizeBytes = this.#messages.sizeBytes[handle]!;
    for (const rates of rateSets) rates.reserve(slots.length, sizeBytes);
    this.#slots.served(queue);
    return {
      queue: queue.name,
      handle,
      id: this.#messages.idOf(handle),
      location: this.#messages.locationOf(handle),
      recipientIndexes,
      attempts,
      owner: queue,
      host,
      mode: queue.mode,
      slots,
      unsettled: slots.length,
      rateSets,
      sizeBytes,
      isNamed: false,
      isCarried: false,
    };
  }

  #queueFor(domain: string, vmta: string, nowMs: number): Queue {
    const queue = this.#registry.queueFor(domain, vmta);
    // It may be one that is remembered.
    if (queue.abandoned()) this.modes.passTime(queue, nowMs);
    return queue;
  }

  #review(queue: Queue, nowMs: number): void {
    this.#slots.review(queue, nowMs);
    this.#dropIfAbandoned(queue, nowMs);
  }

  #dropIfAbandoned(queue: Queue, nowMs: number): void {
    if (!queue.abandoned()) return;
    this.clocks.reset(queue);
    this.#slots.alarms.set(queue, Number.POSITIVE_INFINITY);
    this.#registry.drop(queue, nowMs);
  }
}

function knownHost(queue: Queue, { sourceHost }: QueueConnection): QueueHost {
  const host = queue.host(sourceHost);
  assert(host !== undefined, 'a connection has a source host');
  return host;
}
