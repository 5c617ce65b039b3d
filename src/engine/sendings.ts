import type { Clock, Log, Net } from '../base/ports.ts';
import type { DomainSettingsLookup } from '../config/domainSettings.ts';
import {
  type DeliveryTransaction,
  type RecipientResult,
  transferSizeBytes,
} from '../delivery/deliveryTransaction.ts';
import { type NoRoute, noMx } from '../delivery/mxSet.ts';
import type { LocalCause } from '../delivery/nextHop.ts';
import {
  bouncedBy,
  deliveryEvent,
  expired,
  noSuchVirtualMta,
  type RemoteCause,
  type RemoteFacts,
} from '../delivery/outcome.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import { formatMessageId } from '../message/messageId.ts';
import { isInvalidVirtualMta, type QueueName, splitQueueName } from '../message/names.ts';
import type { Batch, ExpiredRecipient, QueueConnection, Settlement } from '../queue/schedule.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { Routing } from '../routing/routing.ts';
import type { HoldReason } from '../spool/owed.ts';
import type { Spool, SpoolReadFailure } from '../spool/spool.ts';
import type { Bounces } from './bounces.ts';
import { Bouncing, type BouncingBounds, type BouncingSetup } from './bouncing.ts';
import type { HeldContent, HeldMessage } from './heldContent.ts';
import type { LastErrors } from './lastErrors.ts';
import type { OperatorNotices } from './operatorNotices.ts';
import type { Outgoing } from './outgoing.ts';
import { Overdue, type OverdueMessage, type OverdueRecipient } from './overdue.ts';
import type { PoisonGuard } from './poisonGuard.ts';
import type { Quarantine } from './quarantine.ts';
import { QueueRecords } from './queueRecords.ts';
import type { ReplyPolicies } from './replyPolicies.ts';
import { ReplyReactions } from './replyReactions.ts';
import { type Route, type Routes, routeFields } from './routes.ts';
import { Sending, type SendingPorts, type SendingSetup } from './sending.ts';
import { WakeTimer } from './wakeTimer.ts';

export interface SendingParts {
  readonly scheduler: Scheduler;
  readonly spool: Spool;
  readonly routing: Routing;
  readonly routes: Routes;
  readonly settingsFor: DomainSettingsLookup;
  readonly replies: ReplyPolicies;
  readonly wantsQueueEvents: boolean;
  readonly notices: OperatorNotices;
  readonly lastErrors: LastErrors;
  readonly held: HeldContent;
  readonly bounces: Bounces;
  readonly quarantine: Quarantine;
  readonly guard: PoisonGuard;
}

export interface OutcomeCounts {
  deliveredTotal: number;
  failedTotal: number;
  deferredTotal: number;
}

const settlements: Readonly<Record<RecipientResult['kind'], Settlement>> = {
  delivered: 'delivered',
  failed: 'failed',
  deferred: 'deferred',
  notAttempted: 'unheard',
};

/** The outbound side of an engine: starts what the scheduler says may start, and tells it what came of it. */
export class Sendings implements SendingSetup, BouncingSetup {
  readonly clock: Clock;
  readonly net: Net;
  readonly log: Log;
  readonly settingsFor: DomainSettingsLookup;
  readonly replies: ReplyPolicies;
  readonly reactions: ReplyReactions;
  readonly guard: PoisonGuard;
  readonly counts: OutcomeCounts = { deliveredTotal: 0, failedTotal: 0, deferredTotal: 0 };
  readonly #parts: SendingParts;
  readonly #open = new Map<QueueName, Set<Outgoing>>();
  /** What each is to the scheduler. */
  readonly #connections = new Map<Outgoing, QueueConnection>();
  /** Queues that are to be bounced in the next step. */
  readonly #givenUp = new Map<QueueName, LocalCause>();
  #turn = 0;
  readonly #wake: WakeTimer;
  #isStepping = false;
  #again = false;
  #isStopping = false;
  #wasStalled = false;
  /** Past bounce-after, and their envelopes on disk only. */
  readonly overdue: Overdue;
  readonly records: QueueRecords;

  constructor(ports: SendingPorts, parts: SendingParts) {
    this.clock = ports.clock;
    this.net = ports.net;
    this.log = ports.log;
    this.settingsFor = parts.settingsFor;
    this.replies = parts.replies;
    this.guard = parts.guard;
    this.#parts = parts;
    this.#wake = new WakeTimer(ports.clock, () => this.changed());
    this.records = new QueueRecords(ports.clock, parts);
    this.reactions = new ReplyReactions({
      clock: ports.clock,
      log: ports.log,
      scheduler: parts.scheduler,
      settingsFor: parts.settingsFor,
      notices: parts.notices,
      failQueue: (queue, cause) => this.#failQueue(queue, cause),
      bounceQueue: (queue, cause) => this.#givenUp.set(queue, cause),
    });
    this.overdue = new Overdue({
      maySettle: () => !parts.spool.outcomesStalled(this.clock.monotonicMs()),
      read: (location) => parts.spool.read(location),
      bounce: (message, stored) => this.#bounceExpired(message, message.recipients, stored),
      unreadable: (message, code) => this.#tellUnreadable(message, code),
      hold: (message) => this.#holdOverdue(message),
    });
  }

  get open(): number {
    let count = 0;
    for (const sendings of this.#open.values()) count += sendings.size;
    return count;
  }

  lastError(queue: QueueName): string {
    return this.#parts.lastErrors.of(queue);
  }

  /** Carries out what the scheduler says until it says nothing new. */
  changed(): void {
    this.#again = true;
    if (this.#isStepping || this.#isStopping) return;
    this.#isStepping = true;
    while (this.#again) {
      this.#again = false;
      this.#step();
    }
    this.#isStepping = false;
  }

  /** More outcomes are durable. */
  published(): void {
    if (this.#wasStalled && !this.#isStalled(this.clock.monotonicMs())) this.changed();
  }

  #isStalled(nowMs: number): boolean {
    this.#wasStalled = this.#parts.spool.outcomesStalled(nowMs);
    return this.#wasStalled;
  }

  tick(nowMs: number): void {
    for (const sendings of this.#open.values()) for (const sending of sendings) sending.tick(nowMs);
    this.#parts.lastErrors.forgetOld(this.#parts.scheduler, nowMs);
    this.overdue.tick();
    this.changed();
  }

  /** No new transaction is begun; connections close as they finish. */
  stop(): void {
    this.#isStopping = true;
    this.overdue.stop();
    this.#wake.cancel();
    for (const sendings of this.#open.values()) {
      for (const sending of [...sendings]) {
        if (sending.isIdle) sending.quit();
        else if (sending.isOpening) sending.abort();
      }
    }
  }

  abortAll(): void {
    for (const sendings of this.#open.values()) for (const sending of [...sendings]) sending.abort();
  }

  #step(): void {
    const nowMs = this.clock.monotonicMs();
    const { scheduler } = this.#parts;
    // Without durable outcomes every delivery would be one to repeat (architecture 5).
    if (this.#isStalled(nowMs)) return;
    this.#giveUpQueues(nowMs);
    const step = scheduler.step(nowMs);
    const { open, offer, close, expired, wakeAtMs } = step;
    for (const connection of open) this.#start(connection);
    for (const connection of offer) this.#idleOf(connection)?.offer();
    for (const connection of close) this.#idleOf(connection)?.quit();
    this.#expire(expired);
    this.records.remember(step);
    this.#parts.notices.tellModes(step);
    this.#wake.at(wakeAtMs, nowMs);
  }

  /** Once what was in delivery when the reply came has been settled. */
  #giveUpQueues(nowMs: number): void {
    for (const [queue, cause] of this.#givenUp) {
      const recipients = this.#parts.scheduler.giveUp(queue, cause, nowMs);
      this.log.write('warn', 'delivery.queueGivenUp', { queue, ...cause, recipients });
    }
    this.#givenUp.clear();
  }

  #start(connection: QueueConnection): void {
    const { queue } = connection;
    const { vmta } = splitQueueName(queue);
    if (isInvalidVirtualMta(vmta)) {
      this.#bounceQueue(connection, noSuchVirtualMta);
      return;
    }
    const sourceHost = this.#parts.routing.sourceHosts(vmta)[connection.sourceHost];
    if (sourceHost === undefined) {
      this.#failQueue(queue, { status: '4.3.5', diagnostic: 'its virtual MTA is not configured any more' });
      this.#parts.scheduler.connectionAbandoned(connection, this.clock.monotonicMs());
      return;
    }
    const sending = new Sending(this, queue, sourceHost);
    this.#remember(sending, connection);
    void sending.start(this.#turn++);
  }

  #remember(outgoing: Outgoing, connection: QueueConnection): void {
    this.#connections.set(outgoing, connection);
    const known = this.#open.get(outgoing.queue);
    if (known === undefined) this.#open.set(outgoing.queue, new Set([outgoing]));
    else known.add(outgoing);
  }

  /** What this queue holds fails. */
  #bounceQueue(connection: QueueConnection, cause: RemoteCause, bounds?: BouncingBounds): void {
    const bouncing = new Bouncing(this, connection.queue, cause, bounds);
    this.#remember(bouncing, connection);
    bouncing.start();
  }

  #idleOf({ queue, sourceHost }: QueueConnection): Outgoing | undefined {
    for (const sending of this.#open.get(queue) ?? []) {
      if (sending.isIdle && this.#connectionOf(sending).sourceHost === sourceHost) return sending;
    }
    return undefined;
  }

  #connectionOf(outgoing: Outgoing): QueueConnection {
    return this.#connections.get(outgoing)!;
  }

  /** With an interval in bounce-upon-no-mx who waits longer than that for a domain without MX fails. */
  async route({ queue }: Sending, localAddress: string | undefined): Promise<Route> {
    const { domain, vmta } = splitQueueName(queue);
    const settings = this.settingsFor(domain, vmta);
    const route = await this.#parts.routes.find(domain, settings, localAddress);
    if (settings.logResolution.value && route.isFresh) {
      this.log.write('info', 'delivery.resolved', { queue, ...routeFields(route) });
    }
    const patienceMs = settings.bounceUponNoMx.value;
    const isOver = (): boolean =>
      this.#parts.scheduler.headAgeMs(queue, this.clock.monotonicMs()) >= Number(patienceMs);
    return route.hasNoMx && typeof patienceMs === 'number' && isOver()
      ? { ...route, trouble: noMx(domain, patienceMs) }
      : route;
  }

  unroutable(sending: Sending, { means, status, diagnostic, leastAgeMs = 0 }: NoRoute): void {
    const { queue } = sending;
    const cause = { status, diagnostic };
    if (means !== 'bounce') {
      this.#failQueue(queue, cause, means === 'dnsError' ? 'dns' : 'remote');
      this.closed(sending, false);
      return;
    }
    this.log.write('info', 'delivery.unroutable', { queue, ...cause });
    this.#bounceInstead(sending, cause, { leastAgeMs });
  }

  /** One message for each connection: another host, or the same one later, may think otherwise. */
  greetingRefused(sending: Sending, cause: RemoteCause): void {
    this.#bounceInstead(sending, cause, { messagesMax: 1 });
  }

  #bounceInstead(sending: Sending, cause: RemoteCause, bounds: BouncingBounds): void {
    const connection = this.#connectionOf(sending);
    this.#forget(sending);
    this.#bounceQueue(connection, cause, bounds);
    this.changed();
  }

  bounced(batch: Batch, message: HeldMessage, cause: RemoteCause): void {
    this.guard.enter(batch.id);
    const results = batch.recipientIndexes.map((index) => bouncedBy(index, cause));
    this.settled(batch, message, results, undefined, cause.remote);
    this.guard.leave();
  }

  ageMs(batch: Batch): number {
    return this.#parts.scheduler.standing.ageMs(batch, this.clock.monotonicMs());
  }

  opened(sending: Outgoing): void {
    this.#parts.scheduler.connectionOpened(this.#connectionOf(sending), this.clock.monotonicMs());
  }

  failed(sending: Sending, cause: RemoteCause): void {
    this.#failQueue(sending.queue, cause);
  }

  closed(sending: Outgoing, wasOpened: boolean): void {
    const { scheduler } = this.#parts;
    const nowMs = this.clock.monotonicMs();
    const connection = this.#connectionOf(sending);
    this.#forget(sending);
    if (wasOpened) scheduler.connectionClosed(connection, nowMs);
    else scheduler.connectionAbandoned(connection, nowMs);
    this.changed();
  }

  take(sending: Outgoing): Batch | 'wait' | 'close' {
    if (this.#isStopping) return 'close';
    const nowMs = this.clock.monotonicMs();
    if (this.#isStalled(nowMs)) return 'wait';
    return this.#parts.scheduler.take(this.#connectionOf(sending), nowMs);
  }

  connectAgain(sending: Sending): boolean {
    return this.#parts.scheduler.connectAgain(this.#connectionOf(sending), this.clock.monotonicMs());
  }

  contentBegins(batch: Batch, transaction: DeliveryTransaction): void {
    const sizeBytes = transferSizeBytes(transaction);
    this.#parts.scheduler.contentBegins(batch, sizeBytes, this.clock.monotonicMs());
  }

  held(batch: Batch): HeldMessage | undefined {
    return this.#parts.held.get(batch.handle);
  }

  async load(batch: Batch): Promise<HeldMessage | SpoolReadFailure> {
    const { spool, scheduler } = this.#parts;
    for (let location = batch.location; ; ) {
      const read = await spool.read(location);
      if (read.kind === 'stored') return read;
      // It may have been copied forward meanwhile, and its old segment be gone.
      const present = scheduler.standing.locationOf(batch) ?? location;
      if (present.segment === location.segment) return read;
      location = present;
    }
  }

  /** Damaged, it is held; otherwise it waits like any deferred mail, for the disk may answer later. */
  unreadable(batch: Batch, { code }: SpoolReadFailure): void {
    const { scheduler } = this.#parts;
    const nowMs = this.clock.monotonicMs();
    this.#tellUnreadable(batch, code);
    if (code === 'damaged') this.#holdBatch(batch, 'damaged');
    else for (const index of batch.recipientIndexes) scheduler.settle(batch, index, 'deferred', nowMs);
  }

  /** Takes the recipients of a batch out of their queue, without an outcome. */
  #holdBatch(batch: Batch, heldFor: HoldReason): void {
    const { scheduler, quarantine } = this.#parts;
    const nowMs = this.clock.monotonicMs();
    const { domain, vmta } = splitQueueName(batch.queue);
    const { id } = batch;
    const location = scheduler.standing.locationOf(batch) ?? batch.location;
    const timeQueuedMs = this.clock.wallMs() - scheduler.standing.ageMs(batch, nowMs);
    const recipients = batch.recipientIndexes.map((index, i) => {
      scheduler.settle(batch, index, 'withdrawn', nowMs);
      return { index, domain, attempts: batch.attempts[i]!, nextTryMs: 0, heldFor };
    });
    quarantine.hold({ id, location, vmta, timeQueuedMs, recipients }, heldFor);
  }

  #holdOverdue({ id, location, recipients: late }: OverdueMessage): void {
    const { vmta } = splitQueueName(late[0]!.queue);
    const recipients = late.map(({ queue, recipientIndex: index, attempts }) => {
      const { domain } = splitQueueName(queue);
      return { index, domain, attempts, nextTryMs: 0, heldFor: 'damaged' as const };
    });
    // When it was queued is not read any more; it is past bounce-after at any rate.
    this.#parts.quarantine.hold({ id, location, vmta, timeQueuedMs: 0, recipients }, 'damaged');
  }

  returned(batch: Batch): void {
    for (const index of batch.recipientIndexes) {
      this.#parts.scheduler.settle(batch, index, 'returned', this.clock.monotonicMs());
    }
  }

  settled(
    batch: Batch,
    message: HeldMessage,
    results: readonly RecipientResult[],
    transaction: DeliveryTransaction | undefined,
    remote: RemoteFacts | undefined,
  ): void {
    const { scheduler, held, spool, bounces } = this.#parts;
    const { envelope } = message;
    const nowMs = this.clock.wallMs();
    const sizeBytes = transaction === undefined ? 0 : transferSizeBytes(transaction);
    const failures: DeliveryEvent[] = [];
    let { segment } = batch.location;
    for (const result of results) {
      const settled = scheduler.settle(
        batch,
        result.index,
        settlements[result.kind],
        this.clock.monotonicMs(),
      );
      const event = deliveryEvent(result, {
        envelope,
        queue: batch.queue,
        nowMs,
        remote,
        sizeBytes,
        attempts: settled.attempts,
        nextTryMs: result.kind === 'deferred' ? nowMs + settled.nextTryInMs : 0,
        categoryOf: this.replies.categoryOf,
      });
      if (event === undefined) continue;
      this.counts[`${event.kind}Total`] += 1;
      if (event.kind === 'deferred') held.drop(batch.handle);
      else held.settled(batch.handle);
      if (event.kind === 'delivered') this.#parts.lastErrors.delivered(batch.queue);
      if (event.kind === 'deferred') this.#parts.lastErrors.failed(batch.queue, event.diagnostic);
      segment = settled.segment;
      if (event.kind === 'failed') failures.push(event);
      else spool.putEvent(event, segment);
    }
    if (failures.length > 0) bounces.put(failures, segment, message);
  }

  /** Older than bounce-after. Those of one message are told of together. */
  #expire(expired: readonly ExpiredRecipient[]): void {
    const { held } = this.#parts;
    const ofMessages = new Map<HeldMessage, ExpiredRecipient[]>();
    for (const recipient of expired) {
      const message = held.get(recipient.handle);
      const others = message && ofMessages.get(message);
      if (message === undefined) this.overdue.add(recipient);
      else if (others === undefined) ofMessages.set(message, [recipient]);
      else others.push(recipient);
    }
    for (const [message, recipients] of ofMessages) {
      for (const { handle } of recipients) held.settled(handle);
      this.#bounceExpired(recipients[0]!, recipients, message);
    }
  }

  #bounceExpired(
    { location }: Pick<OverdueMessage, 'location'>,
    recipients: readonly OverdueRecipient[],
    message: HeldMessage,
  ): void {
    const { envelope } = message;
    this.guard.enter(envelope.id);
    const events = recipients.map(({ recipientIndex, queue, attempts, cause }) => {
      // What it could not be delivered for in time is what its queue met last.
      const late = (): RecipientResult => expired(recipientIndex, this.lastError(queue));
      const event = deliveryEvent(cause === undefined ? late() : bouncedBy(recipientIndex, cause), {
        envelope,
        queue,
        nowMs: this.clock.wallMs(),
        remote: undefined,
        sizeBytes: 0,
        attempts,
        nextTryMs: 0,
        categoryOf: this.replies.categoryOf,
      });
      return event!;
    });
    this.counts.failedTotal += events.length;
    this.#parts.bounces.put(events, location.segment, message);
    this.guard.leave();
  }

  /** It stays in the spool: a restart, or the tools, may find what is left of it. */
  #tellUnreadable({ id, location }: Pick<Batch, 'id' | 'location'>, code: string): void {
    this.log.write('error', 'spool.unreadable', { id: formatMessageId(id), segment: location.segment, code });
  }

  #failQueue(queue: QueueName, cause: RemoteCause, of: 'remote' | 'dns' = 'remote'): void {
    const { status, diagnostic } = cause;
    this.records.failed(queue, cause);
    const clock = this.#parts.scheduler.queueFailed(queue, this.clock.monotonicMs(), of);
    this.reactions.queueFailed(queue);
    this.#parts.lastErrors.failed(queue, diagnostic);
    this.log.write('info', 'delivery.queueFailed', { queue, status, diagnostic, ...clock });
  }

  #forget(sending: Outgoing): void {
    this.#connections.delete(sending);
    const sendings = this.#open.get(sending.queue);
    sendings?.delete(sending);
    if (sendings?.size === 0) this.#open.delete(sending.queue);
  }
}
