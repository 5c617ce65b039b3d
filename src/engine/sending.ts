import type { Clock, Log, Net } from '../base/ports.ts';
import type { DomainSettingsLookup, EffectiveDomainSettings } from '../config/domainSettings.ts';
import type { ClientEffect, ConnectionFailure } from '../delivery/clientEffect.ts';
import type { ClientSession } from '../delivery/clientSession.ts';
import type { DeliveryTransaction, RecipientResult } from '../delivery/deliveryTransaction.ts';
import type { NoRoute } from '../delivery/mxSet.ts';
import type { LocalCause, PlannedEndpoint } from '../delivery/nextHop.ts';
import { bouncedBy, type RemoteCause, type RemoteFacts } from '../delivery/outcome.ts';
import { type QueueName, splitQueueName } from '../message/names.ts';
import type { Batch } from '../queue/schedule.ts';
import type { SourceHost } from '../routing/routing.ts';
import type { SpoolReadFailure } from '../spool/spool.ts';
import { type ConnectionOwner, DeliveryConnection } from './deliveryConnection.ts';
import type { HeldMessage } from './heldContent.ts';
import type { Outgoing } from './outgoing.ts';
import type { PoisonGuard } from './poisonGuard.ts';
import type { ReplyPolicies } from './replyPolicies.ts';
import { bounceQueueCause, type Judged, type ReplyReactions } from './replyReactions.ts';
import { endpointsOf, type Route } from './routes.ts';

export interface SendingPorts {
  readonly clock: Clock;
  readonly net: Net;
  readonly log: Log;
}

/** What one connection needs of all of them. */
export interface SendingSetup extends SendingPorts {
  readonly settingsFor: DomainSettingsLookup;
  readonly replies: ReplyPolicies;
  readonly reactions: ReplyReactions;
  readonly guard: PoisonGuard;
  /** Where its mail goes; never rejects. */
  route(sending: Sending, localAddress: string | undefined): Promise<Route>;
  /** Instead of `opened` and `closed`: there is nobody to connect to. */
  unroutable(sending: Sending, cause: NoRoute): void;
  opened(sending: Sending): void;
  /** The queue as a whole is to blame: no connection, or MAIL was deferred. */
  failed(sending: Sending, cause: RemoteCause): void;
  /** Instead of `opened` and `closed`: no host wants mail from here, for good. */
  greetingRefused(sending: Sending, cause: RemoteCause): void;
  /** Its slot is free; `wasOpened`: after `opened`. */
  closed(sending: Sending, wasOpened: boolean): void;
  take(sending: Sending): Batch | 'wait' | 'close';
  /** Whether it may connect once more after an attempt that failed: max-connect-rate counts that, too. */
  connectAgain(sending: Sending): boolean;
  /** Every recipient has been named, and the content follows. */
  contentBegins(batch: Batch, transaction: DeliveryTransaction): void;
  held(batch: Batch): HeldMessage | undefined;
  load(batch: Batch): Promise<HeldMessage | SpoolReadFailure>;
  unreadable(batch: Batch, failure: SpoolReadFailure): void;
  /** Its connection went before it was tried. */
  returned(batch: Batch): void;
  settled(
    batch: Batch,
    message: HeldMessage,
    results: readonly RecipientResult[],
    transaction: DeliveryTransaction,
    remote: RemoteFacts,
  ): void;
  /** Something happened: the scheduler may have more to start. */
  changed(): void;
}

interface Carried {
  readonly batch: Batch;
  readonly message: HeldMessage;
}

/**
 * One delivery connection of one queue: finds an endpoint that answers, then carries batch after batch.
 * What comes of it is told to `setup`; nothing is decided here.
 */
export class Sending implements ConnectionOwner, Outgoing {
  readonly queue: QueueName;
  readonly #setup: SendingSetup;
  readonly #settings: EffectiveDomainSettings;
  readonly #sourceHost: SourceHost;
  #plan: readonly PlannedEndpoint[] = [];
  #nextEndpoint = 0;
  /** The attempt under way, or the last one. */
  #connection: DeliveryConnection | undefined;
  readonly #carried = new Map<DeliveryTransaction, Carried>();
  /** A batch whose content is being read from the spool. */
  #loading: Batch | undefined;
  /** `handedOver`: somebody else has its slot now. */
  #state: 'opening' | 'open' | 'over' | 'handedOver' = 'opening';
  #wasOpened = false;
  /** No endpoint is tried any more. */
  #isStopped = false;
  #messages = 0;
  /** Since when it waits for mail; undefined while it does not. */
  #idleSinceMs: number | undefined;
  /** Some recipient got a final answer on this connection. */
  #wasUseful = false;
  /** bounce-queue was asked for by a reply to the transaction that is settled next. */
  #bounce: LocalCause | undefined;
  /** Every host that was tried greeted with a 5yz. */
  #isRefusedByAll = true;

  constructor(setup: SendingSetup, queue: QueueName, sourceHost: SourceHost) {
    this.#setup = setup;
    this.queue = queue;
    this.#sourceHost = sourceHost;
    const { domain, vmta } = splitQueueName(queue);
    this.#settings = setup.settingsFor(domain, vmta);
  }

  get isOpening(): boolean {
    return this.#state === 'opening';
  }

  get isIdle(): boolean {
    return this.#idleSinceMs !== undefined;
  }

  /** `turn` gives round robin over the next hops. */
  async start(turn: number): Promise<void> {
    const route = await this.#setup.route(this, this.#sourceHost.localAddress);
    if (this.#state === 'over') return;
    if (route.trouble !== undefined) {
      this.#state = 'over';
      this.#setup.unroutable(this, route.trouble);
      return;
    }
    const planned = endpointsOf(route, turn, this.#settings.mxConnectionAttempts.value);
    const { endpoints, cause } = this.#setup.reactions.usable(this.queue, planned);
    this.#plan = endpoints;
    if (cause === undefined) this.#connect(this.#plan[this.#nextEndpoint++]!, false);
    else this.#giveUp(cause.status, cause.diagnostic);
  }

  /** There may be mail for an idle connection. */
  offer(): void {
    if (!this.isIdle) return;
    this.#idleSinceMs = undefined;
    this.#connection!.run((session) => this.#takeNext(session));
  }

  quit(): void {
    this.#idleSinceMs = undefined;
    this.#connection?.run((session, nowMs) => session.quit(nowMs));
  }

  tick(nowMs: number): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.tick(nowMs);
    if (this.#idleSinceMs === undefined) return;
    // While the last content still waits for its reply the connection is in use.
    if (!connection.session.idle) this.#idleSinceMs = nowMs;
    else if (nowMs - this.#idleSinceMs >= this.#settings.connectionIdleTimeoutMs.value) this.quit();
  }

  /** Drops it; what it carried goes back. */
  abort(): void {
    this.#isStopped = true;
    if (this.#connection === undefined) this.#giveUp('4.4.1', 'stopped');
    else this.#connection.abort();
  }

  #connect(endpoint: PlannedEndpoint, isPlain: boolean): void {
    const { clock, net } = this.#setup;
    const replies = this.#setup.replies.settingsOf(this.#settings);
    const target = { endpoint, sourceHost: this.#sourceHost, settings: this.#settings, isPlain, replies };
    this.#connection = new DeliveryConnection(clock, net, target, this);
  }

  entered(): void {
    const [oldest] = this.#carried.values();
    if (oldest !== undefined) this.#setup.guard.enter(oldest.batch.id);
  }

  left(hasActed: boolean): void {
    if (hasActed) this.#setup.changed();
    this.#setup.guard.leave();
  }

  /** Of the transaction that was handed over last: the next one waits for this. */
  contentBegins(): void {
    const last = [...this.#carried].at(-1);
    if (last !== undefined) this.#setup.contentBegins(last[1].batch, last[0]);
  }

  ready(session: ClientSession): readonly ClientEffect[] {
    if (this.#state === 'opening') {
      this.#state = 'open';
      this.#wasOpened = true;
      this.#setup.opened(this);
    }
    return this.#takeNext(session);
  }

  /** The next batch of the queue, if any: what the session says to it. */
  #takeNext(session: ClientSession): readonly ClientEffect[] {
    const nowMs = this.#setup.clock.monotonicMs();
    const limit = this.#settings.maxMsgPerConnection.value;
    const taken = limit > 0 && this.#messages >= limit ? 'close' : this.#setup.take(this);
    if (taken === 'close') return session.quit(nowMs);
    if (taken === 'wait') {
      this.#idleSinceMs = nowMs;
      return [];
    }
    this.#messages += 1;
    const message = this.#setup.held(taken);
    if (message !== undefined) return this.#deliver(session, taken, message);
    this.#load(taken);
    return [];
  }

  /** The content is on disk only; the connection waits for it. */
  #load(batch: Batch): void {
    this.#loading = batch;
    void this.#setup.load(batch).then((message) => {
      if (this.#loading !== batch) return;
      this.#loading = undefined;
      const isRead = 'envelope' in message;
      if (!isRead) this.#setup.unreadable(batch, message);
      this.#connection!.run((session) =>
        isRead ? this.#deliver(session, batch, message) : this.#takeNext(session),
      );
    });
  }

  #deliver(session: ClientSession, batch: Batch, message: HeldMessage): readonly ClientEffect[] {
    const { envelope, content } = message;
    const transaction: DeliveryTransaction = {
      reversePath: envelope.reversePath,
      recipients: batch.recipientIndexes.map((index) => ({
        index,
        forwardPath: envelope.recipients[index]!.forwardPath,
      })),
      content,
      wireForm: envelope.wireForm,
      smtpUtf8: envelope.smtpUtf8,
      eightBit: envelope.eightBit,
    };
    this.#carried.set(transaction, { batch, message });
    this.#setup.guard.enter(batch.id);
    return session.deliver(transaction, this.#setup.clock.monotonicMs());
  }

  settled({ transaction, results, mailDeferred }: Extract<ClientEffect, { kind: 'settled' }>): void {
    const carried = this.#carried.get(transaction)!;
    this.#carried.delete(transaction);
    if (results.some(({ kind }) => kind === 'delivered' || kind === 'failed')) this.#wasUseful = true;
    const bounce = this.#bounce;
    this.#bounce = undefined;
    const outcome =
      bounce === undefined
        ? results
        : results.map((one) => (one.kind === 'deferred' ? bouncedBy(one.index, bounce) : one));
    this.#setup.settled(carried.batch, carried.message, outcome, transaction, this.#connection!.remote);
    // The next message would meet the same answer: the queue as a whole waits (powermta f).
    if (mailDeferred) this.#failed(results.find(({ kind }) => kind === 'deferred')!);
  }

  judged(judged: Judged): void {
    const { localAddress } = this.#sourceHost;
    if (judged.judgement.actions.bounceQueue) this.#bounce = bounceQueueCause(judged);
    const remote = this.#connection!.remote;
    this.#setup.reactions.judged({ queue: this.queue, localAddress, remote }, judged);
  }

  /** On to the next endpoint while none was ever ready, or out. */
  over(failure: ConnectionFailure | undefined): void {
    const isSkipped = failure?.kind === 'mxSkipped';
    if (isSkipped) this.#setup.reactions.mxSkipped(this.queue, this.#connection!.target.endpoint, failure);
    this.#isRefusedByAll &&= failure?.during === 'greeting' && failure.permanent;
    if (this.#state === 'opening') {
      if (this.#tryAgain(failure)) return;
      if (failure !== undefined && this.#isRefusedByAll && this.#settings.bounceUpon5xxGreeting.value) {
        const { status, diagnostic } = failure;
        this.#state = 'handedOver';
        this.#setup.greetingRefused(this, { status, diagnostic, remote: this.#connection!.remote });
        return;
      }
      this.#giveUp(failure?.status ?? '4.4.1', failure?.diagnostic ?? 'no connection');
      return;
    }
    // One that broke before anything was settled on it says the same as one that never came.
    const isFault = failure !== undefined && failure.during !== 'idle' && failure.during !== 'quit';
    if (isFault && !this.#wasUseful && !isSkipped) this.#failed(failure);
    this.#over();
  }

  /** Where TLS failed, in the clear, unless that is ruled out; or at the next endpoint. */
  #tryAgain(failure: ConnectionFailure | undefined): boolean {
    const { endpoint, isPlain } = this.#connection!.target;
    const mayBePlain = failure?.kind === 'tlsFailed' && !isPlain && !this.#settings.requireStarttls.value;
    const next = mayBePlain ? endpoint : this.#plan[this.#nextEndpoint];
    if (this.#isStopped || next === undefined || !this.#setup.connectAgain(this)) return false;
    if (!mayBePlain) this.#nextEndpoint += 1;
    this.#connect(next, mayBePlain);
    return true;
  }

  gone(connection: DeliveryConnection): void {
    if (this.#state === 'over' && connection === this.#connection) this.#leave();
  }

  #giveUp(status: string, diagnostic: string): void {
    this.#failed({ status, diagnostic });
    this.#over();
  }

  #failed({ status, diagnostic }: LocalCause): void {
    this.#setup.failed(this, { status, diagnostic, remote: this.#connection?.remote });
  }

  #over(): void {
    this.#state = 'over';
    this.#idleSinceMs = undefined;
    const loading = this.#loading;
    this.#loading = undefined;
    if (loading !== undefined) this.#setup.returned(loading);
    this.#leave();
  }

  /** The remote counts this connection until it is closed: before, its slot is not free. */
  #leave(): void {
    if (this.#connection?.isGone ?? true) this.#setup.closed(this, this.#wasOpened);
  }

  log(event: string, fields: Readonly<Record<string, unknown>>): void {
    this.#setup.log.write('info', event, { queue: this.queue, ...fields });
  }
}
