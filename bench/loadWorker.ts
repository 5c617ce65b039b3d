/**
 * Load that costs little: bytes made once, replies known by their codes, nothing kept but latencies.
 * Told a number of seconds, it sends for so long on every connection and reports once all have their
 * replies. It reports once before, when all are connected.
 */
import { createConnection, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly sizeBytes: number;
  /** The next envelope travels with the content (RFC 2920); otherwise it waits for the reply, as some servers insist. */
  readonly isChained: boolean;
}

export interface LoadReport {
  readonly messages: number;
  /** From the last byte of the content to the 250, sorted. */
  readonly latenciesMs: Float64Array;
}

const { port, connections, sizeBytes, isChained } = workerData as LoadOptions;

const greetings = Buffer.from('EHLO load.bench.test\r\n');
const envelope = 'MAIL FROM:<sender@load.bench.test>\r\nRCPT TO:<recipient@sink.bench.test>\r\nDATA\r\n';
const header =
  'From: <sender@load.bench.test>\r\nTo: <recipient@sink.bench.test>\r\n' +
  'Message-ID: <1@load.bench.test>\r\nSubject: load\r\n\r\n';
const lines = `${'x'.repeat(62)}\r\n`.repeat(Math.max(1, Math.round((sizeBytes - header.length) / 64)));
const content = Buffer.from(`${header}${lines}.\r\n${isChained ? envelope : ''}`);

/** What each step is answered with; from `mail` on they go round. */
const codes = ['220', '250', '250', '250', '354', '250'];
const steps = { greeting: 0, ehlo: 1, mail: 2, data: 4, content: 5 };
const lineFeed = 10;
const hyphen = 45;

const parked: LoadConnection[] = [];
let latenciesMs: number[] = [];
let isSending = false;

class LoadConnection {
  readonly #socket: Socket;
  #step = steps.greeting;
  #partial: Buffer = Buffer.alloc(0);
  #sentMs = 0;

  constructor() {
    this.#socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes) => this.#received(bytes));
    this.#socket.on('close', () => {
      throw new Error('a connection of the load was closed');
    });
  }

  send(): void {
    this.#sentMs = performance.now();
    this.#socket.write(content);
  }

  #received(chunk: Buffer): void {
    const bytes = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    let at = 0;
    for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, at)) {
      // RFC 5321 section 4.2.1: with a hyphen the reply goes on.
      if (bytes[at + 3] !== hyphen) this.#replied(bytes.toString('latin1', at, end));
      at = end + 1;
    }
    this.#partial = bytes.subarray(at);
  }

  #replied(reply: string): void {
    const step = this.#step;
    if (!reply.startsWith(codes[step]!)) throw new Error(`the load was answered ${reply}`);
    this.#step = step === steps.content ? steps.mail : step + 1;
    if (step === steps.greeting) this.#socket.write(greetings);
    else if (step === steps.ehlo) this.#socket.write(envelope);
    else if (step === steps.content) {
      latenciesMs.push(performance.now() - this.#sentMs);
      if (!isChained) this.#socket.write(envelope);
    } else if (step === steps.data) this.#mayContinue();
  }

  #mayContinue(): void {
    if (isSending) this.send();
    else if (parked.push(this) === connections) report();
  }
}

function report(): void {
  const sorted = Float64Array.from(latenciesMs).sort();
  parentPort!.postMessage({ messages: sorted.length, latenciesMs: sorted } satisfies LoadReport);
}

parentPort!.on('message', (seconds: number) => {
  latenciesMs = [];
  isSending = true;
  setTimeout(() => {
    isSending = false;
  }, seconds * 1000);
  for (const connection of parked.splice(0)) connection.send();
});

for (let i = 0; i < connections; i++) new LoadConnection();
