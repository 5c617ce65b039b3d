/** Where in the dialogue a receiver makes trouble. `dot`: content complete; `taken`: kept, not yet answered. */
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
   * `defer`: 451 instead of a yes. `close`: 421 and an orderly end. `silence`: nothing is answered any more.
   * `hangUp`: FIN without a reply. `reset`: RST without a reply.
   */
  readonly how: 'defer' | 'close' | 'silence' | 'hangUp' | 'reset';
  /** Chance each time the stage is reached; for `content` once a content, at any byte. */
  readonly rate: number;
}

/** How a modelled ISP behaves, as data. Zero or empty: it does not. Rates are chances from 0 to 1. */
export interface ReceiverBehaviour {
  /** EHLO keywords; undefined: it knows HELO only. */
  readonly extensions: readonly string[] | undefined;
  /** Connections one client address may hold. */
  readonly maxConnections: number;
  /** What one too many gets. */
  readonly overConnections: 'close' | 'reset';
  /** Messages a connection; MAIL after that gets 421. */
  readonly maxMessagesPerConnection: number;
  /** Messages from one client address in `rateWindowMs`; MAIL beyond gets 451. */
  readonly rateMessages: number;
  readonly rateWindowMs: number;
  /** How long a (client, sender, recipient) is greylisted with 450 from its first RCPT on. */
  readonly greylistMs: number;
  /** After a 421 the client address gets 421 as greeting for this time; doubled for each that follows. */
  readonly escalationMs: number;
  /** Of the recipients, how many are refused for good. */
  readonly refuseRate: number;
  /** Of the others, how many are deferred, 1 to `deferTimes` times. */
  readonly deferRate: number;
  readonly deferTimes: number;
  /** Of both, how many are judged at the final dot rather than at RCPT. */
  readonly atDotRate: number;
  readonly troubles: readonly ReceiverTrouble[];
  /** Each reply waits from 0 to this. */
  readonly tarpitMs: number;
  /** Per reply: several lines, no enhanced code or no text at all. All legal. */
  readonly oddReplyRate: number;
  /** Per content: it is not read for up to `stallMs`. */
  readonly stallRate: number;
  readonly stallMs: number;
  /** It closes on a client that says nothing for so long. */
  readonly idleMs: number;
}

/** What becomes of a recipient at a receiver, whatever happens around it. */
export type RecipientFate =
  | { readonly kind: 'accept' }
  | { readonly kind: 'refuse'; readonly at: 'rcpt' | 'dot' }
  | { readonly kind: 'defer'; readonly at: 'rcpt' | 'dot'; readonly times: number };

/** Accepts everything at once. */
export const friendlyReceiver: ReceiverBehaviour = {
  extensions: ['PIPELINING', '8BITMIME', 'SIZE 35882577', 'ENHANCEDSTATUSCODES', 'SMTPUTF8'],
  maxConnections: 0,
  overConnections: 'close',
  maxMessagesPerConnection: 0,
  rateMessages: 0,
  rateWindowMs: 0,
  greylistMs: 0,
  escalationMs: 0,
  refuseRate: 0,
  deferRate: 0,
  deferTimes: 0,
  atDotRate: 0,
  troubles: [],
  tarpitMs: 0,
  oddReplyRate: 0,
  stallRate: 0,
  stallMs: 0,
  idleMs: 300_000,
};
