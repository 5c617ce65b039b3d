import type { Clock, Connection, ConnectionEvents, Net, PendingConnection, Timer } from '../base/ports.ts';
import type { ClientEffect, ConnectionFailure } from '../delivery/clientEffect.ts';
import { ClientSession } from '../delivery/clientSession.ts';
import type { RemoteFacts } from '../delivery/outcome.ts';
import { clientSettings, type DeliveryTarget, tlsOptions } from './clientSettings.ts';
import { logText } from './logText.ts';
import type { Judged } from './replyReactions.ts';

/** What a connection tells its owner, and asks of it. */
export interface ConnectionOwner {
  /** Something happens, or has happened, on the connection. */
  entered(): void;
  left(hasActed: boolean): void;
  /** The session may carry another transaction: what it says to the next one, if there is one. */
  ready(session: ClientSession): readonly ClientEffect[];
  contentBegins(): void;
  settled(settled: Extract<ClientEffect, { kind: 'settled' }>): void;
  judged(judged: Judged): void;
  /** The dialogue is over, with a failure or in good order; the socket may take a while. */
  over(failure: ConnectionFailure | undefined): void;
  /** The socket of a dialogue that is over is gone. */
  gone(connection: DeliveryConnection): void;
  log(event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** How long a peer may leave its side open after the dialogue. */
const lingerMs = 2_000;

/** One attempt at one endpoint: a socket, and the session that talks over it. */
export class DeliveryConnection implements ConnectionEvents {
  readonly target: DeliveryTarget;
  readonly session: ClientSession;
  readonly #clock: Clock;
  readonly #owner: ConnectionOwner;
  readonly #pending: PendingConnection;
  #connection: Connection | undefined;
  #linger: Timer | undefined;
  #failure: ConnectionFailure | undefined;
  #isOver = false;
  /** There is no socket, not yet or not any more. */
  #isGone = true;

  constructor(clock: Clock, net: Net, target: DeliveryTarget, owner: ConnectionOwner) {
    const { endpoint, sourceHost } = target;
    this.#clock = clock;
    this.target = target;
    this.#owner = owner;
    this.session = new ClientSession(clientSettings(target), clock.monotonicMs());
    const how = { remote: endpoint, localAddress: sourceHost.localAddress };
    this.#pending = net.connect(how, (connection) => this.#opened(connection), this);
  }

  /** Its socket holds no slot at the remote any more. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get remote(): RemoteFacts {
    const { host, address } = this.target.endpoint;
    return {
      host,
      address,
      dlvSourceIp: this.#connection?.local.address ?? '0.0.0.0',
      esmtpAvailable: this.session.esmtpAvailable,
    };
  }

  /** Feeds the session and carries out what comes of it; what it sends leaves in as few writes as it may. */
  run(feed: (session: ClientSession, nowMs: number) => readonly ClientEffect[]): void {
    if (this.#isOver) return;
    this.#owner.entered();
    const effects = feed(this.session, this.#clock.monotonicMs());
    if (effects.length > 0) this.#apply([...effects]);
    this.#owner.left(effects.length > 0);
  }

  tick(nowMs: number): void {
    const { session } = this;
    if (session.deadlineMs > nowMs && !session.isSending) return;
    this.run(() => session.tick(nowMs, this.#connection?.unsentBytes() ?? 0));
  }

  /** Drops it; what it carried goes back. */
  abort(): void {
    this.#connection?.reset();
    this.run((session, nowMs) => session.lost('ECONNABORTED', nowMs));
  }

  received(bytes: Uint8Array): void {
    if (this.#isOver) return;
    if (this.target.settings.logCommands.value) this.#log('delivery.reply', { text: logText([bytes]) });
    const heldBytes = this.#connection?.unsentBytes() ?? 0;
    this.run((session, nowMs) => session.received(bytes, nowMs, heldBytes));
  }

  ended(): void {
    this.run((session, nowMs) => session.ended(nowMs));
  }

  drained(): void {
    this.session.drained(this.#clock.monotonicMs());
  }

  closed(error: string | undefined): void {
    this.#linger?.cancel();
    this.#isGone = true;
    if (this.#isOver) this.#owner.gone(this);
    else this.run((session, nowMs) => session.lost(error, nowMs));
  }

  #opened(connection: Connection): void {
    this.#connection = connection;
    this.#isGone = false;
    if (this.target.settings.logConnections.value) this.#log('delivery.connected');
    this.run((session, nowMs) => session.opened(nowMs));
  }

  #apply(effects: ClientEffect[]): void {
    let chunks: Uint8Array[] = [];
    const write = (): void => {
      if (chunks.length > 0) this.#connection?.write(chunks);
      chunks = [];
    };
    // It grows: what the session says to the next transaction leaves in the same write.
    for (const effect of effects) {
      if (effect.kind === 'send') {
        chunks.push(...effect.chunks);
        if (effect.of === 'content') this.#owner.contentBegins();
        this.#logSent(effect);
        if (effect.endsWrite) write();
      } else if (effect.kind === 'settled') this.#owner.settled(effect);
      else if (effect.kind === 'judged') this.#owner.judged(effect);
      else if (effect.kind === 'ready') effects.push(...this.#owner.ready(this.session));
      else if (effect.kind === 'startTls') this.#startTls();
      else if (effect.kind === 'failed') this.#failure = effect.failure;
      else {
        write();
        this.#finish();
      }
    }
    write();
  }

  #startTls(): void {
    const { settings, endpoint } = this.target;
    this.#connection?.startTls(tlsOptions(settings, endpoint), (tls) => {
      if (settings.logTls.value) this.#log('delivery.secured', { ...tls });
      this.run((session, nowMs) => session.secured(tls, nowMs));
    });
  }

  #finish(): void {
    const connection = this.#connection;
    const failure = this.#failure;
    const { logConnections, logTls } = this.target.settings;
    this.#isOver = true;
    this.#pending.abandon();
    // Who did not answer in time will not take part in an orderly end either; and what has not left is
    // of a message that goes out again.
    const isUnsent = failure !== undefined && (connection?.unsentBytes() ?? 0) > 0;
    const isAbrupt = failure?.kind === 'timedOut' || failure?.kind === 'tlsFailed' || isUnsent;
    if (isAbrupt) connection?.reset();
    else connection?.end();
    // A peer that never closes its side is dropped after a while.
    if (connection !== undefined && !this.#isGone) {
      this.#linger = this.#clock.after(lingerMs, () => connection.reset());
    }
    if (failure?.kind === 'tlsFailed' && logTls.value) this.#log('delivery.tlsFailed', { failure });
    if (connection !== undefined && logConnections.value) this.#log('delivery.disconnected', { failure });
    this.#owner.over(failure);
  }

  #logSent({ of, chunks }: Extract<ClientEffect, { kind: 'send' }>): void {
    const { logCommands, logData } = this.target.settings;
    if (of === 'commands' ? logCommands.value : logData.value) {
      this.#log(`delivery.${of}`, { text: logText(chunks) });
    }
  }

  #log(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { host, address, port } = this.target.endpoint;
    this.#owner.log(event, { host, address, port, from: this.#connection?.local.address, ...fields });
  }
}
