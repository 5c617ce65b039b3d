/** What a client session is told once, and what it asks of its owner: data, never sockets. */
import type { DeliveryTransaction, RecipientResult } from './deliveryTransaction.ts';

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
  /**
   * One transaction may be handed over. With PIPELINING this follows the `send` of the last one's
   * content: who delivers before writing gives body and next envelope one write and one round trip.
   */
  | { readonly kind: 'ready' }
  /** The connection is of no further use. What it held is settled before; `close` follows. */
  | { readonly kind: 'failed'; readonly failure: ConnectionFailure }
  /** The last effect, once. Closing what is closed already does nothing. */
  | { readonly kind: 'close' };

export interface ConnectionFailure {
  /**
   * `refused`: a 4yz or 5yz to what every dialogue needs; `serviceClosing`: 421; `protocolError`: what
   * came was no answer to what was asked. `lost` while `idle` is a remote tired of waiting, no fault.
   */
  readonly kind: 'refused' | 'serviceClosing' | 'protocolError' | 'timedOut' | 'lost';
  /** Whose reply was awaited. */
  readonly during: 'connect' | 'idle' | Verb;
  /** The remote said 5yz: trying the same host again is of little use. */
  readonly permanent: boolean;
  readonly status: string;
  readonly diagnostic: string;
}

/** What a reply answers; `content` is the message up to its final dot. */
export type Verb = 'greeting' | 'ehlo' | 'helo' | 'rset' | 'mail' | 'rcpt' | 'data' | 'content' | 'quit';
