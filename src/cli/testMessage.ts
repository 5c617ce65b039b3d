import { formatDateTime } from '../protocol/dateTime.ts';

export interface TestMessage {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly body: string;
  readonly nowMs: number;
  readonly zoneOffsetMinutes: number;
  /** The part of the Message-ID before the @. */
  readonly id: string;
}

/** A plain message (RFC 5322), UTF-8, CRLF. */
export function testMessage(message: TestMessage): Uint8Array {
  const domain = message.from.split('@').at(-1) || 'localhost';
  const header = [
    `From: <${message.from}>`,
    `To: <${message.to}>`,
    `Date: ${formatDateTime(message.nowMs, message.zoneOffsetMinutes)}`,
    `Message-ID: <${message.id}@${domain}>`,
    `Subject: ${encodedWord(message.subject)}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
  ];
  return withCrlf(new TextEncoder().encode(`${header.join('\n')}\n\n${message.body}`));
}

/** Whatever its line ends were: CRLF (RFC 5321 2.3.8), also behind the last line. */
export function withCrlf(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  const lines = text.replace(/\r\n|\r|\n/g, '\r\n');
  return new Uint8Array(
    Buffer.from(lines.endsWith('\r\n') || lines === '' ? lines : `${lines}\r\n`, 'latin1'),
  );
}

/** RFC 2047, where the text is not plain ASCII; without line breaks, which would end the field. */
function encodedWord(text: string): string {
  const line = text.replace(/[\r\n]+/g, ' ');
  return /^[\x20-\x7e]*$/.test(line) ? line : `=?utf-8?B?${Buffer.from(line).toString('base64')}?=`;
}
