import type {
  Clock,
  Connection,
  ConnectionEvents,
  Log,
  Net,
  PendingConnection,
  Timer,
} from '../base/ports.ts';
import type { DomainSettingsLookup, EffectiveDomainSettings } from '../config/domainSettings.ts';
import type { ClientEffect, ConnectionFailure } from '../delivery/clientEffect.ts';
import { ClientSession } from '../delivery/clientSession.ts';
import type { DeliveryTransaction, RecipientResult } from '../delivery/deliveryTransaction.ts';
import type { NoRoute } from '../delivery/mxSet.ts';
import type { LocalCause, PlannedEndpoint } from '../delivery/nextHop.ts';
import type { RemoteFacts } from '../delivery/outcome.ts';
import { type QueueName, splitQueueName } from '../message/names.ts';
import type { Batch } from '../queue/schedule.ts';
import type { SourceHost } from '../routing/routing.ts';
import type { SpoolReadFailure } from '../spool/spool.ts';
import type { HeldMessage } from './heldContent.ts';
import { logText } from './logText.ts';
import type { Outgoing } from './outgoing.ts';
import type { PoisonGuard } from './poisonGuard.ts';
import { endpointsOf, type Route } from './routes.ts';

export interface SendingPorts {
  readonly clock: Clock;
  readonly net: Net;
  readonly log: Log;
}

/** What one connection needs of all of them. */
export interface SendingSetup extends SendingPorts {
  readonly settingsFor: DomainSettingsLookup;
  readonly guard: PoisonGuard;
  /** Where its mail goes; never rejects. */
  route(sending: Sending, localAddress: string | undefined): Promise<Route>;
  /** Instead of `opened` and `closed`: there is nobody to connect to. */
  unroutable(sending: Sending, cause: NoRoute): void;
  opened(sending: Sending): void;
  /** The queue as a whole is to blame: no connection, or MAIL was deferred. */
  failed(sending: Sending, cause: LocalCause): void;
  /** Its slot is free; `wasOpened`: after `opened`. */
  closed(sending: Sending, wasOpened: boolean): void;
  take(sending: Sending): Batch | 'wait' | 'close';
  /** Whether it may try another endpoint after one that failed: max-connect-rate counts that, too. */
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

/** RFC 5321 section 4.5.3.2: PowerMTA has no directive for it. */
const commandTimeoutMs = 300_000;

interface Carried {
  readonly batch: Batch;
  readonly message: HeldMessage;
}

/**
 * One delivery connection of one queue: finds an endpoint that answers, then carries batch after batch.
 * What comes of it is told to `setup`; nothing is decided here.
 */
export class Sending implements ConnectionEvents, Outgoing {
  readonly queue: QueueName;
  readonly #setup: SendingSetup;
  readonly #settings: EffectiveDomainSettings;
  #sourceHost: SourceHost;
  #plan: readonly PlannedEndpoint[] = [];
  #nextEndpoint = 0;
  #endpoint: PlannedEndpoint | undefined;
  #session: ClientSession | undefined;
  #pending: PendingConnection | undefined;
  #connection: Connection | undefined;
  /** Whether the socket of `#connection` is gone; `timer` runs while it is closing. */
  #socket: { isGone: boolean; timer?: Timer } = { isGone: true };
  readonly #carried = new Map<DeliveryTransaction, Carried>();
  /** A batch whose content is being read from the spool. */
  #loading: Batch | undefined;
  #state: 'opening' | 'open' | 'over' = 'opening';
  #wasOpened = false;
  #messages = 0;
  /** Since when it waits for mail; undefined while it does not. */
  #idleSinceMs: number | undefined;
  #failure: ConnectionFailure | undefined;
  /** Some recipient got a final answer on this connection. */
  #wasUseful = false;

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
    this.#plan = endpointsOf(route, turn, this.#settings.mxConnectionAttempts.value);
    this.#tryNext();
  }

  /** There may be mail for an idle connection. */
  offer(): void {
    if (!this.isIdle) return;
    this.#idleSinceMs = undefined;
    this.#run(() => this.#takeNext());
  }

  quit(): void {
    this.#idleSinceMs = undefined;
    this.#run((session, nowMs) => session.quit(nowMs));
  }

  tick(nowMs: number): void {
    const session = this.#session;
    if (session === undefined) return;
    if (session.deadlineMs <= nowMs) {
      this.#run(() => session.tick(nowMs, this.#connection?.unsentBytes() ?? 0));
    } else if (this.#idleSinceMs !== undefined) {
      // While the last content still waits for its reply the connection is in use.
      if (!session.idle) this.#idleSinceMs = nowMs;
      else if (nowMs - this.#idleSinceMs >= this.#settings.connectionIdleTimeoutMs.value) this.quit();
    }
  }

  received(bytes: Uint8Array): void {
    if (this.#settings.logCommands.value) this.#log('delivery.reply', { text: logText([bytes]) });
    const unsentBytes = this.#connection?.unsentBytes() ?? 0;
    this.#run((session, nowMs) => session.received(bytes, nowMs, unsentBytes));
  }

  ended(): void {
    this.#run((session, nowMs) => session.ended(nowMs));
  }

  drained(): void {
    this.#session?.drained(this.#setup.clock.monotonicMs());
  }

  closed(error: string | undefined): void {
    if (this.#state === 'over') this.#leave();
    else this.#run((session, nowMs) => session.lost(error, nowMs));
  }

  /** Drops it; what it carried goes back. */
  abort(): void {
    this.#nextEndpoint = this.#plan.length;
    this.#connection?.reset();
    this.#pending?.abandon();
    if (this.#session === undefined) this.#giveUp('4.4.1', 'stopped');
    this.#run((session, nowMs) => session.lost('ECONNABORTED', nowMs));
  }

  #tryNext(): void {
    const endpoint = this.#plan[this.#nextEndpoint++]!;
    const settings = this.#settings;
    const { clock, net } = this.#setup;
    this.#endpoint = endpoint;
    this.#failure = undefined;
    this.#session = new ClientSession(
      {
        ehloName: this.#sourceHost.ehloName,
        connectTimeoutMs: settings.connectTimeoutMs.value,
        greetingTimeoutMs: settings.smtpGreetingTimeoutMs.value,
        commandTimeoutMs,
        dataSendTimeoutMs: settings.dataSendTimeoutMs.value,
        dataTerminationTimeoutMs: settings.dataTerminationTimeoutMs.value,
        multiLineResponseTimeoutMs: settings.multiLineResponseTimeoutMs.value,
      },
      clock.monotonicMs(),
    );
    const session = this.#session;
    // Each attempt has a listener of its own: events of an attempt that was given up do not count.
    const socket: { isGone: boolean; timer?: Timer } = { isGone: true };
    this.#socket = socket;
    const events: ConnectionEvents = {
      received: (bytes) => this.#session === session && this.received(bytes),
      ended: () => this.#session === session && this.ended(),
      drained: () => this.#session === session && this.drained(),
      closed: (error) => {
        socket.timer?.cancel();
        socket.isGone = true;
        if (this.#session === session) this.closed(error);
      },
    };
    this.#pending = net.connect(
      { remote: endpoint, localAddress: this.#sourceHost.localAddress },
      (connection) => {
        this.#pending = undefined;
        this.#connection = connection;
        socket.isGone = false;
        if (settings.logConnections.value) this.#log('delivery.connected');
        this.#run((opened, nowMs) => opened.opened(nowMs));
      },
      events,
    );
  }

  /** Feeds the session and carries out what comes of it; what it sends leaves in as few writes as it may. */
  #run(feed: (session: ClientSession, nowMs: number) => readonly ClientEffect[]): void {
    const session = this.#session;
    if (session === undefined || this.#state === 'over') return;
    const { guard } = this.#setup;
    const [oldest] = this.#carried.values();
    if (oldest !== undefined) guard.enter(oldest.batch.id);
    const effects = feed(session, this.#setup.clock.monotonicMs());
    if (effects.length > 0) this.#apply(session, [...effects]);
    guard.leave();
  }

  #apply(session: ClientSession, effects: ClientEffect[]): void {
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < effects.length; i++) {
      const effect = effects[i]!;
      if (effect.kind === 'send') {
        chunks.push(...effect.chunks);
        if (effect.of === 'content') this.#contentBegins();
        this.#logSent(effect);
        if (effect.endsWrite) this.#connection?.write(chunks.splice(0));
      } else if (effect.kind === 'settled') this.#settled(effect);
      else if (effect.kind === 'ready') effects.push(...this.#ready());
      else if (effect.kind === 'failed') this.#failure = effect.failure;
      else this.#finish(session, chunks.splice(0));
    }
    if (chunks.length > 0) this.#connection?.write(chunks);
    this.#setup.changed();
  }

  /** Of the transaction that was handed over last: the next one waits for this. */
  #contentBegins(): void {
    const last = [...this.#carried].at(-1);
    if (last !== undefined) this.#setup.contentBegins(last[1].batch, last[0]);
  }

  #ready(): readonly ClientEffect[] {
    if (this.#state === 'opening') {
      this.#state = 'open';
      this.#wasOpened = true;
      this.#setup.opened(this);
    }
    return this.#takeNext();
  }

  /** The next batch of the queue, if any: what the session says to it. */
  #takeNext(): readonly ClientEffect[] {
    const session = this.#session!;
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
      this.#run((session) => (isRead ? this.#deliver(session, batch, message) : this.#takeNext()));
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

  #settled({ transaction, results, mailDeferred }: Extract<ClientEffect, { kind: 'settled' }>): void {
    const carried = this.#carried.get(transaction)!;
    this.#carried.delete(transaction);
    if (results.some(({ kind }) => kind === 'delivered' || kind === 'failed')) this.#wasUseful = true;
    this.#setup.settled(carried.batch, carried.message, results, transaction, this.#remote());
    // The next message would meet the same answer: the queue as a whole waits (powermta f).
    if (mailDeferred) this.#setup.failed(this, results.find(({ kind }) => kind === 'deferred')!);
  }

  #remote(): RemoteFacts {
    return {
      host: this.#endpoint!.host,
      address: this.#endpoint!.address,
      dlvSourceIp: this.#connection?.local.address ?? '0.0.0.0',
      esmtpAvailable: this.#session!.esmtpAvailable,
    };
  }

  /** The session is over: on to the next endpoint while none was ever ready, or out. */
  #finish(session: ClientSession, last: readonly Uint8Array[]): void {
    if (last.length > 0) this.#connection?.write(last);
    this.#pending?.abandon();
    this.#pending = undefined;
    // Who did not answer in time will not take part in an orderly end either; and what has not left is
    // of a message that goes out again.
    const isUnsent = this.#failure !== undefined && (this.#connection?.unsentBytes() ?? 0) > 0;
    if (this.#failure?.kind === 'timedOut' || isUnsent) this.#connection?.reset();
    else this.#connection?.end();
    this.#linger();
    if (this.#connection !== undefined && this.#settings.logConnections.value) {
      this.#log('delivery.disconnected', { failure: this.#failure });
    }
    if (this.#session !== session) return;
    const hasNext = this.#state === 'opening' && this.#nextEndpoint < this.#plan.length;
    if (hasNext && this.#setup.connectAgain(this)) {
      this.#connection = undefined;
      this.#tryNext();
      return;
    }
    const failure = this.#failure;
    if (this.#state === 'opening') {
      this.#giveUp(failure?.status ?? '4.4.1', failure?.diagnostic ?? 'no connection');
      return;
    }
    // One that broke before anything was settled on it says the same as one that never came.
    const isFault = failure !== undefined && failure.during !== 'idle' && failure.during !== 'quit';
    if (isFault && !this.#wasUseful) this.#setup.failed(this, failure);
    this.#over();
  }

  /** A peer that never closes its side is dropped after a while. */
  #linger(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#socket.isGone) return;
    this.#socket.timer = this.#setup.clock.after(lingerMs, () => connection.reset());
  }

  #giveUp(status: string, diagnostic: string): void {
    this.#setup.failed(this, { status, diagnostic });
    this.#over();
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
    if (this.#socket.isGone) this.#setup.closed(this, this.#wasOpened);
  }

  #logSent({ of, chunks }: Extract<ClientEffect, { kind: 'send' }>): void {
    const { logCommands, logData } = this.#settings;
    if (of === 'commands' ? logCommands.value : logData.value) {
      this.#log(`delivery.${of}`, { text: logText(chunks) });
    }
  }

  #log(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { host, address, port } = this.#endpoint!;
    const from = this.#connection?.local.address;
    this.#setup.log.write('info', event, { queue: this.queue, host, address, port, from, ...fields });
  }
}

const lingerMs = 2_000;
