/**
 * The receiver of the embedded default: a mail host on loopback that accepts everything, says so like
 * an ISP, keeps nothing and counts. Penstock's own server session over a port, so it tests it, too.
 */
import type { Clock, Connection, ConnectionEvents, Endpoint, Net, Timer } from '../base/ports.ts';
import type { SessionPolicy } from '../session/commands.ts';
import { ServerSession, type SessionEffect } from '../session/serverSession.ts';

export interface BuiltInReceiver {
  readonly at: Endpoint;
  /** So far, since the start. */
  readonly counts: { readonly messages: number; readonly recipients: number; readonly bytes: number };
  /** Stops accepting and drops the open connections. */
  close(): Promise<void>;
}

interface Counts {
  messages: number;
  recipients: number;
  bytes: number;
}

const policy: Omit<SessionPolicy, 'mayAnswer'> = {
  hostName: 'mx.penstock.test',
  maxMessageSizeBytes: 50_000_000,
  maxRecipients: 0,
  maxMessageHops: 100,
  allowChunking: false,
  allowSmtputf8: true,
  commandTimeoutMs: 300_000,
  dataTimeoutMs: 300_000,
  tellsCommands: false,
  judgeRecipient: () => undefined,
  judgeSender: () => undefined,
};

/** Rejects as `Net.listen` does. */
export async function startBuiltInReceiver(net: Net, clock: Clock, at: Endpoint): Promise<BuiltInReceiver> {
  const counts: Counts = { messages: 0, recipients: 0, bytes: 0 };
  const open = new Set<Connection>();
  const listening = await net.listen(at, (connection) => {
    open.add(connection);
    return new Reception(connection, clock, counts, () => open.delete(connection));
  });
  return {
    at: listening.at,
    counts,
    async close() {
      await listening.close();
      for (const connection of open) connection.reset();
    },
  };
}

class Reception implements ConnectionEvents {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #counts: Counts;
  readonly #gone: () => void;
  readonly #session: ServerSession;
  #deadline: Timer | undefined;
  #clientEnded = false;
  #over = false;

  constructor(connection: Connection, clock: Clock, counts: Counts, gone: () => void) {
    this.#connection = connection;
    this.#clock = clock;
    this.#counts = counts;
    this.#gone = gone;
    const mayAnswer = (): boolean => connection.unsentBytes() === 0;
    this.#session = new ServerSession({ ...policy, mayAnswer }, clock.monotonicMs());
    this.#apply(this.#session.start());
    this.#watch();
  }

  received(bytes: Uint8Array): void {
    this.#apply(this.#session.received(bytes, this.#clock.monotonicMs()));
    this.#review();
  }

  drained(): void {
    this.#connection.resume();
    this.#review();
  }

  ended(): void {
    this.#clientEnded = true;
    this.#review();
  }

  closed(): void {
    this.#over = true;
    this.#deadline?.cancel();
    this.#gone();
  }

  #apply(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#connection.write([effect.bytes]);
      else if (effect.kind === 'close') this.#connection.end();
      else if (effect.kind === 'message') {
        const { recipients, sizeBytes } = effect.message;
        const id = `r${++this.#counts.messages}`;
        this.#counts.recipients += recipients.length;
        this.#counts.bytes += sizeBytes;
        this.#apply(this.#session.stored({ ok: true, id }, this.#clock.monotonicMs()));
      }
    }
  }

  /** A client that does not read its replies is not read either. */
  #review(): void {
    if (this.#over) return;
    if (this.#connection.unsentBytes() > 0) this.#connection.pause();
    else if (this.#session.hasInput) this.#clock.soon(() => this.#goOn());
    else if (this.#clientEnded) this.#connection.end();
  }

  #goOn(): void {
    if (this.#over) return;
    this.#apply(this.#session.goOn(this.#clock.monotonicMs()));
    this.#review();
  }

  /** One timer a connection: it looks again when the session's deadline, which only moves on, has come. */
  #watch(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#apply(this.#session.tick(nowMs));
    const { deadlineMs } = this.#session;
    if (deadlineMs === Number.POSITIVE_INFINITY) return;
    this.#deadline = this.#clock.after(Math.max(deadlineMs - nowMs, 0), () => this.#watch());
  }
}
