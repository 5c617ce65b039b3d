import type { Content, WireForm } from '../message/envelope.ts';

/** One message to one or more recipients of one queue. */
export interface DeliveryTransaction {
  /** Without angle brackets; '' is the null reverse-path. */
  readonly reversePath: string;
  /** Never empty. */
  readonly recipients: readonly { readonly index: number; readonly forwardPath: string }[];
  readonly content: Content;
  readonly wireForm: WireForm;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
}

/** What became of one recipient in one transaction. */
export interface RecipientResult {
  readonly index: number;
  /** `notAttempted`: nothing was learnt about this recipient; it may go out again at once. */
  readonly kind: 'delivered' | 'failed' | 'deferred' | 'notAttempted';
  /** RFC 3463, `x.y.z`; '' for `notAttempted`. */
  readonly status: string;
  /** The remote's full reply, its lines joined by blanks, or our words for a local cause. */
  readonly diagnostic: string;
  /** The final dot went out and no final reply came: the remote may have the message (RFC 1047). */
  readonly bodySent: boolean;
}

/**
 * RFC 1870: octets of the message, end of data not counted. Stuffed dots are, where they are stored: the
 * RFC wants an estimate that is not too low.
 */
export function transferSizeBytes({ content, wireForm }: DeliveryTransaction): number {
  return wireForm === 'dotStuffed' ? content.sizeBytes - 3 : content.sizeBytes;
}
