/** One transaction on its way through a `ClientSession`: what is known of each recipient so far. */
import type { ParsedReply } from '../protocol/reply.ts';
import type { Verb } from './clientEffect.ts';
import type { DeliveryTransaction, RecipientResult } from './deliveryTransaction.ts';
import { type ReplyClass, replyDiagnostic, replyStatus } from './replyMeaning.ts';

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
  tooManyRecipients: boolean;
  /** A reply to one of its commands has come. */
  answered: boolean;
  contentSent: boolean;
}

export const notAttempted: Verdict = { kind: 'notAttempted', status: '', diagnostic: '', bodySent: false };

export function newJob(transaction: DeliveryTransaction, first: boolean, needsReset: boolean): Job {
  return {
    transaction,
    first,
    next: needsReset ? 0 : 1,
    verdicts: new Array<undefined>(transaction.recipients.length).fill(undefined),
    accepted: 0,
    mailRefused: false,
    tooManyRecipients: false,
    answered: false,
    contentSent: false,
  };
}

/** One result per recipient, in their order. @param accepted what it means for the accepted ones */
export function resultsOf(job: Job, unanswered: Verdict, accepted: Verdict): readonly RecipientResult[] {
  return job.transaction.recipients.map(({ index }, slot): RecipientResult => {
    const verdict = job.verdicts[slot] ?? unanswered;
    const { kind, status, diagnostic, bodySent } = verdict === 'accepted' ? accepted : verdict;
    return { index, kind, status, diagnostic, bodySent };
  });
}

export function verdictOf(reply: ParsedReply, level: ReplyClass, verb: Verb): Verdict {
  const kind = level === 2 ? 'delivered' : level === 5 ? 'failed' : 'deferred';
  const status = replyStatus(reply, verb === 'rcpt');
  return { kind, status, diagnostic: replyDiagnostic(reply), bodySent: false };
}
