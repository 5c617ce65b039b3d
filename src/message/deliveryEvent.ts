import type { MessageId } from './messageId.ts';
import type { QueueName } from './names.ts';

/**
 * What happened to one recipient, with everything its accounting row needs, so that the recorder
 * reads nothing else (architecture 5). `delivered` and `failed` are terminal; `deferred` is not.
 */
export interface DeliveryEvent {
  readonly kind: DeliveryEventKind;
  readonly id: MessageId;
  readonly recipientIndex: number;
  readonly timeLoggedMs: number;
  readonly timeQueuedMs: number;
  /** The reverse-path; '' for the null one. */
  readonly orig: string;
  readonly rcpt: string;
  readonly orcpt: string;
  /** RFC 3463 code alone, `5.1.1`. The row adds the words. */
  readonly status: string;
  /** The remote's full reply on one line without `smtp;`, or what we say of a local cause, or ''. */
  readonly diagnostic: string;
  /** `mx.host (192.0.2.1)`, or '' when no remote was involved. */
  readonly dsnMta: string;
  /** PowerMTA's category word, '' for delivered. */
  readonly bounceCategory: string;
  /** `helo.name (192.0.2.9)` of the client that injected the message; '' when this server made it. */
  readonly srcMta: string;
  /** '0.0.0.0' when never bound. */
  readonly dlvSourceIp: string;
  readonly dlvDestinationIp: string;
  /** EHLO keywords the remote offered, in its order: `PIPELINING,8BITMIME`. */
  readonly dlvEsmtpAvailable: string;
  /** Content bytes as transferred (before dot-stuffing); only for `delivered`, otherwise 0. */
  readonly dlvSizeBytes: number;
  readonly vmta: string;
  readonly vmtaPool: string;
  readonly jobId: string;
  readonly envId: string;
  readonly queue: QueueName;
  /** For `deferred`: attempts made so far and the wall time before which the next may not start. */
  readonly attempts: number;
  readonly nextTryMs: number;
}

export type DeliveryEventKind = 'delivered' | 'failed' | 'deferred';
