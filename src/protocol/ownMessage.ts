/** Messages of our own making: header fields and text that hold nothing but what they should. */

export interface OwnHeader {
  /** The field's value as it goes out, without line ends; non-ASCII only with `isInternational`. */
  readonly from: string;
  /** An address without angle brackets. */
  readonly to: string;
  readonly subject: string;
  /** RFC 5322 date-time (`formatDateTime`). */
  readonly date: string;
  /** `id@host`, without angle brackets. */
  readonly messageId: string;
  /** RFC 3834 section 5: nobody is to answer it. */
  readonly autoSubmitted: 'auto-generated' | 'auto-replied';
  /** UTF-8 may stand in header fields (RFC 6532); otherwise what is not ASCII becomes `?`. */
  readonly isInternational: boolean;
}

export interface PlainMessage extends Omit<OwnHeader, 'autoSubmitted' | 'isInternational'> {
  /** Lines end in `\n`; long ones are folded. */
  readonly text: string;
}

const encoder = new TextEncoder();
/** RFC 5322 section 2.1.1. */
const columns = 76;

/** The fields every message of ours begins with, each ended by CRLF. */
export function ownHeader(header: OwnHeader): string {
  const { from, to, subject, date, messageId, autoSubmitted, isInternational } = header;
  const clean = (value: string): string => cleanText(value, isInternational);
  return [
    `From: ${folded(clean(from))}`,
    `To: <${clean(to)}>`,
    `Subject: ${folded(clean(subject))}`,
    `Date: ${date}`,
    `Message-ID: <${messageId}>`,
    `Auto-Submitted: ${autoSubmitted}`,
    'MIME-Version: 1.0',
  ]
    .map((line) => `${line}\r\n`)
    .join('');
}

/** A whole message of plain ASCII text, its lines ended by CRLF. */
export function plainMessage({ text, ...header }: PlainMessage): Uint8Array {
  const own = ownHeader({ ...header, autoSubmitted: 'auto-generated', isInternational: false });
  const type = 'Content-Type: text/plain; charset=us-ascii\r\n';
  return encoder.encode(
    `${own}${type}\r\n${wrapped(text.split('\n').map((line) => cleanText(line, false)))}`,
  );
}

/** Without controls and line ends; what is not ASCII as `?`, unless it may stay. */
export function cleanText(text: string, mayBeUtf8: boolean): string {
  const oneLine = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ');
  return mayBeUtf8 ? oneLine : oneLine.replace(/[^\x20-\x7e]/gu, '?');
}

/** Lines of at most 76 characters where there are blanks to break at, indented as they begin, ended by CRLF. */
export function wrapped(lines: readonly string[]): string {
  return lines.map(wrappedLine).join('');
}

function wrappedLine(line: string): string {
  const [indent] = /^ */.exec(line)!;
  return brokenAtBlanks(line)
    .map((part) => `${part === '' ? '' : indent}${part}\r\n`)
    .join('');
}

/** A field's value over several lines (RFC 5322 section 2.2.3). */
export function folded(value: string): string {
  return brokenAtBlanks(value).join('\r\n ');
}

function brokenAtBlanks(text: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap(pieces)) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Of at most 240 characters, for without a blank a line would grow beyond 998 octets (RFC 5321 section 4.5.3.1.6). */
function pieces(word: string): readonly string[] {
  return word.length <= 240 ? [word] : word.match(/.{1,240}/gsu)!;
}
