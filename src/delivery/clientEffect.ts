/** What a client session is told once, and what it asks of its owner: data, never sockets. */
import type { DeliveryTransaction, RecipientResult } from './deliveryTransaction.ts';
import type { Judgement } from './replyRules.ts';
import type { ReplySettings } from './replySettings.ts';

export interface ClientSettings {
  /** The name given in EHLO: the host name of the sending address. */
  readonly ehloName: string;
  readonly connectTimeoutMs: number;
  readonly greetingTimeoutMs: number;
  /** For the reply to every command; RFC 5321 section 4.5.3.2 asks for 5 minutes. */
  readonly commandTimeoutMs: number;
  /** How long the message may stand still on its way out. */
  readonly dataSendTimeoutMs: number;
  /** For the reply to the end of the message. */
  readonly dataTerminationTimeoutMs: number;
  /** From the first octets of a reply to its end. */
  readonly multiLineResponseTimeoutMs: number;
  /** `ifOffered`: in the clear where STARTTLS is not offered, or refused; `required`: never in the clear. */
  readonly starttls: 'never' | 'ifOffered' | 'required';
  /** EHLO keywords, upper case, that are treated as not offered. */
  readonly ignoredKeywords: ReadonlySet<string>;
  /** So many refused recipients end the connection; 0: no limit. */
  readonly maxErrors: number;
  readonly replies: ReplySettings;
}

export type ClientEffect =
  /** Chunks of `send` effects that follow one another may leave in one write, up to one with `endsWrite`. */
  | {
      readonly kind: 'send';
      readonly of: 'commands' | 'content';
      readonly chunks: readonly Uint8Array[];
      readonly endsWrite: boolean;
    }
  /** The end of a transaction: one result per recipient, in their order. */
  | {
      readonly kind: 'settled';
      readonly transaction: DeliveryTransaction;
      readonly results: readonly RecipientResult[];
      /** MAIL got a 4yz: the host takes nothing for now, whoever the recipients are (powermta f). */
      readonly mailDeferred: boolean;
    }
  /** The queue's rules ask for something: before what the reply means for recipients is told. */
  | {
      readonly kind: 'judged';
      readonly judgement: Judgement;
      readonly status: string;
      readonly diagnostic: string;
    }
  /**
   * One transaction may be handed over. With PIPELINING this follows the `send` of the last one's
   * content: who delivers before writing gives body and next envelope one write and one round trip.
   */
  | { readonly kind: 'ready' }
  /** The TLS handshake begins; `secured` ends it, or `lost`. Nothing is sent before. */
  | { readonly kind: 'startTls' }
  /** The connection is of no further use. What it held is settled before; `close` follows. */
  | { readonly kind: 'failed'; readonly failure: ConnectionFailure }
  /** The last effect, once. Closing what is closed already does nothing. */
  | { readonly kind: 'close' };

export interface ConnectionFailure {
  /**
   * `refused`: a 4yz or 5yz to what every dialogue needs; `serviceClosing`: 421; `mxSkipped`: this host is
   * of no use now, nobody is deferred for it; `protocolError`: what came was no answer to what was asked.
   * `lost` while `idle` is a remote tired of waiting, no fault. `tlsFailed`: the handshake came to no good
   * end; in the clear the same host may well do.
   */
  readonly kind:
    | 'refused'
    | 'serviceClosing'
    | 'mxSkipped'
    | 'protocolError'
    | 'timedOut'
    | 'lost'
    | 'tlsFailed';
  readonly during: Awaited;
  /** The remote said 5yz: trying the same host again is of little use. */
  readonly permanent: boolean;
  readonly status: string;
  readonly diagnostic: string;
}

/** What something is awaited for; `content` is the message up to its final dot. */
export type Verb =
  | 'connect'
  | 'greeting'
  | 'ehlo'
  | 'helo'
  | 'starttls'
  | 'tls'
  | 'rset'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'content'
  | 'quit';

/** What is awaited; `idle`: nothing. */
export type Awaited = Verb | 'idle';
