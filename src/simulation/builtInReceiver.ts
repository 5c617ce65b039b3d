/**
 * The receivers of the embedded default and of the demo: mail hosts on loopback that take mail, or judge
 * it as an ISP would, keep nothing and count. Penstock's own server session over a port, so they test it.
 */
import type { Clock, Connection, ConnectionEvents, Endpoint, Net, Timer } from '../base/ports.ts';
import { type Reply, renderReply } from '../protocol/reply.ts';
import type { SessionPolicy } from '../session/commands.ts';
import { type ReceivedMessage, ServerSession, type SessionEffect } from '../session/serverSession.ts';
import { dkimSigners } from './dkimSigners.ts';
import { ReceiverJudge } from './receiverJudge.ts';
import { openPolicy, type ReceiverPolicy } from './receiverPolicy.ts';
import { plainReplies, type ReceiverReplies } from './receiverReplies.ts';

/** How a receiver calls itself, what it judges by, and its words for that. */
export interface ReceiverManner {
  readonly hostName: string;
  readonly policy: ReceiverPolicy;
  readonly replies: ReceiverReplies;
  /** What is drawn follows from it. */
  readonly seed: number;
}

/** Takes all mail. */
export const openReceiver: ReceiverManner = {
  hostName: 'mx.penstock.test',
  policy: openPolicy,
  replies: plainReplies,
  seed: 0,
};

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

const sessionPolicy = {
  maxMessageSizeBytes: 50_000_000,
  maxRecipients: 0,
  maxMessageHops: 100,
  allowChunking: false,
  allowSmtputf8: true,
  commandTimeoutMs: 300_000,
  dataTimeoutMs: 300_000,
  tellsCommands: false,
} satisfies Partial<SessionPolicy>;

/** Rejects as `Net.listen` does. */
export async function startBuiltInReceiver(
  net: Net,
  clock: Clock,
  at: Endpoint,
  manner: ReceiverManner = openReceiver,
): Promise<BuiltInReceiver> {
  const counts: Counts = { messages: 0, recipients: 0, bytes: 0 };
  const judge = new ReceiverJudge(manner.policy, manner.replies, manner.seed);
  const open = new Set<Connection>();
  const listening = await net.listen(at, (connection) => {
    const { address } = connection.remote;
    const gone = (): void => {
      judge.closed(address);
      open.delete(connection);
    };
    open.add(connection);
    const refusal = judge.connection(address, clock.monotonicMs());
    if (refusal !== undefined) return turnedAway(connection, refusal, gone);
    return new Reception({ connection, clock, counts, judge, hostName: manner.hostName, gone });
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

/** A reply instead of the greeting (RFC 5321 section 3.1), or not even that. */
function turnedAway(connection: Connection, refusal: Reply | 'reset', gone: () => void): ConnectionEvents {
  if (refusal === 'reset') connection.reset();
  else {
    connection.write([renderReply(refusal)]);
    connection.end();
  }
  return { received: () => {}, ended: () => {}, drained: () => {}, closed: gone };
}

interface ReceptionSetup {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly counts: Counts;
  readonly judge: ReceiverJudge;
  readonly hostName: string;
  gone(): void;
}

class Reception implements ConnectionEvents {
  readonly #setup: ReceptionSetup;
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #session: ServerSession;
  /** Taken on this connection. */
  #messages = 0;
  #deadline: Timer | undefined;
  #clientEnded = false;
  #over = false;

  constructor(setup: ReceptionSetup) {
    const { connection, clock, judge, hostName } = setup;
    const { address } = connection.remote;
    this.#setup = setup;
    this.#connection = connection;
    this.#clock = clock;
    const policy: SessionPolicy = {
      ...sessionPolicy,
      hostName,
      mayAnswer: () => connection.unsentBytes() === 0,
      judgeSender: () => judge.mail(address, this.#messages, clock.monotonicMs()),
      // The session does not say who sends: triples are pairs here.
      judgeRecipient: ({ text }) => judge.rcpt(address, '', text, clock.monotonicMs()),
    };
    this.#session = new ServerSession(policy, clock.monotonicMs());
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
    this.#setup.gone();
  }

  #apply(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#connection.write([effect.bytes]);
      else if (effect.kind === 'close') this.#connection.end();
      else if (effect.kind === 'message') this.#judge(effect.message);
    }
  }

  #judge({ recipients, chunks, sizeBytes }: ReceivedMessage): void {
    const { judge, counts } = this.#setup;
    const { address } = this.#connection.remote;
    const nowMs = this.#clock.monotonicMs();
    const forwardPaths = recipients.map(({ forwardPath }) => forwardPath);
    const refusal = judge.content(address, forwardPaths, dkimSigners(chunks));
    if (refusal !== undefined) {
      this.#apply(this.#session.stored({ ok: false, reply: refusal }, nowMs));
      return;
    }
    judge.taken(address, nowMs);
    this.#messages += 1;
    counts.messages += 1;
    counts.recipients += recipients.length;
    counts.bytes += sizeBytes;
    this.#apply(this.#session.stored({ ok: true, id: `r${counts.messages}` }, nowMs));
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
