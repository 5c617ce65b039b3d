/** The Received field we add to each message (RFC 5321 4.4). */

export interface Trace {
  /** The client's EHLO or HELO name, as given. */
  readonly heloName: string;
  /** Canonical text. */
  readonly clientAddress: string;
  /** Our name, and the address the client connected to. */
  readonly hostName: string;
  readonly listenerAddress: string;
  /** RFC 3848 and RFC 6531 3.7.3 word: SMTP, ESMTP, UTF8SMTP ... */
  readonly protocol: string;
  readonly id: string;
  /** When it was received, RFC 5322 3.3 (`formatDateTime`). */
  readonly date: string;
  /** `local@domain` of the only recipient; undefined when there are several (RFC 5321 7.2: no disclosure). */
  readonly onlyRecipient: string | undefined;
  /** PowerMTA's hide-message-source: nothing of client and recipient is written. */
  readonly hideMessageSource: boolean;
}

const encoder = new TextEncoder();
/** RFC 5322 2.1.1. */
const columns = 78;

/** The whole field with its CRLF; no line of it begins with a dot. */
export function receivedField(trace: Trace): Uint8Array {
  const words = ['Received:'];
  if (!trace.hideMessageSource) {
    words.push(`from ${safeName(trace.heloName)}`, `(${addressLiteral(trace.clientAddress)})`);
  }
  words.push(`by ${safeName(trace.hostName)}`);
  if (!trace.hideMessageSource) words.push(`(${addressLiteral(trace.listenerAddress)})`);
  words.push(`with ${trace.protocol}`);
  if (trace.hideMessageSource || trace.onlyRecipient === undefined) words.push(`id ${trace.id};`);
  else words.push(`id ${trace.id}`, `for <${trace.onlyRecipient}>;`);
  words.push(trace.date);
  return encoder.encode(folded(words));
}

function folded(words: readonly string[]): string {
  let text = '';
  let column = 0;
  for (const word of words) {
    if (column > 0 && column + 1 + word.length > columns) {
      text += '\r\n\t';
      column = 1;
    } else if (column > 0) {
      text += ' ';
      column++;
    }
    text += word;
    column += word.length;
  }
  return `${text}\r\n`;
}

/** What a name may show in a field: no comment, no quoting, no line end; at most 255 characters. */
function safeName(name: string): string {
  const safe = name.slice(0, 255).replace(/[^A-Za-z0-9.:[\]_-]/g, '?');
  return safe === '' ? '?' : safe;
}

/** RFC 5321 4.1.3. */
function addressLiteral(address: string): string {
  return address.includes(':') ? `[IPv6:${address}]` : `[${address}]`;
}
