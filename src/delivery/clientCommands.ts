import { assert } from '../base/assert.ts';
import { type DeliveryTransaction, transferSizeBytes } from './deliveryTransaction.ts';

const encoder = new TextEncoder();

/** EHLO keywords in upper case with their parameters, in the remote's order (RFC 5321 section 4.1.1.1). */
export type Capabilities = ReadonlyMap<string, string>;

/** @param lines the text lines of a positive EHLO reply; the first is the remote's greeting. */
export function parseCapabilities(lines: readonly string[]): Capabilities {
  const capabilities = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const match = /^([A-Za-z0-9][A-Za-z0-9-]{0,63})(?: +(.*))?$/.exec(line.trimEnd());
    if (match !== null) capabilities.set(match[1]!.toUpperCase(), match[2] ?? '');
  }
  return capabilities;
}

/** RFC 1870: the largest message the remote takes, octets; Infinity where it names no limit. */
export function sizeLimit(capabilities: Capabilities): number {
  const text = capabilities.get('SIZE') ?? '';
  const limit = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}

/** A parameter is sent only where the remote offered its extension. */
export function mailCommand(transaction: DeliveryTransaction, capabilities: Capabilities): string {
  let text = `MAIL FROM:<${transaction.reversePath}>`;
  if (capabilities.has('SIZE')) text += ` SIZE=${transferSizeBytes(transaction)}`;
  if (transaction.eightBit && capabilities.has('8BITMIME')) text += ' BODY=8BITMIME';
  if (transaction.smtpUtf8 && capabilities.has('SMTPUTF8')) text += ' SMTPUTF8';
  return commandLine(text);
}

export function rcptCommand(forwardPath: string): string {
  return commandLine(`RCPT TO:<${forwardPath}>`);
}

/** The one way a text of ours becomes a command: a line end or NUL inside is our bug and never leaves. */
export function commandLine(text: string): string {
  assert(!/[\r\n\0]/.test(text), 'a command holds no CR, LF or NUL');
  return `${text}\r\n`;
}

/** Command lines as they go to the wire (RFC 6531: UTF-8). */
export function encodeCommands(lines: string): Uint8Array {
  return encoder.encode(lines);
}

export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}
