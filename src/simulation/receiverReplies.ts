import type { Reply } from '../protocol/reply.ts';

/**
 * What a receiver says, cause by cause. `{client}` stands for the client's address, `{domain}` for the
 * domain that signed, `{recipient}` for the recipient, `{ticket}` for a word that is new each time.
 */
export interface ReceiverReplies {
  /** 421 all three: the connection ends with them. */
  readonly tooManyConnections: Reply;
  readonly turnedAway: Reply;
  readonly enoughMessages: Reply;
  readonly tooFast: Reply;
  readonly greylisted: Reply;
  readonly unknown: Reply;
  readonly full: Reply;
  /** A recipient is deferred; `laterAtDot`: the message is, for a recipient's sake. */
  readonly later: Reply;
  readonly laterAtDot: Reply;
  readonly refusedAtDot: Reply;
  readonly distrusted: Reply;
  readonly blocked: Reply;
  readonly unauthenticated: Reply;
}

const reply = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, lines: [text] });

/** In nobody's manner. */
export const plainReplies: ReceiverReplies = {
  tooManyConnections: reply(421, '4.7.0', 'too many connections from you'),
  turnedAway: reply(421, '4.7.0', 'you were told to go away'),
  enoughMessages: reply(421, '4.7.0', 'enough messages for one connection'),
  tooFast: reply(451, '4.7.1', 'you send too fast'),
  greylisted: reply(450, '4.2.0', 'greylisted'),
  unknown: reply(550, '5.1.1', 'no such user here'),
  full: reply(452, '4.2.2', 'mailbox full'),
  later: reply(450, '4.2.1', 'mailbox busy'),
  laterAtDot: reply(452, '4.3.1', 'cannot take this message now'),
  refusedAtDot: reply(554, '5.7.1', 'we do not like this message'),
  distrusted: reply(451, '4.7.1', 'we do not trust you'),
  blocked: reply(554, '5.7.1', 'we do not want your mail'),
  unauthenticated: reply(550, '5.7.26', 'the signature of {domain} does not convince us'),
};

/** The reply with its blanks filled in. */
export function filledReply(reply: Reply, blanks: Readonly<Record<string, string>>): Reply {
  const fill = (line: string): string =>
    line.replace(/\{(\w+)\}/g, (blank, name: string) => blanks[name] ?? blank);
  return { ...reply, lines: reply.lines.map(fill) };
}
