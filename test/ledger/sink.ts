import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { contentHash, dotUnstuffed, withoutTrace } from './content.ts';
import type { Reception } from './ledger.ts';
import { tlsFiles } from './misdeeds.ts';

export interface SinkOptions {
  /** Where receptions are noted: a ledger's. */
  readonly receptions: Reception[];
  /** Keeps every content as it arrived (dots unstuffed, trace header and all), by recipient. */
  readonly contents?: Map<string, Buffer[]>;
  readonly port?: number;
  readonly address?: string;
  /** Offers STARTTLS with the test certificate. */
  readonly offersTls?: boolean;
  /** Sees each connection first, counted from 0; true: it talks to that client itself. */
  readonly takesOver?: (socket: Socket, nth: number) => boolean;
  /**
   * Judges the nth (from 0) RCPT or final dot that concerns this recipient, or MAIL from this sender;
   * undefined: 250.
   */
  readonly judge?: (stage: 'mail' | 'rcpt' | 'dot', recipient: string, nth: number) => Verdict | undefined;
}

/** A reply (`450 4.2.1 later`), or hanging up instead of one: the content is taken, the answer is lost. */
export type Verdict = { readonly reply: string } | 'hangUp';

/** A receiver on loopback that notes exactly what it was sent. */
export class Sink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held = new Set<Socket>();
  /** The most connections a client held open at one time. */
  peak = 0;
  /** Contents taken, one entry a connection, in the order they were opened. */
  readonly messages: number[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static start(options: SinkOptions): Promise<Sink> {
    const counts = new Map<string, number>();
    const server = createServer({ noDelay: true }, (socket) => {
      sink.#sockets.add(socket);
      // The kernel tells of new connections and of ended ones in no order: look when it has told all.
      setImmediate(() => {
        if (socket.destroyed || socket.readableEnded) return;
        sink.#held.add(socket);
        sink.peak = Math.max(sink.peak, sink.#held.size);
      });
      // What the client has ended is not held by it, however long closing takes on our side.
      socket.on('end', () => sink.#held.delete(socket));
      socket.on('close', () => {
        sink.#held.delete(socket);
        sink.#sockets.delete(socket);
      });
      const connection = sink.messages.push(0) - 1;
      if (options.takesOver?.(socket, connection) === true) return;
      converse(socket, options, counts, () => sink.messages[connection]!++);
    });
    const sink = new Sink(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port ?? 0, options.address ?? '127.0.0.1', () => resolve(sink));
    });
  }

  get port(): number {
    const at = this.#server.address();
    return at !== null && typeof at === 'object' ? at.port : 0;
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

const greeting = '220 sink.test ESMTP\r\n';
const keywords = ['sink.test', 'PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'SIZE 0'];
const ehloReply = (words: readonly string[]): string =>
  words.map((word, i) => `250${i === words.length - 1 ? ' ' : '-'}${word}\r\n`).join('');
const secureContext = createSecureContext({
  cert: readFileSync(tlsFiles.certificate),
  key: readFileSync(tlsFiles.key),
});

function converse(
  socket: Socket,
  options: SinkOptions,
  counts: Map<string, number>,
  taken: () => void,
): void {
  const clientAddress = socket.remoteAddress ?? '';
  const isSecure = socket instanceof TLSSocket;
  const arrived: Buffer[] = [];
  let arrivedBytes = 0;
  let pending: Buffer = Buffer.alloc(0);
  let searchedBytes = 0;
  let inContent = false;
  let recipients: string[] = [];

  const judged = (stage: 'mail' | 'rcpt' | 'dot', recipient: string): Verdict | undefined => {
    const key = `${stage} ${recipient}`;
    const nth = counts.get(key) ?? 0;
    counts.set(key, nth + 1);
    return options.judge?.(stage, recipient, nth);
  };
  let isSenderRefused = false;
  const answer = (reply: string): void => void socket.write(`${reply}\r\n`);

  const command = (line: string): void => {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'EHLO' || verb === 'HELO') {
      socket.write(ehloReply(options.offersTls && !isSecure ? [...keywords, 'STARTTLS'] : keywords));
    } else if (verb === 'STAR' && options.offersTls && !isSecure) {
      socket.removeAllListeners('data');
      answer('220 2.0.0 go ahead');
      converse(new TLSSocket(socket, { isServer: true, secureContext }), options, counts, taken);
    } else if (verb === 'RSET') {
      recipients = [];
      answer('250 2.0.0 ok');
    } else if (verb === 'MAIL') {
      recipients = [];
      const verdict = judged('mail', /<(.*?)>/.exec(line)?.[1] ?? '');
      if (verdict === 'hangUp') return void socket.destroy();
      isSenderRefused = verdict !== undefined;
      answer(verdict?.reply ?? '250 2.1.0 ok');
    } else if (verb === 'RCPT') {
      if (isSenderRefused) return void socket.write('503 5.5.1 no sender\r\n');
      const recipient = /<(.*)>/.exec(line)?.[1] ?? '';
      const verdict = judged('rcpt', recipient);
      if (verdict === 'hangUp') return void socket.destroy();
      if (verdict === undefined) recipients.push(recipient);
      answer(verdict?.reply ?? '250 2.1.5 ok');
    } else if (verb === 'DATA') {
      inContent = recipients.length > 0;
      answer(inContent ? '354 go on' : '554 5.5.1 no recipients');
    } else if (verb === 'QUIT') {
      answer('221 2.0.0 bye');
      socket.end();
    } else answer(verb === 'NOOP' ? '250 2.0.0 ok' : '500 5.5.1 what?');
  };

  const message = (content: Buffer): void => {
    taken();
    const verdicts = recipients.map((recipient) => judged('dot', recipient));
    const verdict = verdicts.find((one) => one !== undefined);
    const hash = contentHash(withoutTrace(content));
    for (const recipient of recipients) {
      options.receptions.push({
        recipient,
        contentHash: hash,
        accepted: verdict === undefined,
        clientAddress,
        isSecure,
      });
      if (options.contents !== undefined) {
        options.contents.set(recipient, [...(options.contents.get(recipient) ?? []), content]);
      }
    }
    recipients = [];
    if (verdict === 'hangUp') socket.destroy();
    else answer(verdict?.reply ?? '250 2.0.0 taken');
  };

  /** Takes one command or one whole content from `pending`; false when there is none. */
  const step = (): boolean => {
    if (!inContent) {
      const end = pending.indexOf('\r\n');
      if (end < 0) return false;
      const line = pending.toString('utf8', 0, end);
      pending = pending.subarray(end + 2);
      command(line);
      return true;
    }
    const end = endOfContent(pending, searchedBytes);
    // What has been looked through is not looked through again: contents may be long.
    searchedBytes = end < 0 ? Math.max(0, pending.length - 4) : 0;
    if (end < 0) return false;
    const content = dotUnstuffed(pending.subarray(0, end));
    pending = pending.subarray(end + 3);
    inContent = false;
    message(content);
    return true;
  };

  socket.on('error', () => {});
  socket.on('data', (data) => {
    arrived.push(data);
    arrivedBytes += data.length;
    // Joined now and then only, unless this may be the end of it.
    if (inContent && arrivedBytes < pending.length && data.at(-1) !== lf) return;
    pending = Buffer.concat([pending, ...arrived.splice(0)]);
    arrivedBytes = 0;
    while (!socket.destroyed && step());
  });
  if (!isSecure) socket.write(greeting);
}

const lf = 10;

/** Where the closing dot line begins, or -1. An empty content is the dot line alone. */
function endOfContent(bytes: Buffer, fromBytes: number): number {
  if (bytes.length >= 3 && bytes.toString('latin1', 0, 3) === '.\r\n') return 0;
  const at = bytes.indexOf('\r\n.\r\n', fromBytes);
  return at < 0 ? -1 : at + 2;
}
