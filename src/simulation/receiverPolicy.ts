import type { SeededRandom } from './seededRandom.ts';

/** A client address that a receiver does not trust. Rates are chances from 0 to 1, drawn for each message. */
export interface Distrust {
  readonly clientAddress: string;
  readonly deferRate: number;
  /** Refused for good. */
  readonly blockRate: number;
}

/** What a receiver judges by, as data. Zero or empty: it does not. Rates are chances from 0 to 1. */
export interface ReceiverPolicy {
  /** Connections one client address may hold. */
  readonly maxConnections: number;
  /** What one too many gets. */
  readonly overConnections: 'close' | 'reset';
  /** Messages a connection; MAIL after that gets 421. */
  readonly maxMessagesPerConnection: number;
  /** Messages taken from one client address in `rateWindowMs`; MAIL beyond is deferred. */
  readonly rateMessages: number;
  readonly rateWindowMs: number;
  /** How long RCPT is deferred from the first one on, for what `greylistBy` names. */
  readonly greylistMs: number;
  readonly greylistBy: 'triple' | 'client';
  /** After a 421 the client address gets 421 as greeting for this time; doubled for each that follows. */
  readonly escalationMs: number;
  /** Of the recipients, how many are refused for good. */
  readonly refuseRate: number;
  /** Of the others, how many have a full mailbox, whenever they are asked for. */
  readonly fullRate: number;
  /** Of the others, how many are deferred, 1 to `deferTimes` times. */
  readonly deferRate: number;
  readonly deferTimes: number;
  /** Of those refused and deferred, how many are judged at the final dot rather than at RCPT. */
  readonly atDotRate: number;
  readonly distrusted: readonly Distrust[];
  /** Where those hear of it. */
  readonly distrustAt: 'mail' | 'rcpt' | 'dot';
  /** Domains (d=) whose signatures do not convince: their messages are refused at the final dot. */
  readonly unauthenticated: readonly string[];
}

/** What becomes of a recipient at a receiver, whatever happens around it. */
export type RecipientFate =
  | { readonly kind: 'accept' }
  | { readonly kind: 'refuse'; readonly at: 'rcpt' | 'dot' }
  | { readonly kind: 'full'; readonly at: 'rcpt' }
  | { readonly kind: 'defer'; readonly at: 'rcpt' | 'dot'; readonly times: number };

/** Takes all mail at once. */
export const openPolicy: ReceiverPolicy = {
  maxConnections: 0,
  overConnections: 'close',
  maxMessagesPerConnection: 0,
  rateMessages: 0,
  rateWindowMs: 0,
  greylistMs: 0,
  greylistBy: 'triple',
  escalationMs: 0,
  refuseRate: 0,
  fullRate: 0,
  deferRate: 0,
  deferTimes: 0,
  atDotRate: 0,
  distrusted: [],
  distrustAt: 'mail',
  unauthenticated: [],
};

export function drawFate(random: SeededRandom, policy: ReceiverPolicy): RecipientFate {
  const { refuseRate, fullRate, deferRate, deferTimes, atDotRate } = policy;
  const at = random.chance(atDotRate) ? 'dot' : 'rcpt';
  if (random.chance(refuseRate)) return { kind: 'refuse', at };
  if (random.chance(fullRate)) return { kind: 'full', at: 'rcpt' };
  if (random.chance(deferRate)) return { kind: 'defer', at, times: 1 + random.below(deferTimes) };
  return { kind: 'accept' };
}
