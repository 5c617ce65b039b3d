import { createHash } from 'node:crypto';

export function contentHash(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('base64');
}

/** The content without the one Received field a relay put before it (RFC 5321 4.4). */
export function withoutTrace(content: Buffer): Buffer {
  if (!/^received:/i.test(content.toString('latin1', 0, 9))) return content;
  let at = content.indexOf('\r\n') + 2;
  while (content[at] === 0x20 || content[at] === 0x09) at = content.indexOf('\r\n', at) + 2;
  return content.subarray(at);
}

/** RFC 5321 4.5.2, as a client does; `content` ends in CRLF. */
export function dotStuffed(content: Buffer): Buffer {
  const text = content.toString('latin1').replace(/^\./gm, '..');
  return Buffer.from(text, 'latin1');
}

/** RFC 5321 4.5.2, as a server does; without the closing dot line. */
export function dotUnstuffed(content: Buffer): Buffer {
  const text = content.toString('latin1').replace(/(^|\r\n)\./g, '$1');
  return Buffer.from(text, 'latin1');
}
