/** What one mail transaction knows: all of it dies at RSET, EHLO and the end of the message (RFC 5321 4.1.1.5). */
import type { EnvelopeRecipient } from '../message/envelope.ts';
import type { Path } from '../protocol/path.ts';
import type { IncomingContent } from './incomingContent.ts';

export class Transaction {
  /** Without brackets; '' is the null reverse-path. */
  readonly reversePath: string;
  readonly smtpUtf8: boolean;
  readonly recipients: EnvelopeRecipient[] = [];
  content: IncomingContent | undefined;
  /** Memory of the recipients, roughly. */
  recipientBytes = 0;

  constructor(reversePath: string, smtpUtf8: boolean) {
    this.reversePath = reversePath;
    this.smtpUtf8 = smtpUtf8;
  }

  addRecipient(path: Path): void {
    this.recipients.push({ forwardPath: path.text, domain: path.domain, orcpt: '' });
    this.recipientBytes += 100 + path.text.length + path.domain.length;
  }
}
