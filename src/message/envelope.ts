import type { MessageId } from './messageId.ts';

/** RFC 5321 section 2.3.1: what travels beside the content. This is what the spool keeps of a message. */
export interface Envelope {
  readonly id: MessageId;
  /** When the last byte was received, wall milliseconds. */
  readonly timeQueuedMs: number;
  /** RFC 5321 reverse-path without angle brackets; '' is the null reverse-path. */
  readonly reversePath: string;
  readonly recipients: readonly EnvelopeRecipient[];
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  readonly wireForm: WireForm;
  /** The virtual MTA this message is queued under. */
  readonly vmta: string;
  /** The pool that chose `vmta`, or ''. */
  readonly vmtaPool: string;
  readonly jobId: string;
  readonly envId: string;
  readonly dsnReturn: DsnReturn;
  /** How and from where the message came in. */
  readonly reception: Reception;
}

export interface EnvelopeRecipient {
  /** RFC 5321 forward-path without brackets and source route, byte for byte as judged: `local@domain`. */
  readonly forwardPath: string;
  /** The domain that is routed: lower case, A-labels; `[192.0.2.1]` for a literal. */
  readonly domain: string;
  /** RFC 3461 ORCPT as given, or ''. */
  readonly orcpt: string;
}

/**
 * How the content's bytes are stored. `dotStuffed`: as DATA carried them, dots stuffed, the closing
 * CRLF.CRLF included. `raw`: as BDAT carried them, nothing stuffed, no terminator.
 */
export type WireForm = 'dotStuffed' | 'raw';

/** What a report of a failure gives back to the sender (RFC 3461 section 4.3); `none`: no report is sent. */
export type DsnReturn = 'none' | 'headers' | 'full';

export interface Reception {
  /** `local`: this server made it; all else is empty then. */
  readonly type: 'smtp' | 'local';
  /** The client's EHLO or HELO name. */
  readonly heloName: string;
  readonly clientAddress: string;
  readonly listenerAddress: string;
  readonly listenerPort: number;
}

/** Where the spool keeps a message: opaque to everyone else, cheap to hold by the million. */
export interface SpoolLocation {
  readonly segment: number;
  /** Offset of the envelope record in its segment, bytes. */
  readonly recordAt: number;
  readonly recordBytes: number;
}

/** One recipient of one message: the unit that is owed an outcome. */
export interface RecipientKey {
  readonly id: MessageId;
  readonly index: number;
}

/** A message's content: the trace header we add, and the bytes as they were received. */
export interface Content {
  /** Header lines of ours that go before the received content, CRLF-terminated; never dot-stuffed (no line begins with a dot). */
  readonly prefix: Uint8Array;
  readonly chunks: readonly Uint8Array[];
  /** Prefix and chunks together, bytes as stored. */
  readonly sizeBytes: number;
}
