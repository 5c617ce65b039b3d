import { assert } from '../base/assert.ts';
import { type DeliveryTransaction, transferSizeBytes } from './deliveryTransaction.ts';
import type { RemoteOffer } from './remoteOffer.ts';

const encoder = new TextEncoder();

/** A parameter is sent only where the remote offered its extension. */
export function mailCommand(transaction: DeliveryTransaction, offer: RemoteOffer): string {
  let text = `MAIL FROM:<${transaction.reversePath}>`;
  if (offer.size) text += ` SIZE=${transferSizeBytes(transaction)}`;
  if (transaction.eightBit && offer.eightBitMime) text += ' BODY=8BITMIME';
  if (transaction.smtpUtf8 && offer.smtpUtf8) text += ' SMTPUTF8';
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
