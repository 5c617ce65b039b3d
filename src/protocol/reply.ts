/**
 * SMTP replies, both ways (RFC 5321 4.2): the one writer of what we answer, and the parser of what
 * remote servers answer. Nothing here knows what a code means for a message.
 */
import { assert } from '../base/assert.ts';

export interface Reply {
  readonly code: number;
  /** RFC 3463 code, `5.1.1`; '' where none belongs (greeting, EHLO, 354: RFC 2034 section 4). */
  readonly enhanced: string;
  /** Text lines without codes; at least one. */
  readonly lines: readonly string[];
}

/** RFC 5321 4.5.3.1.5, with code and CRLF. */
const replyLineOctets = 512;
const encoder = new TextEncoder();

/** The reply as it goes to the wire; a text too long for one line is folded into several. */
export function renderReply(reply: Reply): Uint8Array {
  return encoder.encode(replyText(reply));
}

/**
 * `renderReply` before encoding, so that the replies to one group leave in one write. Every text we
 * send passes here: a CR, LF or NUL in it is a bug of ours, never sent.
 */
export function replyText(reply: Reply): string {
  const { code, enhanced } = reply;
  assert(code >= 200 && code <= 599 && reply.lines.length > 0, 'a reply has a code of 2yz to 5yz and a line');
  const head = enhanced === '' ? '' : `${enhanced} `;
  const room = replyLineOctets - 6 - head.length;
  if (reply.lines.length === 1) {
    const lines = foldText(reply.lines[0]!, room);
    if (typeof lines === 'string') return `${code} ${head}${lines}\r\n`;
  }
  const lines = reply.lines.flatMap((line) => foldText(line, room));
  let text = '';
  for (let i = 0; i < lines.length - 1; i++) text += `${code}-${head}${lines[i]}\r\n`;
  return `${text}${code} ${head}${lines[lines.length - 1]}\r\n`;
}

function foldText(text: string, roomOctets: number): string | string[] {
  assert(!/[\r\n\0]/.test(text), 'a reply line holds no CR, LF or NUL');
  if (text.length * 3 <= roomOctets) return text;
  const lines: string[] = [];
  let from = 0;
  let space = -1;
  let octets = 0;
  for (let at = 0; at < text.length; ) {
    const point = text.codePointAt(at)!;
    const width = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4;
    if (octets + width > roomOctets) {
      const end = space > from ? space : at;
      lines.push(text.slice(from, end));
      from = space > from ? space + 1 : at;
      at = from;
      space = -1;
      octets = 0;
      continue;
    }
    if (point === 0x20) space = at;
    octets += width;
    at += point > 0xffff ? 2 : 1;
  }
  lines.push(text.slice(from));
  return lines;
}

/** What a remote server answered. */
export interface ParsedReply {
  /** Of the last line; 0 when no line had one. */
  readonly code: number;
  /** The first enhanced code whose class fits `code`, or ''. */
  readonly enhanced: string;
  /** What follows the code on each line, enhanced code included; control characters are shown as `?`. */
  readonly lines: readonly string[];
  readonly multiline: boolean;
  /** A line or the number of lines passed our bounds; the excess is missing from `lines`. */
  readonly cut: boolean;
  readonly fault: ReplyFault | undefined;
}

/**
 * `syntax`: a line without a code. `mixedCodes`: lines disagree about the code. `endless`: more than
 * 64 KB without an end; the parser reads no further and the connection is out of step.
 */
export type ReplyFault = 'syntax' | 'mixedCodes' | 'endless';

const parsedLineOctets = 4096;
const parsedLines = 100;
const parsedReplyOctets = 65_536;
const nothing = new Uint8Array(0);
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const latin1 = new TextDecoder('latin1');

/**
 * Reads the replies of one connection, in memory bounded whatever comes. Lines end in CRLF; a bare
 * LF is tolerated from remotes. After STARTTLS start a new parser (RFC 3207 4.2).
 */
export class ReplyParser {
  #line: Uint8Array = nothing;
  #replyOctets = 0;
  #code = 0;
  #lines: string[] = [];
  #lineCount = 0;
  #cut = false;
  #fault: ReplyFault | undefined;

  /** The replies that `bytes` complete, in order. */
  feed(bytes: Uint8Array): readonly ParsedReply[] {
    const replies: ParsedReply[] = [];
    for (let from = 0; from < bytes.length && this.#fault !== 'endless'; ) {
      const lf = bytes.indexOf(0x0a, from);
      const end = lf < 0 ? bytes.length : lf;
      this.#replyOctets += end - from;
      if (this.#replyOctets > parsedReplyOctets) {
        this.#fault = 'endless';
        this.#cut = true;
        replies.push(this.#finish());
        this.#fault = 'endless';
        break;
      }
      if (lf < 0) {
        this.#line = joined(this.#line, bytes.subarray(from, end));
        break;
      }
      const line =
        this.#line.length === 0 ? bytes.subarray(from, lf) : joined(this.#line, bytes.subarray(from, lf));
      this.#line = nothing;
      if (this.#takeLine(line)) replies.push(this.#finish());
      from = lf + 1;
    }
    return replies;
  }

  /** Whether part of a reply has come: what a server says before its turn shows here. */
  get inReply(): boolean {
    return this.#line.length > 0 || this.#lineCount > 0;
  }

  /** True when this was the last line of a reply. */
  #takeLine(line: Uint8Array): boolean {
    const crlf = line.length > 0 && line[line.length - 1] === 0x0d;
    const octets = line.length - (crlf ? 1 : 0);
    if (octets > parsedLineOctets) this.#cut = true;
    const text = decode(line.subarray(0, Math.min(octets, parsedLineOctets)));
    const match = /^([2-5]\d\d)(?:([ -])(.*))?$/.exec(text);
    const first = this.#lineCount++ === 0;
    if (this.#lineCount > parsedLines) this.#cut = true;
    else this.#lines.push(match === null ? text : (match[3] ?? ''));
    if (match === null) {
      this.#fault ??= 'syntax';
      return first;
    }
    const code = Number(match[1]);
    if (!first && code !== this.#code) this.#fault ??= 'mixedCodes';
    this.#code = code;
    return match[2] !== '-';
  }

  #finish(): ParsedReply {
    const lines = this.#lines;
    const code = this.#code;
    const reply: ParsedReply = {
      code,
      enhanced: enhancedCode(code, lines),
      lines,
      multiline: this.#lineCount > 1,
      cut: this.#cut,
      fault: this.#fault,
    };
    this.#line = nothing;
    this.#replyOctets = 0;
    this.#code = 0;
    this.#lines = [];
    this.#lineCount = 0;
    this.#cut = false;
    this.#fault = undefined;
    return reply;
  }
}

/** RFC 2034 section 4: the class of an enhanced code is the first digit of the reply code. */
function enhancedCode(code: number, lines: readonly string[]): string {
  for (const line of lines) {
    const match = /^([245])\.\d{1,3}\.\d{1,3}(?![^\s])/.exec(line);
    if (match !== null && Number(match[1]) === Math.floor(code / 100)) return match[0];
  }
  return '';
}

function decode(bytes: Uint8Array): string {
  const text = utf8.decode(bytes);
  const readable = text.includes('\ufffd') ? latin1.decode(bytes) : text;
  return readable.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (control) => (control === '\t' ? ' ' : '?'));
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
