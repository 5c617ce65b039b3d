import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Envelope, Reception } from '../message/envelope.ts';
import type { QueueName } from '../message/names.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import type { BounceCategories } from './bounceCategory.ts';
import type { RecipientResult } from './deliveryTransaction.ts';
import type { LocalCause } from './nextHop.ts';

/** The remote a result came from, or that did not answer. */
export interface RemoteFacts {
  /** The name it was found under; the address where smtp-hosts names an address. */
  readonly host: string;
  readonly address: string;
  /** The local address of the connection; '0.0.0.0' when it was never bound. */
  readonly dlvSourceIp: string;
  readonly esmtpAvailable: string;
}

/** What an accounting row needs beside the result itself. */
export interface AttemptFacts {
  readonly envelope: Envelope;
  readonly queue: QueueName;
  /** Wall time. */
  readonly nowMs: number;
  /** undefined when none was involved. */
  readonly remote: RemoteFacts | undefined;
  /** Content bytes as transferred, `transferSizeBytes`. */
  readonly sizeBytes: number;
  /** Attempts made so far, this one included. */
  readonly attempts: number;
  /** Wall time before which a deferred recipient is not tried again. */
  readonly nextTryMs: number;
  readonly categoryOf: BounceCategories;
}

const neverBound = '0.0.0.0';
const diagnosticCharacters = 1000;

/** The event of one result; undefined for `notAttempted`, of which there is nothing to tell. */
export function deliveryEvent(result: RecipientResult, facts: AttemptFacts): DeliveryEvent | undefined {
  if (result.kind === 'notAttempted') return undefined;
  const { envelope, remote } = facts;
  const recipient = envelope.recipients[result.index]!;
  const delivered = result.kind === 'delivered';
  return {
    kind: result.kind,
    id: envelope.id,
    recipientIndex: result.index,
    timeLoggedMs: facts.nowMs,
    timeQueuedMs: envelope.timeQueuedMs,
    orig: envelope.reversePath,
    rcpt: recipient.forwardPath,
    orcpt: recipient.orcpt,
    status: result.status,
    diagnostic: oneLine(result.diagnostic),
    dsnMta: dsnMtaOf(remote),
    bounceCategory: delivered ? '' : facts.categoryOf(result.status, result.diagnostic),
    srcMta: srcMtaOf(envelope.reception),
    dlvSourceIp: remote?.dlvSourceIp ?? neverBound,
    dlvDestinationIp: remote?.address ?? neverBound,
    dlvEsmtpAvailable: remote?.esmtpAvailable ?? '',
    dlvSizeBytes: delivered ? facts.sizeBytes : 0,
    vmta: envelope.vmta,
    vmtaPool: envelope.vmtaPool,
    jobId: envelope.jobId,
    envId: envelope.envId,
    queue: facts.queue,
    attempts: facts.attempts,
    nextTryMs: facts.nextTryMs,
  };
}

/** Older than bounce-after. @param lastDiagnostic what the last attempt was told, or ''. */
export function expired(index: number, lastDiagnostic: string): RecipientResult {
  return { index, kind: 'failed', status: '4.4.7', diagnostic: lastDiagnostic, bodySent: false };
}

/** Of mail that asked for a virtual MTA that does not exist, and was accepted all the same (powermta c). */
export const noSuchVirtualMta: LocalCause = { status: '5.3.5', diagnostic: 'there is no such virtual MTA' };

/** Why a queue waits, or its recipients are given up without an attempt of their own. */
export interface RemoteCause extends LocalCause {
  /** Who said so, or did not answer. */
  readonly remote?: RemoteFacts | undefined;
}

/** The queue waits. @param nowMs wall time */
export function queueEvent(
  queue: QueueName,
  { status, diagnostic, remote }: RemoteCause,
  nowMs: number,
): QueueEvent {
  return {
    kind: 'queueFailed',
    queue,
    timeLoggedMs: nowMs,
    status,
    diagnostic: oneLine(diagnostic),
    dsnMta: dsnMtaOf(remote),
    dlvSourceIp: remote?.dlvSourceIp ?? neverBound,
    dlvDestinationIp: remote?.address ?? neverBound,
  };
}

/** Given up for a cause of ours: there is nobody to try. */
export function bouncedBy(
  index: number,
  cause: { readonly status: string; readonly diagnostic: string },
): RecipientResult {
  return { index, kind: 'failed', status: cause.status, diagnostic: cause.diagnostic, bodySent: false };
}

/** Not tried for a cause of ours or of the connection's (`LocalCause`, `ConnectionFailure`). */
export function deferredBy(
  index: number,
  cause: { readonly status: string; readonly diagnostic: string },
): RecipientResult {
  // A host that says 5yz to a connection has said nothing about this recipient.
  const status = `4${cause.status.slice(1)}`;
  return { index, kind: 'deferred', status, diagnostic: cause.diagnostic, bodySent: false };
}

function srcMtaOf({ type, heloName, clientAddress }: Reception): string {
  return type === 'local' ? '' : `${heloName} (${clientAddress})`;
}

function dsnMtaOf(remote: RemoteFacts | undefined): string {
  return remote === undefined ? '' : `${remote.host} (${remote.address})`;
}

function oneLine(text: string): string {
  const printable = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, '?');
  if (printable.length <= diagnosticCharacters) return printable;
  // Not between the halves of one character.
  const split = /[\ud800-\udbff]/.test(printable[diagnosticCharacters - 1]!);
  return printable.slice(0, diagnosticCharacters - (split ? 1 : 0));
}
