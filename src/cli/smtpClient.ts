import type { Connection, Endpoint, Net } from '../base/ports.ts';
import { type ParsedReply, ReplyParser } from '../protocol/reply.ts';

/** A line of the dialogue, as it is shown. */
export type Show = (side: 'C' | 'S', line: string) => void;

export interface Submission {
  readonly listener: Endpoint;
  readonly from: string;
  readonly to: string;
  /** CRLF line ends, not dot-stuffed, the last line ended. */
  readonly content: Uint8Array;
}

export type SubmissionResult =
  | { readonly kind: 'accepted'; readonly reply: string }
  | { readonly kind: 'refused'; readonly reply: string }
  /** `code`: the system's (ECONNREFUSED ...), or CLOSED when the listener hung up without a word. */
  | { readonly kind: 'unreachable'; readonly code: string };

/** Submits one message, a command at a time so that the dialogue can be read. Never rejects. */
export async function submit(net: Net, submission: Submission, show: Show): Promise<SubmissionResult> {
  const conversation = new Conversation(net, submission.listener, show);
  try {
    return await converse(conversation, submission);
  } catch (ended) {
    if (ended instanceof Ended) return ended.result;
    throw ended;
  } finally {
    conversation.close();
  }
}

/** What a dialogue rejects with when it is over before its end. */
export class Ended extends Error {
  readonly result: SubmissionResult;

  constructor(result: SubmissionResult) {
    super(result.kind);
    this.result = result;
  }
}

async function converse(conversation: Conversation, submission: Submission): Promise<SubmissionResult> {
  await conversation.greet();
  const reply = await conversation.message(submission);
  conversation.say('QUIT');
  await conversation.expect(221).catch(() => undefined);
  return { kind: 'accepted', reply: textOf(reply) };
}

/** One connection to a listener. What is not answered as it should be rejects with `Ended`. */
export class Conversation {
  readonly #parser = new ReplyParser();
  readonly #show: Show;
  readonly #replies: ParsedReply[] = [];
  readonly #connected: Promise<Connection>;
  #connection: Connection | undefined;
  #offered: ReadonlySet<string> = new Set();
  #over: string | undefined;
  #wake: () => void = () => {};

  constructor(net: Net, listener: Endpoint, show: Show) {
    this.#show = show;
    this.#connected = new Promise((resolve, reject) => {
      net.connect({ remote: listener, localAddress: undefined }, resolve, {
        received: (bytes) => {
          this.#replies.push(...this.#parser.feed(bytes));
          this.#wake();
        },
        ended: () => this.#connection?.end(),
        drained: () => {},
        closed: (code) => {
          this.#over = code ?? 'CLOSED';
          reject(new Ended({ kind: 'unreachable', code: this.#over }));
          this.#wake();
        },
      });
    });
  }

  async greet(): Promise<void> {
    await this.expect(220);
    const offers = await this.command('EHLO localhost', 250);
    this.#offered = new Set(offers.lines.slice(1).map((line) => line.split(' ')[0]!.toUpperCase()));
  }

  /** One mail transaction, after `greet`. */
  async message({ from, to, content }: Omit<Submission, 'listener'>): Promise<ParsedReply> {
    const utf8 = [from, to].some((address) => !isAscii(address)) ? ' SMTPUTF8' : '';
    const is8bit = this.#offered.has('8BITMIME') && content.some((octet) => octet > 127);
    await this.command(`MAIL FROM:<${from}>${is8bit ? ' BODY=8BITMIME' : ''}${utf8}`, 250);
    await this.command(`RCPT TO:<${to}>`, 250);
    await this.command('DATA', 354);
    return this.content(content);
  }

  async command(line: string, expected: number): Promise<ParsedReply> {
    this.say(line);
    return this.expect(expected);
  }

  say(line: string): void {
    this.#show('C', line);
    this.#connection?.write([encoder.encode(`${line}\r\n`)]);
  }

  async content(content: Uint8Array): Promise<ParsedReply> {
    // Octet for octet; TextDecoder's latin1 is really windows-1252.
    const lines = Buffer.from(content).toString('latin1').split('\r\n');
    for (const line of shown(decoder.decode(content).split('\r\n').slice(0, -1))) this.#show('C', line);
    this.#show('C', '.');
    // RFC 5321 4.5.2: a line that begins with a dot gets one more.
    const stuffed = lines.map((line) => (line.startsWith('.') ? `.${line}` : line)).join('\r\n');
    this.#connection?.write([Buffer.from(`${stuffed}.\r\n`, 'latin1')]);
    return this.expect(250);
  }

  /** The next reply, shown. Any other code ends the dialogue as refused. */
  async expect(code: number): Promise<ParsedReply> {
    this.#connection ??= await this.#connected;
    while (this.#replies.length === 0) {
      if (this.#over !== undefined) throw new Ended({ kind: 'unreachable', code: this.#over });
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const reply = this.#replies.shift()!;
    const last = reply.lines.length - 1;
    for (const [i, line] of reply.lines.entries())
      this.#show('S', `${reply.code}${i === last ? ' ' : '-'}${line}`);
    if (reply.code !== code) throw new Ended({ kind: 'refused', reply: textOf(reply) });
    return reply;
  }

  close(): void {
    this.#connected.then(
      (connection) => connection.end(),
      () => {},
    );
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const shownLinesMax = 20;

/** The beginning of a long content, and how much was left out. */
function shown(lines: readonly string[]): readonly string[] {
  if (lines.length <= shownLinesMax) return lines;
  return [...lines.slice(0, shownLinesMax), `(${lines.length - shownLinesMax} more lines)`];
}

function textOf(reply: ParsedReply): string {
  return `${reply.code} ${reply.lines.join(' ')}`;
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}
