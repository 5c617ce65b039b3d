import type { Access, ConnectAllowed, ConnectRefused, ConnectReset } from '../access/access.ts';
import type { Clock, Connection, ConnectionEvents, Log } from '../base/ports.ts';
import { admit, type ListenerPlan } from '../listener/listenerPlan.ts';
import { replies } from '../protocol/replies.ts';
import { type Reply, replyText } from '../protocol/reply.ts';
import type { SessionPolicy } from '../session/commands.ts';
import {
  type ReceivedMessage,
  ServerSession,
  type SessionEffect,
  type StoredAnswer,
} from '../session/serverSession.ts';
import { logText } from './logText.ts';

/** Who hands over a message: what the envelope and the trace header say of it. */
export interface Injector {
  readonly listenerIndex: number;
  readonly connection: Connection;
  readonly allowed: ConnectAllowed;
}

/** What the receptions need of the engine. */
export interface ReceptionSetup {
  readonly clock: Clock;
  readonly log: Log;
  readonly access: Access;
  readonly plan: ListenerPlan;
  readonly hostName: string;
  /** Bytes put into the spool and not yet on disk. */
  pendingBytes(): number;
  /** The disk has no room for new mail. */
  isFull(): boolean;
  /** Stores the message and answers once, now or later. */
  store(message: ReceivedMessage, injector: Injector, answer: (stored: StoredAnswer) => void): void;
}

export interface ListenerCounts {
  connections: number;
  acceptedTotal: number;
  refusedTotal: number;
  messagesTotal: number;
}

/** Content and input held for all clients together, and what waits for the disk: over it MAIL gets 452. */
const receptionBudgetBytes = 256 * 1024 * 1024;
/** One client's held input over which its socket is not read while a message is being stored. */
const backlogMaxBytes = 256 * 1024;
const refusalsLoggedPerSecond = 10;
/** Replies a client has not read, over which we stop reading it. */
const unreadRepliesMaxBytes = 64 * 1024;

/** How long a connection we have ended may stay half open. */
const lingerMs = 5000;

const encoder = new TextEncoder();

/** The inbound side of an engine: every connection of every listener. */
export class Receptions {
  readonly setup: ReceptionSetup;
  readonly counts: readonly ListenerCounts[];
  readonly #open = new Set<Reception>();
  #beingRefused = 0;
  #heldBytes = 0;
  #shuttingDown = false;
  #refusalSecond = 0;
  #refusalsLogged = 0;

  constructor(setup: ReceptionSetup) {
    this.setup = setup;
    this.counts = setup.plan.endpoints.map(() => ({
      connections: 0,
      acceptedTotal: 0,
      refusedTotal: 0,
      messagesTotal: 0,
    }));
  }

  get open(): number {
    return this.#open.size;
  }

  /** What each client may hold whatever the others do: giving it up would free next to nothing. */
  get fairBytes(): number {
    return receptionBudgetBytes / (2 * Math.max(1, this.#open.size));
  }

  get isShort(): boolean {
    return this.#heldBytes + this.setup.pendingBytes() > receptionBudgetBytes;
  }

  /** The access decision comes before a byte is sent; then the slots; then the greeting. */
  accept(listenerIndex: number, connection: Connection): ConnectionEvents {
    const { access, plan } = this.setup;
    const counts = this.counts[listenerIndex]!;
    const verdict = access.connect({ clientAddress: connection.remote.address, listenerIndex });
    if (verdict.kind === 'reset') {
      counts.refusedTotal += 1;
      this.#logRefusal('listener.reset', connection, verdict);
      connection.reset();
      return silent;
    }
    if (verdict.kind === 'refused') {
      this.#logRefusal('listener.refused', connection, verdict);
      return this.#refuse(connection, counts, verdict.reply);
    }
    const sessions = this.counts.map(({ connections }) => connections);
    const admission = this.#shuttingDown
      ? ({ kind: 'busy', reply: replies.shuttingDown } as const)
      : admit(plan, listenerIndex, sessions, this.#beingRefused);
    if (admission.kind === 'busy') return this.#refuse(connection, counts, admission.reply);
    if (admission.kind === 'reset') {
      counts.refusedTotal += 1;
      connection.reset();
      return silent;
    }
    counts.acceptedTotal += 1;
    counts.connections += 1;
    const reception = new Reception(this, counts, { listenerIndex, connection, allowed: verdict });
    this.#open.add(reception);
    reception.greet();
    return reception;
  }

  /** Closes who is past a deadline. */
  tick(nowMs: number): void {
    for (const reception of this.#open) reception.tick(nowMs);
  }

  /** 421 to everybody; a message on its way is finished first. */
  shutDown(): void {
    this.#shuttingDown = true;
    for (const reception of this.#open) reception.shutDown();
  }

  /** Drops whoever is still there. */
  resetAll(): void {
    for (const reception of this.#open) reception.connection.reset();
  }

  held(byBytes: number): void {
    this.#heldBytes += byBytes;
  }

  gone(reception: Reception, counts: ListenerCounts): void {
    if (this.#open.delete(reception)) counts.connections -= 1;
  }

  /** A few a second: a scan must not fill the log's disk. `refusedTotal` counts them all. */
  #logRefusal(
    event: string,
    connection: Connection,
    { reason, decidedBy }: ConnectReset | ConnectRefused,
  ): void {
    const second = Math.floor(this.setup.clock.monotonicMs() / 1000);
    if (second !== this.#refusalSecond) {
      this.#refusalSecond = second;
      this.#refusalsLogged = 0;
    }
    this.#refusalsLogged += 1;
    if (this.#refusalsLogged > refusalsLoggedPerSecond) return;
    this.setup.log.write('info', event, {
      client: connection.remote.address,
      reason,
      line: decidedBy?.line,
      more: this.#refusalsLogged === refusalsLoggedPerSecond ? 'not logged this second' : undefined,
    });
  }

  #refuse(connection: Connection, counts: ListenerCounts, reply: Reply): ConnectionEvents {
    counts.refusedTotal += 1;
    this.#beingRefused += 1;
    connection.write([encoder.encode(replyText(reply))]);
    connection.end();
    // Its owner is gone with the reply; who does not close soon is dropped.
    const timer = this.setup.clock.after(lingerMs, () => connection.reset());
    return {
      ...silent,
      closed: () => {
        timer.cancel();
        this.#beingRefused -= 1;
      },
    };
  }
}

const silent: ConnectionEvents = {
  received: () => undefined,
  ended: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
};

/** One client: its session, its socket, and nothing decided here. */
class Reception implements ConnectionEvents {
  readonly connection: Connection;
  readonly #receptions: Receptions;
  readonly #counts: ListenerCounts;
  readonly #injector: Injector;
  readonly #session: ServerSession;
  readonly #logsCommands: boolean;
  #heldBytes = 0;
  #paused = false;
  #turnIsDue = false;
  #over = false;
  #clientEnded = false;
  #closingSinceMs: number | undefined;

  constructor(receptions: Receptions, counts: ListenerCounts, injector: Injector) {
    this.#receptions = receptions;
    this.#counts = counts;
    this.#injector = injector;
    this.connection = injector.connection;
    this.#logsCommands = injector.allowed.effective.logCommands.value;
    this.#session = new ServerSession(policyOf(receptions, injector), receptions.setup.clock.monotonicMs());
  }

  greet(): void {
    if (this.#injector.allowed.effective.logConnections.value) this.#log('listener.connected');
    this.#apply(this.#session.start());
  }

  received(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#apply(this.#session.received(bytes, this.#nowMs()));
  }

  ended(): void {
    this.#clientEnded = true;
    this.#endIfDone();
  }

  drained(): void {
    this.#review();
  }

  closed(error: string | undefined): void {
    this.#over = true;
    this.#receptions.held(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#receptions.gone(this, this.#counts);
    if (this.#injector.allowed.effective.logConnections.value) this.#log('listener.disconnected', { error });
  }

  tick(nowMs: number): void {
    if (this.#closingSinceMs !== undefined) {
      // A client that never closes its side is dropped.
      if (nowMs - this.#closingSinceMs > lingerMs) this.connection.reset();
    } else if (this.#session.deadlineMs <= nowMs) this.#apply(this.#session.tick(nowMs));
    else if (this.connection.unsentBytes() > 0) this.#review();
  }

  shutDown(): void {
    this.#apply(this.#session.shutDown(this.#nowMs()));
  }

  #apply(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#send(effect.bytes);
      else if (effect.kind === 'command') this.#log('session.command', { line: effect.line });
      else if (effect.kind === 'message') this.#store(effect.message);
      else this.#close();
    }
    this.#review();
    if (this.#clientEnded) this.#endIfDone();
  }

  #close(): void {
    this.#closingSinceMs = this.#nowMs();
    this.connection.end();
  }

  /** The client will not send any more; what it sent is still carried out and answered. */
  #endIfDone(): void {
    const isDone = !this.#isStoring && !this.#session.hasInput;
    if (isDone && this.#closingSinceMs === undefined) this.#close();
  }

  get #isStoring(): boolean {
    return this.#closingSinceMs === undefined && this.#session.deadlineMs === Number.POSITIVE_INFINITY;
  }

  #send(bytes: Uint8Array): void {
    if (this.#logsCommands) this.#log('session.reply', { text: logText([bytes]) });
    this.connection.write([bytes]);
  }

  #store(message: ReceivedMessage): void {
    this.#counts.messagesTotal += 1;
    if (this.#injector.allowed.effective.logData.value) {
      this.#log('session.data', { text: logText(message.chunks) });
    }
    this.#receptions.setup.store(message, this.#injector, (answer) => {
      // The client may have gone; what it handed over is kept all the same.
      if (!this.#over) this.#apply(this.#session.stored(answer, this.#nowMs()));
    });
  }

  /** Budgets, and whether this socket is read on. */
  #review(): void {
    if (this.#over) return;
    const heldBytes = this.#session.heldBytes;
    this.#receptions.held(heldBytes - this.#heldBytes);
    this.#heldBytes = heldBytes;
    if (heldBytes > this.#receptions.fairBytes && this.#receptions.isShort) {
      this.#session.shed();
      this.#receptions.held(this.#session.heldBytes - heldBytes);
      this.#heldBytes = this.#session.heldBytes;
    }
    const isUnread = this.connection.unsentBytes() > unreadRepliesMaxBytes;
    const waits = this.#session.hasInput;
    if (waits && !isUnread) this.#askForTurn();
    const pause = isUnread || ((waits || this.#isStoring) && heldBytes > backlogMaxBytes);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.connection.pause();
    else this.connection.resume();
  }

  /** Behind the events at hand, so that a client with much to say does not keep the others waiting. */
  #askForTurn(): void {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    this.#receptions.setup.clock.soon(() => {
      this.#turnIsDue = false;
      if (!this.#over) this.#apply(this.#session.goOn(this.#nowMs()));
    });
  }

  #nowMs(): number {
    return this.#receptions.setup.clock.monotonicMs();
  }

  #log(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { remote, local } = this.connection;
    this.#receptions.setup.log.write('info', event, {
      client: `${remote.address}:${remote.port}`,
      listener: `${local.address}:${local.port}`,
      ...fields,
    });
  }
}

function policyOf(receptions: Receptions, { allowed, connection }: Injector): SessionPolicy {
  const { effective } = allowed;
  const { access, hostName } = receptions.setup;
  return {
    hostName,
    maxMessageSizeBytes: effective.maxMessageSizeBytes.value,
    maxRecipients: effective.maxRcptPerMessage.value,
    maxMessageHops: effective.maxMessageHops.value,
    allowChunking: effective.allowChunking.value,
    allowSmtputf8: effective.allowSmtputf8.value,
    commandTimeoutMs: effective.smtpCommandTimeoutMs.value,
    dataTimeoutMs: effective.smtpDataTimeoutMs.value,
    tellsCommands: effective.logCommands.value,
    judgeRecipient: (path) => {
      const verdict = access.recipient(allowed, path);
      return verdict.kind === 'accepted' ? undefined : verdict.reply;
    },
    judgeSender: () => (receptions.isShort || receptions.setup.isFull() ? replies.outOfSpace : undefined),
    mayAnswer: () => connection.unsentBytes() <= unreadRepliesMaxBytes,
  };
}
