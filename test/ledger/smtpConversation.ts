import { createConnection, type Socket } from 'node:net';

/** The client side of one connection, for tests: write text, await whole replies. */
export class SmtpConversation {
  readonly #socket: Socket;
  readonly #replies: string[] = [];
  readonly #waiting: ((reply: string | undefined) => void)[] = [];
  #pending = '';
  #reply = '';
  #isOver = false;
  #error: string | undefined;

  /** `localAddress`: where the server is to see us come from. */
  constructor(port: number, host = '127.0.0.1', localAddress?: string) {
    this.#socket = createConnection({ port, host, noDelay: true, ...(localAddress && { localAddress }) });
    this.#socket.setEncoding('latin1');
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code;
    });
    this.#socket.on('data', (text) => this.#received(String(text)));
    this.#socket.on('close', () => {
      this.#isOver = true;
      for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    });
  }

  /** False when the connection is gone; what was written may have got nowhere. */
  write(bytes: string | Uint8Array): boolean {
    if (this.#isOver) return false;
    this.#socket.write(bytes);
    return true;
  }

  /** The next reply, lines joined by LF, without CR; undefined when the connection ended instead. */
  reply(): Promise<string | undefined> {
    const reply = this.#replies.shift();
    if (reply !== undefined || this.#isOver) return Promise.resolve(reply);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** `count` replies; undefined when not all came. */
  async replies(count: number): Promise<string[] | undefined> {
    const all: string[] = [];
    while (all.length < count) {
      const reply = await this.reply();
      if (reply === undefined) return undefined;
      all.push(reply);
    }
    return all;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** FIN; replies may still come. */
  end(): void {
    this.#socket.end();
  }

  /** RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** The server may talk, nobody listens. */
  stopReading(): void {
    this.#socket.pause();
  }

  get bytesReceived(): number {
    return this.#socket.bytesRead;
  }

  /** undefined after an orderly end; otherwise the system's code. */
  async closed(): Promise<string | undefined> {
    if (!this.#isOver) await new Promise((resolve) => this.#socket.once('close', resolve));
    return this.#error;
  }

  #received(text: string): void {
    const lines = (this.#pending + text).split('\n');
    this.#pending = lines.pop()!;
    for (const line of lines) {
      this.#reply += this.#reply === '' ? line.trimEnd() : `\n${line.trimEnd()}`;
      // RFC 5321 4.2.1: a hyphen after the code means that more lines follow.
      if (line[3] === '-') continue;
      const reply = this.#reply;
      this.#reply = '';
      const next = this.#waiting.shift();
      if (next === undefined) this.#replies.push(reply);
      else next(reply);
    }
  }
}
