import { assert } from '../base/assert.ts';
import { AlarmHeap } from './alarmHeap.ts';
import type { LimitShares } from './limitShares.ts';
import type { Queue, QueueLine } from './queue.ts';
import type { QueueHost } from './queueHost.ts';
import type { RateGate } from './rateGate.ts';
import type { QueueConnection } from './schedule.ts';
import type { SendingVmta } from './sendingVmta.ts';
import { SlotGroup } from './slotGroup.ts';

const noConnections: readonly QueueConnection[] = [];

/**
 * Who may have a connection, and a batch for it, all limits observed. A queue waits in one place: for its own
 * rates and addresses it has an alarm; for those of its virtual MTA it stands in a line there, for the shared
 * total in the line of all.
 *
 * Fairness: a freed slot goes to the queue without a connection that has waited longest, then in turn to
 * those that could use another. While any queue is short of a slot, idle connections are closed, and queues
 * above the average number of connections yield one after a batch to those that have none.
 */
export class ConnectionSlots {
  /** When time alone changes something for a queue; for one of those in line at a virtual MTA's rates. */
  readonly alarms = new AlarmHeap<Queue>();
  readonly gates = new AlarmHeap<RateGate>();
  readonly #leases: LimitShares;
  /** By `Queue.vmta`. */
  readonly #vmtas: readonly SendingVmta[];
  /** Octets of the message that goes next; only while one is ready. */
  readonly #headBytes: (queue: Queue) => number;
  readonly #total = new SlotGroup(Number.POSITIVE_INFINITY);
  /** The last look found no slot of the total for a queue that wants one. */
  #short = false;
  /** Virtual MTAs whose queues wait for slots of theirs. */
  readonly #shortGroups = new Set<SlotGroup>();
  /** Have idle connections and something to take. */
  readonly #offerable = new Set<Queue>();
  /** Of addresses that were disabled. */
  #unusable: QueueConnection[] = [];
  #isAdmitting = false;

  /** `headBytes`: octets of the message that goes next; asked only while one is ready. */
  constructor(leases: LimitShares, vmtas: readonly SendingVmta[], headBytes: (queue: Queue) => number) {
    this.#leases = leases;
    this.#vmtas = vmtas;
    this.#headBytes = headBytes;
  }

  get connections(): number {
    return this.#total.connections;
  }

  /** To be called after any change of a queue: puts it into the line and the set where it belongs now. */
  review(queue: Queue, nowMs: number): void {
    const { slots, gate } = this.#vmtas[queue.vmta]!;
    let wants = queue.wantsConnection();
    let takes = queue.runnable() && queue.idle() > 0;
    let alarmAtMs = queue.timersAtMs();
    if (queue.isBounded && (wants || takes)) {
      const sizeBytes = this.#headBytes(queue);
      const openAtMs = wants ? this.#openAtMs(queue, sizeBytes, nowMs) : Number.POSITIVE_INFINITY;
      const takeAtMs = takes ? queue.takeAtMs(sizeBytes, nowMs) : Number.POSITIVE_INFINITY;
      wants = openAtMs <= nowMs;
      takes = takeAtMs <= nowMs;
      if (!wants) alarmAtMs = Math.min(alarmAtMs, openAtMs);
      if (!takes) alarmAtMs = Math.min(alarmAtMs, takeAtMs);
    }
    this.alarms.set(queue, alarmAtMs);
    if (gate === undefined) this.#stand(queue, slots, wants ? this.#lineFor(queue, slots) : undefined, nowMs);
    else takes = this.#standAtGate(queue, gate, wants, takes, nowMs);
    const idleSet = queue.idle() === 0 ? undefined : takes ? this.#offerable : this.#total.idling;
    if (queue.idleSet !== idleSet) {
      if (queue.idleSet === this.#total.idling) slots?.idling.delete(queue);
      queue.idleSet?.delete(queue);
      idleSet?.add(queue);
      if (idleSet === this.#total.idling) slots?.idling.add(queue);
      queue.idleSet = idleSet;
    }
    if (gate !== undefined) this.admit(gate, nowMs);
  }

  /** Lets in at a virtual MTA's rates whose turn has come. */
  admit(gate: RateGate, nowMs: number): void {
    if (this.#isAdmitting) return;
    this.#isAdmitting = true;
    const { line } = gate;
    while (line.head !== undefined) {
      const queue = gate.admit(this.#headBytes(line.head), nowMs);
      if (queue === undefined) break;
      line.leave(queue);
      this.review(queue, nowMs);
    }
    this.#isAdmitting = false;
    const { head } = line;
    const atMs = head === undefined ? Number.POSITIVE_INFINITY : gate.nextAtMs(this.#headBytes(head), nowMs);
    this.gates.set(gate, atMs);
  }

  /** Leases slots for those in line; one entry a connection to open. */
  open(nowMs: number): QueueConnection[] {
    const open: QueueConnection[] = [];
    for (let queue = this.#total.next(); queue !== undefined; queue = this.#total.next()) {
      this.#short = !this.#leases.lease();
      if (this.#short) return open;
      const { slots } = this.#vmtas[queue.vmta]!;
      const host = this.#hostToOpen(queue, nowMs);
      const isFirst = queue.connections() === 0;
      this.#total.took(isFirst);
      slots?.took(isFirst);
      queue.begin(host, nowMs);
      open.push(host.connection);
      this.#stand(queue, slots, undefined, nowMs); // to the end of the line, if it wants another one
      this.review(queue, nowMs);
    }
    this.#short = false;
    return open;
  }

  opened(queue: Queue, host: QueueHost, nowMs: number): void {
    queue.opened(host, nowMs);
    this.review(queue, nowMs);
  }

  abandoned(queue: Queue, host: QueueHost, nowMs: number): void {
    queue.opened(host, nowMs);
    this.#free(queue, host, nowMs);
  }

  closed(queue: Queue, host: QueueHost, nowMs: number): void {
    assert(host.open > 0, 'a connection that closed was open');
    if (host.closing > 0) {
      host.closing--;
      queue.closing--;
      this.#total.closing--;
      const { slots } = this.#vmtas[queue.vmta]!;
      if (slots !== undefined) slots.closing--;
    }
    this.#free(queue, host, nowMs);
  }

  /** One entry an idle connection that could take something. */
  offers(nowMs: number): QueueConnection[] {
    const offers: QueueConnection[] = [];
    for (const queue of this.#offerable) {
      let left = queue.readyBatches();
      for (const host of queue.hosts) {
        const idle = host.idle();
        if (idle === 0) continue;
        if (queue.hasUnlikeHosts && host.takeAtMs(this.#headBytes(queue), nowMs) > nowMs) continue;
        for (let i = Math.min(idle, left); i > 0; i--, left--) offers.push(host.connection);
      }
    }
    return offers;
  }

  /** One entry an idle connection that is to make room, or whose address is disabled. */
  closeIdle(nowMs: number): readonly QueueConnection[] {
    if (!this.#short && this.#shortGroups.size === 0 && this.#unusable.length === 0) return noConnections;
    const close = this.#unusable;
    this.#unusable = [];
    if (this.#short) this.#closeIdleOf(this.#total, close, nowMs);
    for (const group of this.#shortGroups) this.#closeIdleOf(group, close, nowMs);
    return close;
  }

  /** Its idle connections are of no use any more. */
  disabled(queue: Queue, host: QueueHost, nowMs: number): void {
    for (let idle = host.idle(); idle > 0; idle--) {
      this.#markClosing(queue, host);
      this.#unusable.push(host.connection);
    }
    this.review(queue, nowMs);
  }

  /** May an open connection of this queue take a batch, wait for one, or must it make room? */
  mayTake(queue: Queue, host: QueueHost, nowMs: number): 'take' | 'wait' | 'close' {
    const { slots, gate } = this.#vmtas[queue.vmta]!;
    const isUseless =
      host.disabledUntilMs !== undefined || queue.connections() - queue.closing > queue.maxSmtpOut();
    const takes = !isUseless && queue.runnable() && this.#isWithinRates(queue, host, gate, nowMs);
    const yields = takes
      ? (this.#short && this.#total.mustYield(queue, nowMs)) || slots?.mustYield(queue, nowMs) === true
      : (this.#short && this.#total.slotsWanted() > 0) || (slots !== undefined && slots.slotsWanted() > 0);
    if (isUseless || yields) this.#markClosing(queue, host);
    return isUseless || yields ? 'close' : takes ? 'take' : 'wait';
  }

  /** It took a batch: with others in line its turn is over. */
  served(queue: Queue): void {
    this.#vmtas[queue.vmta]!.gate?.leave(queue);
  }

  /** Whether all slots are taken that this queue would need one of. */
  isShort(queue: Queue): 'total' | 'virtual-mta' | undefined {
    const { slots } = this.#vmtas[queue.vmta]!;
    if (slots?.has(queue.line) === true) return 'virtual-mta';
    return this.#short && this.#total.has(queue.line) ? 'total' : undefined;
  }

  /** When it may open another connection, as far as its own limits go; Infinity: that depends. */
  #openAtMs(queue: Queue, sizeBytes: number, nowMs: number): number {
    const atMs = queue.openAtMs(sizeBytes, nowMs);
    if (!queue.hasUnlikeHosts || atMs === Number.POSITIVE_INFINITY) return atMs;
    let hostAtMs = Number.POSITIVE_INFINITY;
    const { sourceAddresses } = this.#vmtas[queue.vmta]!;
    for (let i = 0; i < sourceAddresses.length && hostAtMs > atMs; i++) {
      const host = queue.hostFor(i, sourceAddresses[i]);
      hostAtMs = Math.min(hostAtMs, host.openAtMs(sizeBytes, nowMs));
    }
    return Math.max(atMs, hostAtMs);
  }

  #hostToOpen(queue: Queue, nowMs: number): QueueHost {
    const vmta = this.#vmtas[queue.vmta]!;
    const hostOf = (sourceHost: number): QueueHost =>
      queue.hostFor(sourceHost, vmta.sourceAddresses[sourceHost]);
    const sizeBytes = this.#headBytes(queue);
    const sourceHost = vmta.nextSourceHost(
      (one) => !queue.hasUnlikeHosts || hostOf(one).openAtMs(sizeBytes, nowMs) <= nowMs,
    );
    assert(sourceHost !== undefined, 'a queue in line has an address to connect from');
    return hostOf(sourceHost);
  }

  #isWithinRates(queue: Queue, host: QueueHost, gate: RateGate | undefined, nowMs: number): boolean {
    if (gate === undefined && !queue.isBounded) return true;
    const sizeBytes = this.#headBytes(queue);
    return (
      queue.ratesFreeAtMs(sizeBytes, nowMs) <= nowMs &&
      host.takeAtMs(sizeBytes, nowMs) <= nowMs &&
      (gate === undefined || gate.isOpenFor(queue, sizeBytes, nowMs))
    );
  }

  /** Returns whether it may take now; stands in the gate's line if it is not its turn. */
  #standAtGate(queue: Queue, gate: RateGate, wants: boolean, takes: boolean, nowMs: number): boolean {
    const { slots } = this.#vmtas[queue.vmta]!;
    // While others wait for their turn, one connection is enough for the one batch of this turn.
    const isServed = gate.line.size > 0 && queue.opening + queue.idle() > 0 && queue.line !== gate.line;
    const opens = wants && !isServed;
    if (!(opens || takes)) {
      if (queue.opening === 0) gate.leave(queue);
      this.#stand(queue, slots, undefined, nowMs);
      return false;
    }
    if (gate.isOpenFor(queue, this.#headBytes(queue), nowMs)) {
      this.#stand(queue, slots, opens ? this.#lineFor(queue, slots) : undefined, nowMs);
      return takes;
    }
    this.#stand(queue, slots, gate.line, nowMs, queue.isAdmitted);
    gate.leave(queue);
    return false;
  }

  #lineFor(queue: Queue, slots: SlotGroup | undefined): QueueLine {
    const isInTotal = slots === undefined || this.#total.has(queue.line) || slots.hasRoom();
    return (isInTotal ? this.#total : slots).lineFor(queue);
  }

  #stand(
    queue: Queue,
    slots: SlotGroup | undefined,
    line: QueueLine | undefined,
    nowMs: number,
    isFirst = false,
  ): void {
    const before = queue.line;
    if (before === line) return;
    before?.leave(queue);
    if (isFirst) line?.joinFront(queue, nowMs);
    else line?.join(queue, nowMs);
    if (slots === undefined) return;
    if (this.#total.has(before)) slots.candidates--;
    if (this.#total.has(line)) slots.candidates++;
    this.#promote(slots, nowMs);
  }

  /** Those in line at their virtual MTA for whom it has a slot go on to the line of all. */
  #promote(slots: SlotGroup, nowMs: number): void {
    while (slots.hasRoom()) {
      const queue = slots.next();
      if (queue === undefined) break;
      queue.line!.leave(queue);
      this.#total.lineFor(queue).join(queue, nowMs);
      slots.candidates++;
    }
    if (slots.next() === undefined) this.#shortGroups.delete(slots);
    else this.#shortGroups.add(slots);
  }

  #closeIdleOf(group: SlotGroup, close: QueueConnection[], nowMs: number): void {
    for (const queue of group.idling) {
      for (const host of queue.hosts) {
        while (host.idle() > 0 && group.slotsWanted() > 0) {
          this.#markClosing(queue, host);
          close.push(host.connection);
        }
      }
      if (queue.idle() > 0) break;
      this.review(queue, nowMs);
    }
  }

  /** Not twice for one connection, should it ask again before it closes. */
  #markClosing(queue: Queue, host: QueueHost): void {
    if (host.closing === host.open) return;
    host.closing++;
    queue.closing++;
    this.#total.closing++;
    const { slots } = this.#vmtas[queue.vmta]!;
    if (slots !== undefined) slots.closing++;
  }

  #free(queue: Queue, host: QueueHost, nowMs: number): void {
    queue.ended(host);
    const isLast = queue.connections() === 0;
    this.#short = false; // the next look decides anew
    this.#total.freed(isLast);
    this.#leases.release();
    const { slots } = this.#vmtas[queue.vmta]!;
    if (slots !== undefined) {
      slots.freed(isLast);
      this.#promote(slots, nowMs);
    }
    this.review(queue, nowMs);
  }
}
