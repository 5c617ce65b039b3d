/** PowerMTA's category words (powermta d.4). */
export type BounceCategory =
  | 'bad-configuration'
  | 'bad-connection'
  | 'bad-domain'
  | 'bad-mailbox'
  | 'content-related'
  | 'inactive-mailbox'
  | 'invalid-sender'
  | 'message-expired'
  | 'no-answer-from-host'
  | 'other'
  | 'policy-related'
  | 'protocol-errors'
  | 'quota-issues'
  | 'relaying-issues'
  | 'routing-errors'
  | 'spam-related'
  | 'virus-related';

/** Matches when any of its marks does. */
interface CategoryRule {
  readonly category: BounceCategory;
  /** `subject.detail` of the RFC 3463 status, or `subject.*`. */
  readonly statuses?: readonly string[];
  /** Lower-case literals looked for anywhere in the diagnostic. */
  readonly words?: readonly string[];
  /** Reply codes, for remotes without enhanced codes. */
  readonly codes?: readonly string[];
}

/**
 * First match decides: statuses that name one cause, then what the words say, then the broad statuses
 * (x.7.1 is given for spam, relaying and much else), then bare reply codes.
 */
const rules: readonly CategoryRule[] = [
  { category: 'message-expired', statuses: ['4.7'] },
  { category: 'bad-mailbox', statuses: ['1.1', '1.3', '1.6'] },
  { category: 'bad-domain', statuses: ['1.2', '1.10'] },
  { category: 'invalid-sender', statuses: ['1.7', '1.8', '7.27'] },
  { category: 'inactive-mailbox', statuses: ['2.1'] },
  { category: 'quota-issues', statuses: ['2.2'] },
  { category: 'spam-related', words: ['spam', 'blacklist', 'blocklist', 'blocked using'] },
  { category: 'virus-related', words: ['virus', 'malware'] },
  { category: 'quota-issues', words: ['quota', 'mailbox full', 'mailbox is full'] },
  { category: 'relaying-issues', words: ['relay'] },
  { category: 'bad-mailbox', words: ['user unknown', 'unknown user', 'no such user', 'does not exist'] },
  { category: 'content-related', statuses: ['2.3', '3.4', '6.*'] },
  { category: 'bad-configuration', statuses: ['3.5'] },
  { category: 'no-answer-from-host', statuses: ['4.1'] },
  { category: 'bad-connection', statuses: ['4.2'] },
  { category: 'routing-errors', statuses: ['4.3', '4.4', '4.6'] },
  { category: 'protocol-errors', statuses: ['5.*'] },
  { category: 'policy-related', statuses: ['7.*'] },
  { category: 'protocol-errors', codes: ['500', '501', '502', '503', '504'] },
  { category: 'quota-issues', codes: ['552'] },
];

/**
 * The bounceCat of a failed or deferred recipient.
 * @param status RFC 3463 status, `5.1.1`
 * @param diagnostic the full reply on one line, or our words
 */
export function bounceCategory(status: string, diagnostic: string): BounceCategory {
  const detail = status.slice(status.indexOf('.') + 1);
  const subject = `${detail.slice(0, detail.indexOf('.'))}.*`;
  const text = diagnostic.toLowerCase();
  const code = text.slice(0, 3);
  const rule = rules.find(
    ({ statuses, words, codes }) =>
      statuses?.some((wanted) => wanted === detail || wanted === subject) ||
      words?.some((word) => text.includes(word)) ||
      codes?.includes(code),
  );
  return rule?.category ?? 'other';
}
