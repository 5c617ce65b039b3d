import type { ParsedReply } from '../protocol/reply.ts';

/** First digit of a reply code as we act on it. */
export type ReplyClass = 2 | 3 | 4 | 5;

/** RFC 5321 section 4.2.1; a code beyond 559 is nobody's word for a permanent failure, so it is temporary. */
export function replyClass(code: number): ReplyClass {
  return code >= 200 && code <= 559 ? (Math.floor(code / 100) as ReplyClass) : 4;
}

/**
 * Status for refusals of RCPT without an enhanced code. 553: PowerMTA's smtp-553-means-invalid-mailbox,
 * on by default; 551: "user not local; please try ...", RFC 5248's X.1.6.
 */
const bareRcptStatuses = new Map([
  [551, '5.1.6'],
  [553, '5.1.1'],
]);

/** The RFC 3463 status of a reply; `x.0.0` where the remote gave none. */
export function replyStatus(reply: ParsedReply, answersRcpt: boolean): string {
  const level = replyClass(reply.code);
  if (reply.enhanced !== '') return `${level}${reply.enhanced.slice(1)}`;
  return (answersRcpt ? bareRcptStatuses.get(reply.code) : undefined) ?? `${level}.0.0`;
}

/** The whole reply on one line; an enhanced code that every line repeats is kept once. */
export function replyDiagnostic(reply: ParsedReply): string {
  const { code, enhanced, lines } = reply;
  const text = lines.map((line, at) => {
    const repeats = at > 0 && enhanced !== '' && line.startsWith(`${enhanced} `);
    return repeats ? line.slice(enhanced.length + 1) : line;
  });
  return (code === 0 ? text.join(' ') : `${code} ${text.join(' ')}`).trimEnd();
}

/**
 * RFC 5321 section 4.5.3.1.10: the transaction holds all the recipients the remote takes at once. 552 is
 * the older code. Without an enhanced code only 452 says so.
 */
export function isTooManyRecipients(reply: ParsedReply): boolean {
  if (reply.enhanced !== '') return reply.enhanced.endsWith('.5.3');
  return reply.code === 452;
}
