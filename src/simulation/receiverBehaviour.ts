/** Where in the dialogue a receiver misbehaves. `dot`: content complete, not taken; `taken`: kept, not answered. */
export type ReceiverStage =
  | 'greeting'
  | 'ehlo'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'content'
  | 'dot'
  | 'taken'
  | 'rset'
  | 'quit';

export interface ReceiverTrouble {
  readonly at: ReceiverStage;
  /**
   * `close`: 421 and an orderly end. `silence`: nothing is answered any more. `hangUp`: FIN without a reply.
   * `reset`: RST without a reply.
   */
  readonly how: 'close' | 'silence' | 'hangUp' | 'reset';
  /** Chance each time the stage is reached (for `content`: once a content, at any byte). */
  readonly rate: number;
}

/** How a modelled ISP behaves, as data. Zero, empty or false: it does not. Rates are chances from 0 to 1. */
export interface ReceiverBehaviour {
  /** EHLO keywords; undefined: it knows HELO only. */
  readonly extensions: readonly string[] | undefined;
  /** Connections one client address may hold. */
  readonly maxConnections: number;
  /** What one too many gets. */
  readonly overConnections: 'close' | 'reset';
  /** Messages per connection; MAIL after that gets 421. */
  readonly maxMessagesPerConnection: number;
  /** Messages from one client address in `rateWindowMs`; MAIL beyond gets 451. */
  readonly rateMessages: number;
  readonly rateWindowMs: number;
  /** How long a (client, sender, recipient) is greylisted with 450 from its first RCPT on. */
  readonly greylistMs: number;
  /** After a 421 the client address gets 421 for a greeting during this time, doubled for each more. */
  readonly escalationMs: number;
  /** Recipients that are refused with 5xx for good. */
  readonly refuseRate: number;
  /** Recipients that are deferred with 4xx 1 to `deferTimes` times. */
  readonly deferRate: number;
  readonly deferTimes: number;
  /** Of those, how many are judged at the final dot rather than at RCPT. */
  readonly atDotRate: number;
  readonly troubles: readonly ReceiverTrouble[];
  /** Each reply waits from 0 to this. */
  readonly tarpitMs: number;
  /** Replies of several lines, without enhanced codes, without text, in several writes. */
  readonly oddReplyRate: number;
  /** It hangs up on a client that says nothing for so long. */
  readonly idleMs: number;
}

/** What becomes of a recipient at a receiver, whatever happens around it. */
export type RecipientFate =
  | { readonly kind: 'accept' }
  | { readonly kind: 'refuse'; readonly at: 'rcpt' | 'dot' }
  | { readonly kind: 'defer'; readonly at: 'rcpt' | 'dot'; readonly times: number };

/** Accepts everything at once. */
export declare const friendlyReceiver: ReceiverBehaviour;
