import type { ParsedReply } from '../protocol/reply.ts';
import type { Awaited } from './clientEffect.ts';
import type { Judgement, ReplyJudges } from './replyRules.ts';
import type { ReplySettings } from './replySettings.ts';

/** What a reply means for whom it answers, and for the queue. */
export interface ReplyMeaning {
  readonly reply: ParsedReply;
  /** As it is acted on: rules may turn 4 into 5 and the other way round. */
  readonly level: ReplyClass;
  /** RFC 3463, of the same class. */
  readonly status: string;
  readonly diagnostic: string;
  /** This host takes nothing for now, another one of the domain may: nobody fails or is deferred by it. */
  readonly skipsMx: boolean;
  /** What the queue's rules ask for; undefined: nothing. */
  readonly judgement: Judgement | undefined;
}

/** The one place where a reply becomes a disposition. @param verb what it answers; `idle`: nothing */
export function replyMeaning(reply: ParsedReply, verb: Awaited, settings: ReplySettings): ReplyMeaning {
  const said = replyClass(reply.code);
  const diagnostic = replyDiagnostic(reply);
  const judgement = judged(said, verb, diagnostic, settings.judges);
  const isUnavailable = reply.code === 421 && settings.smtp421MeansMxUnavailable;
  const skipsMx = awaited(verb) && (judgement?.actions.skipMx === true || isUnavailable);
  const fails = judgement?.actions.bounceRcpt === true && verb === 'rcpt';
  const level = said < 4 ? said : skipsMx ? 4 : fails ? 5 : said;
  const status = replyStatus(reply, verb === 'rcpt' ? settings : undefined);
  return { reply, level, status: `${level}${status.slice(1)}`, diagnostic, skipsMx, judgement };
}

/**
 * Who closes an idle connection says nothing of the host, QUIT is answered when all is said, and without
 * TLS the dialogue goes on.
 */
function awaited(verb: Awaited): boolean {
  return verb !== 'idle' && verb !== 'quit' && verb !== 'starttls';
}

/** A positive reply on the way is no news. */
function judged(
  said: ReplyClass,
  verb: Awaited,
  diagnostic: string,
  judges: ReplyJudges,
): Judgement | undefined {
  if (!awaited(verb)) return undefined;
  if (said >= 4) return judges.refused(diagnostic);
  return verb === 'content' ? judges.accepted(diagnostic) : undefined;
}

/** First digit of a reply code as we act on it. */
export type ReplyClass = 2 | 3 | 4 | 5;

/** RFC 5321 section 4.2.1; a code beyond 559 is nobody's word for a permanent failure, so it is temporary. */
export function replyClass(code: number): ReplyClass {
  return code >= 200 && code <= 559 ? (Math.floor(code / 100) as ReplyClass) : 4;
}

/**
 * The RFC 3463 status of a reply; `x.0.0` where the remote gave none.
 * @param rcpt the queue's settings where it answers RCPT, undefined elsewhere
 */
export function replyStatus(
  reply: ParsedReply,
  rcpt: Pick<ReplySettings, 'smtp553MeansInvalidMailbox'> | undefined,
): string {
  const level = replyClass(reply.code);
  if (reply.enhanced !== '') return `${level}${reply.enhanced.slice(1)}`;
  // "User not local; please try ...": RFC 5248's X.1.6.
  if (rcpt !== undefined && reply.code === 551) return '5.1.6';
  return rcpt?.smtp553MeansInvalidMailbox && reply.code === 553 ? '5.1.1' : `${level}.0.0`;
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
