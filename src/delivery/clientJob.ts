/** One transaction on its way through a `ClientSession`: what is known of each recipient so far. */
import { isAscii, mailCommand, rcptCommand } from './clientCommands.ts';
import type { ConnectionFailure, Verb } from './clientEffect.ts';
import { headerIsAscii } from './dataTransfer.ts';
import { type DeliveryTransaction, type RecipientResult, transferSizeBytes } from './deliveryTransaction.ts';
import type { RemoteOffer } from './remoteOffer.ts';
import { isTooManyRecipients, type ReplyMeaning } from './replyMeaning.ts';

/** How a recipient ends. */
export type Verdict = Omit<RecipientResult, 'index'>;

export interface Job {
  readonly transaction: DeliveryTransaction;
  /** No other transaction went before it on this connection. */
  readonly first: boolean;
  /** The next command of the envelope: 0 RSET, 1 MAIL, 2 the first RCPT ... and after the last one DATA. */
  next: number;
  /** What is known of each recipient: undefined while unanswered or untried. */
  readonly verdicts: (Verdict | 'accepted' | undefined)[];
  accepted: number;
  mailRefused: boolean;
  /** No further RCPT is sent: the remote takes no more, or has refused too many. */
  takesNoMore: boolean;
  /** A reply to one of its commands has come. */
  answered: boolean;
  contentSent: boolean;
}

const assumedDelivered: Verdict = {
  kind: 'delivered',
  status: '2.0.0',
  diagnostic: 'no reply to the message in time: assumed to be delivered',
  bodySent: true,
};

export const notAttempted: Verdict = { kind: 'notAttempted', status: '', diagnostic: '', bodySent: false };

export function newJob(transaction: DeliveryTransaction, first: boolean, needsReset: boolean): Job {
  return {
    transaction,
    first,
    next: needsReset ? 0 : 1,
    verdicts: new Array<undefined>(transaction.recipients.length).fill(undefined),
    accepted: 0,
    mailRefused: false,
    takesNoMore: false,
    answered: false,
    contentSent: false,
  };
}

/** Of the envelope only DATA is to be sent, if anybody was accepted. */
export function isOnlyDataLeft({ transaction, next, mailRefused, takesNoMore }: Job): boolean {
  return mailRefused || takesNoMore || next === transaction.recipients.length + 2;
}

/** The next command of the envelope, and whose reply it brings. DATA is the last one. */
export function nextCommand(job: Job, offer: RemoteOffer): readonly [text: string, verb: Verb, slot: number] {
  const { transaction } = job;
  const position = isOnlyDataLeft(job) ? transaction.recipients.length + 2 : job.next;
  job.next = position + 1;
  if (position === 0) return ['RSET\r\n', 'rset', 0];
  if (position === 1) return [mailCommand(transaction, offer), 'mail', 0];
  const slot = position - 2;
  const recipient = transaction.recipients[slot];
  if (recipient === undefined) return ['DATA\r\n', 'data', 0];
  return [rcptCommand(recipient.forwardPath), 'rcpt', slot];
}

export function recipientAccepted(job: Job, slot: number): void {
  if (job.mailRefused) return;
  job.verdicts[slot] = 'accepted';
  job.accepted++;
}

/** @returns whether it is a refusal of that recipient */
export function recipientRefused(job: Job, slot: number, meaning: ReplyMeaning): boolean {
  if (job.mailRefused) return false;
  if (job.accepted > 0 && isTooManyRecipients(meaning.reply)) {
    // No verdict: it comes back `notAttempted`. Somebody was accepted, so each round gets further.
    job.takesNoMore = true;
    return false;
  }
  job.verdicts[slot] = verdictOf(meaning);
  return true;
}

/** One result per recipient, in their order. @param accepted what it means for the accepted ones */
export function resultsOf(job: Job, unanswered: Verdict, accepted = unanswered): readonly RecipientResult[] {
  return job.transaction.recipients.map(({ index }, slot): RecipientResult => {
    const verdict = job.verdicts[slot] ?? unanswered;
    const { kind, status, diagnostic, bodySent } = verdict === 'accepted' ? accepted : verdict;
    return { index, kind, status, diagnostic, bodySent };
  });
}

/**
 * The end of the connection, for its open transactions: the oldest bears it, unless it met a connection that
 * had already served others and did not answer it at all. What waits behind it was not attempted.
 * @param isContentHere some of the content has certainly not left
 * @param assumesDelivery of a content that has left, if its reply does not come in time
 */
export function resultsUponFailure(
  job: Job,
  isOldest: boolean,
  { kind, during, status, diagnostic }: ConnectionFailure,
  isContentHere: boolean,
  assumesDelivery: boolean,
): readonly RecipientResult[] {
  const verdict: Verdict = { kind: 'deferred', status, diagnostic, bodySent: false };
  if (kind === 'mxSkipped') return resultsOf(job, notAttempted);
  if (!isOldest || !(job.first || job.answered)) {
    job.verdicts.fill(undefined);
    return resultsOf(job, notAttempted);
  }
  // Who has no reply to RCPT by now is not part of what was sent.
  const bodySent = kind !== 'serviceClosing' && !isContentHere;
  const isInTime = kind !== 'timedOut' || during !== 'content';
  const isAssumed = assumesDelivery && !isInTime && !isContentHere;
  if (job.contentSent) {
    return resultsOf(job, notAttempted, isAssumed ? assumedDelivered : { ...verdict, bodySent });
  }
  // Refusals by a remote that is out of step may have been meant for something else.
  if (kind === 'protocolError') job.verdicts.fill(undefined);
  return resultsOf(job, verdict);
}

export function verdictOf({ level, status, diagnostic }: ReplyMeaning): Verdict {
  const kind = level === 2 ? 'delivered' : level === 5 ? 'failed' : 'deferred';
  return { kind, status, diagnostic, bodySent: false };
}

/**
 * Gives the verdicts that need no remote, and says whether there were any; a recipient without one then
 * waits for the next transaction.
 */
export function judgedHere({ transaction, verdicts }: Job, offer: RemoteOffer): boolean {
  const sizeBytes = transferSizeBytes(transaction);
  if (sizeBytes > offer.sizeLimitBytes) {
    const diagnostic = `message of ${sizeBytes} bytes exceeds the remote's limit of ${offer.sizeLimitBytes}`;
    verdicts.fill({ kind: 'failed', status: '5.3.4', diagnostic, bodySent: false });
    return true;
  }
  if (!transaction.smtpUtf8 || offer.smtpUtf8) return false;
  const all = !isAscii(transaction.reversePath) || !headerIsAscii(transaction.content);
  const diagnostic = 'SMTPUTF8 is needed and the remote does not offer it';
  const verdict: Verdict = { kind: 'failed', status: '5.6.7', diagnostic, bodySent: false };
  for (const [slot, { forwardPath }] of transaction.recipients.entries()) {
    if (all || !isAscii(forwardPath)) verdicts[slot] = verdict;
  }
  return verdicts.includes(verdict);
}
