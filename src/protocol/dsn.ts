/**
 * Delivery status notifications (RFC 3464, in the envelope of RFC 6522; RFC 6533 for addresses beyond ASCII).
 * What a remote said, or a client sent, stands in them as text: it never makes a field, a part or a line end.
 */
import { assert } from '../base/assert.ts';
import { parseIp } from '../base/ip.ts';
import { cleanText, folded, ownHeader, wrapped } from './ownMessage.ts';
import { quotedPrintable, transferNeed } from './quotedPrintable.ts';

export interface FailedRecipient {
  /** As RCPT gave it. */
  readonly address: string;
  /** ORCPT as given (`rfc822;xtext`), or ''. */
  readonly orcpt: string;
  /** RFC 3463, `5.1.1`. */
  readonly status: string;
  /** The remote's reply on one line, or our words, or ''. */
  readonly diagnostic: string;
  /** Name or address of the remote; '' when none was involved. */
  readonly remoteMta: string;
  /** RFC 5322 date-time. */
  readonly lastAttemptDate: string;
}

/**
 * What is given back: its header section, no dot stuffed, or all of a message, of which no octet is `binary`
 * (`transferNeed`).
 */
export interface ReturnedContent {
  readonly is: 'message' | 'headers';
  readonly bytes: Uint8Array;
  /** It came with SMTPUTF8: what is not ASCII in it is UTF-8. */
  readonly smtpUtf8: boolean;
}

export interface DsnFacts {
  /** `id@host`, without angle brackets. */
  readonly messageId: string;
  /** The From field; '' for ours. */
  readonly from: string;
  /** The reverse-path of the message that failed. */
  readonly to: string;
  readonly date: string;
  /** The name we report under. */
  readonly hostName: string;
  /** ENVID, decoded, or ''. */
  readonly envId: string;
  /** When the message came in, RFC 5322 date-time. */
  readonly arrivalDate: string;
  /** Never empty. */
  readonly recipients: readonly FailedRecipient[];
  readonly returned: ReturnedContent;
}

export interface Dsn {
  /** Header and body, lines ended by CRLF. */
  readonly content: Uint8Array;
  /** What the message needs of those that carry it. */
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
}

interface Part {
  readonly type: string;
  readonly encoding: '7bit' | '8bit' | 'quoted-printable';
  readonly body: Uint8Array;
}

const encoder = new TextEncoder();

/** The report of recipients that were given up. */
export function failureDsn(facts: DsnFacts): Dsn {
  // Only a sender whom nothing but SMTPUTF8 can reach gets what nothing else can carry.
  const isInternational = !isAscii(facts.to);
  const parts = [
    explanation(facts, isInternational),
    deliveryStatus(facts, isInternational),
    returnedPart(facts.returned, isInternational),
  ];
  const boundary = boundaryFor(facts.messageId, parts);
  const header = ownHeader({
    from: facts.from || `Mail Delivery System <MAILER-DAEMON@${facts.hostName}>`,
    to: facts.to,
    subject: 'Your message was not delivered',
    date: facts.date,
    messageId: facts.messageId,
    autoSubmitted: 'auto-replied',
    isInternational,
  });
  const type = `multipart/report; report-type=${reportType(isInternational)};\r\n boundary="${boundary}"`;
  const eightBit = parts.some(({ encoding }) => encoding === '8bit');
  const chunks = [
    encoder.encode(`${header}Content-Type: ${type}\r\n${encodingField(eightBit ? '8bit' : '7bit')}\r\n`),
    ...parts.flatMap(({ type: partType, encoding, body }) => [
      encoder.encode(`--${boundary}\r\nContent-Type: ${partType}\r\n${encodingField(encoding)}\r\n`),
      body,
      encoder.encode('\r\n'),
    ]),
    encoder.encode(`--${boundary}--\r\n`),
  ];
  return { content: joined(chunks), smtpUtf8: isInternational, eightBit };
}

/** RFC 6522 section 3: the subtype of the second part; RFC 6533 section 4. */
function reportType(isInternational: boolean): string {
  return isInternational ? 'global-delivery-status' : 'delivery-status';
}

function explanation(
  { hostName, arrivalDate, recipients, returned }: DsnFacts,
  isInternational: boolean,
): Part {
  const whom = recipients.length === 1 ? 'this recipient' : 'these recipients';
  const lines = [
    `This is the mail system at ${hostName}.`,
    '',
    `Your message of ${arrivalDate} could not be delivered to ${whom}. It will not be tried again.`,
    '',
    ...recipients.flatMap((recipient) => [`  <${recipient.address}>`, `    ${reasonOf(recipient)}`, '']),
    `${returned.is === 'message' ? 'The message' : 'Its header'} is attached.`,
  ].map((line) => cleanText(line, isInternational));
  return {
    type: `text/plain; charset=${isInternational ? 'utf-8' : 'us-ascii'}`,
    encoding: isInternational ? '8bit' : '7bit',
    body: encoder.encode(wrapped(lines)),
  };
}

function reasonOf({ status, diagnostic, remoteMta }: FailedRecipient): string {
  const isExpired = status.endsWith('.4.7');
  if (diagnostic === '') return isExpired ? 'No delivery was possible in time.' : `Status ${status}.`;
  const said = remoteMta === '' ? diagnostic : `${remoteMta} said: ${diagnostic}`;
  return isExpired ? `No delivery was possible in time. The last obstacle: ${said}` : said;
}

/** RFC 3464 section 2: fields of the message, then a group for each recipient. */
function deliveryStatus(facts: DsnFacts, isInternational: boolean): Part {
  const ofMessage = [
    `Reporting-MTA: dns; ${facts.hostName}`,
    ...(facts.envId === '' ? [] : [`Original-Envelope-Id: ${facts.envId}`]),
    `Arrival-Date: ${facts.arrivalDate}`,
  ];
  const groups = facts.recipients.map((recipient) => recipientFields(recipient, isInternational));
  const text = [ofMessage, ...groups]
    .map((fields) => fields.map((field) => `${folded(cleanText(field, isInternational))}\r\n`).join(''))
    .join('\r\n');
  return {
    type: isInternational ? 'message/global-delivery-status' : 'message/delivery-status',
    encoding: isInternational ? '8bit' : '7bit',
    body: encoder.encode(text),
  };
}

function recipientFields(recipient: FailedRecipient, isInternational: boolean): readonly string[] {
  const { address, orcpt, status, diagnostic, remoteMta, lastAttemptDate } = recipient;
  return [
    ...(orcpt === '' ? [] : [`Original-Recipient: ${decodedOrcpt(orcpt)}`]),
    `Final-Recipient: ${typedAddress(address, isInternational)}`,
    'Action: failed',
    `Status: ${status}`,
    ...(remoteMta === '' ? [] : [`Remote-MTA: dns; ${mtaName(remoteMta)}`]),
    ...(diagnostic === '' ? [] : [`Diagnostic-Code: ${typedDiagnostic(diagnostic)}`]),
    `Last-Attempt-Date: ${lastAttemptDate}`,
  ];
}

/** RFC 6533 section 3: `utf-8-addr-xtext` wherever the report itself is ASCII. */
function typedAddress(address: string, isInternational: boolean): string {
  if (isAscii(address)) return `rfc822; ${address}`;
  if (isInternational) return `utf-8; ${address}`;
  const xtext = address.replace(/[^\x21-\x7e]|[+=\\]/gu, (one) => {
    return `\\x{${one.codePointAt(0)!.toString(16).toUpperCase()}}`;
  });
  return `utf-8; ${xtext}`;
}

/** RFC 3461 section 4 and 5.2: the type stays, the address loses its encoding. */
function decodedOrcpt(orcpt: string): string {
  const at = orcpt.indexOf(';');
  const address = orcpt.slice(at + 1).replace(/\+([0-9A-F]{2})/g, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
  return `${at < 0 ? 'rfc822' : orcpt.slice(0, at)}; ${address}`;
}

/** RFC 3464 section 2.3.6. What no remote said is no SMTP reply. */
function typedDiagnostic(diagnostic: string): string {
  return `${/^[2-5]\d\d(?!\d)/.test(diagnostic) ? 'smtp' : 'x-penstock'}; ${diagnostic}`;
}

function mtaName(remote: string): string {
  const ip = parseIp(remote);
  if (ip === undefined) return remote;
  return ip.family === 4 ? `[${remote}]` : `[IPv6:${remote}]`;
}

/** RFC 6522 section 4, RFC 6533 section 5. A message may not be encoded (RFC 2046 section 5.2.1), a header may. */
function returnedPart({ is, bytes, smtpUtf8 }: ReturnedContent, isInternational: boolean): Part {
  const need = transferNeed(bytes);
  const isGlobal = smtpUtf8 && need === '8bit';
  if (is === 'message') {
    assert(need !== 'binary', 'what is returned whole can travel as it is');
    return { type: isGlobal ? 'message/global' : 'message/rfc822', encoding: need, body: bytes };
  }
  if (need === '7bit') return { type: 'text/rfc822-headers', encoding: need, body: bytes };
  if (isGlobal && isInternational) return { type: 'message/global-headers', encoding: need, body: bytes };
  const type = 'text/rfc822-headers; charset=utf-8';
  return { type, encoding: 'quoted-printable', body: quotedPrintable(bytes) };
}

function encodingField(encoding: Part['encoding']): string {
  return `Content-Transfer-Encoding: ${encoding}\r\n`;
}

/** One that stands in no part: the sender of a message could know what ours look like. */
function boundaryFor(messageId: string, parts: readonly Part[]): string {
  const decoder = new TextDecoder('latin1');
  const texts = parts.map(({ body }) => decoder.decode(body));
  let boundary = `=_${messageId.replace(/[^0-9A-Za-z.]/g, '_')}`.slice(0, 50);
  while (texts.some((text) => text.includes(boundary))) boundary += '_';
  return boundary;
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
