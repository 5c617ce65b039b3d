import { openPolicy, type ReceiverPolicy } from './receiverPolicy.ts';

/** Where in the dialogue a receiver makes trouble. `dot`: content complete; `taken`: kept, not yet answered. */
export type ReceiverStage =
  | 'greeting'
  | 'ehlo'
  | 'starttls'
  | 'tls'
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
   * `hangUp`: FIN without a reply. `reset`: RST without a reply. `inject`: more than the reply, and no more
   * than that, for `starttls`. At `tls` there are no replies: `defer` and `close` are an alert.
   */
  readonly how: 'defer' | 'close' | 'silence' | 'hangUp' | 'reset' | 'inject';
  /** Chance each time the stage is reached; for `content` once a content, at any byte. */
  readonly rate: number;
}

/** How a modelled ISP behaves, as data. */
export interface ReceiverBehaviour extends ReceiverPolicy {
  /** EHLO keywords; undefined: it knows HELO only. STARTTLS among them is not said inside TLS. */
  readonly extensions: readonly string[] | undefined;
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

/** Accepts everything at once. */
export const friendlyReceiver: ReceiverBehaviour = {
  ...openPolicy,
  extensions: ['PIPELINING', '8BITMIME', 'SIZE 35882577', 'ENHANCEDSTATUSCODES', 'SMTPUTF8'],
  troubles: [],
  tarpitMs: 0,
  oddReplyRate: 0,
  stallRate: 0,
  stallMs: 0,
  idleMs: 300_000,
};
