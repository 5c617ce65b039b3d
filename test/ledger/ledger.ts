/**
 * The three-way comparison that every end-to-end test ends with: what the client was told, what the
 * receiver got, what accounting says. It knows messages by their recipients, so each submission uses
 * addresses of its own (a doubled RCPT is one address twice).
 */
export class Ledger {
  readonly submissions: Submission[] = [];
  readonly receptions: Reception[] = [];
  accounting: readonly AccountingRow[] = [];

  violations(allowed: Allowed = nothingAllowed): Violation[] {
    return compare(this, allowed);
  }
}

/** One recipient of one message whose final dot was sent. */
export interface Submission {
  readonly recipient: string;
  readonly contentHash: string;
  /** `stored`: 250 after the dot. `refused`: any other reply. `unanswered`: the connection died first. */
  readonly told: 'stored' | 'refused' | 'unanswered';
}

/** One recipient of one message whose final dot arrived at the sink. */
export interface Reception {
  readonly recipient: string;
  /** Of the content without the trace header we add. */
  readonly contentHash: string;
  /** The sink answered 250 to the dot. */
  readonly accepted: boolean;
  /** Where it came from. */
  readonly clientAddress?: string;
  /** It came through TLS. */
  readonly isSecure?: boolean;
}

export interface AccountingRow {
  /** `d` and `b` are terminal. */
  readonly type: string;
  readonly recipient: string;
}

export interface Allowed {
  /** Recipients the spool may still owe: stored, without a terminal row yet. */
  readonly owed: number;
  /**
   * Recipients whose outcome may have been lost between the remote's 250 and our sync (architecture 1,
   * promise 2): each may arrive once more, or end otherwise at the second try.
   */
  readonly repeated: number;
}

export const nothingAllowed: Allowed = { owed: 0, repeated: 0 };

export interface Violation {
  readonly promise:
    | 'stored mail ends in a terminal row'
    | 'one terminal row a recipient'
    | 'what was refused is not kept'
    | 'a delivered row means the receiver has it'
    | 'content arrives unchanged'
    | 'no copies beyond the window'
    | 'nothing arrives that was not submitted'
    | 'no row for what was not submitted';
  readonly recipient: string;
  readonly detail: string;
}

interface Account {
  stored: number;
  unanswered: number;
  refused: number;
  readonly hashes: Set<string>;
  delivered: number;
  bounced: number;
  readonly accepted: string[];
  readonly seen: string[];
}

/** Every broken promise, one entry a recipient. */
export function compare(ledger: Ledger, allowed: Allowed): Violation[] {
  const found: Violation[] = [];
  const lost: Violation[] = [];
  const repeated: Violation[] = [];
  for (const [recipient, account] of accountsOf(ledger)) {
    const say = (list: Violation[], promise: Violation['promise'], detail: string): void =>
      void list.push({ promise, recipient, detail });
    const { stored, unanswered, refused, delivered, bounced, accepted, seen } = account;
    const submitted = stored + unanswered;
    const terminal = delivered + bounced;
    const rows = `${delivered} d, ${bounced} b`;

    if (submitted + refused === 0) {
      if (seen.length > 0) say(found, 'nothing arrives that was not submitted', `${seen.length} received`);
      if (terminal > 0) say(found, 'no row for what was not submitted', rows);
      continue;
    }
    if (submitted === 0 && (terminal > 0 || seen.length > 0)) {
      say(found, 'what was refused is not kept', `${rows}, ${seen.length} received`);
      continue;
    }
    // What reached the receiver was stored, whether or not the client heard of it.
    const kept = Math.max(stored, seen.length > 0 ? 1 : 0);
    if (terminal < kept)
      say(lost, 'stored mail ends in a terminal row', `${stored} stored, ${seen.length} received, ${rows}`);
    if (terminal > submitted) say(found, 'one terminal row a recipient', `${submitted} submitted, ${rows}`);
    const missing = delivered - accepted.length;
    if (missing > 0)
      say(found, 'a delivered row means the receiver has it', `${rows}, ${accepted.length} accepted`);
    if (seen.some((hash) => !account.hashes.has(hash)))
      say(found, 'content arrives unchanged', seen.join(' '));
    // Accepted more often than accounted as delivered, but for what is still owed or was never answered.
    const extra = accepted.length - Math.max(delivered, submitted - bounced);
    for (let i = 0; i < extra; i++)
      say(repeated, 'no copies beyond the window', `${accepted.length} accepted, ${rows}`);
  }
  if (lost.length > allowed.owed) found.push(...lost);
  if (repeated.length > allowed.repeated) found.push(...repeated);
  return found;
}

/** Recipients accepted once more than they were accounted: the window a crash may leave. */
export function repeatedCount(ledger: Ledger): number {
  return compare(ledger, { owed: Number.POSITIVE_INFINITY, repeated: 0 }).filter(
    ({ promise }) => promise === 'no copies beyond the window',
  ).length;
}

function accountsOf(ledger: Ledger): Map<string, Account> {
  const accounts = new Map<string, Account>();
  const of = (recipient: string): Account => {
    let account = accounts.get(recipient);
    if (account === undefined) {
      const none = { stored: 0, unanswered: 0, refused: 0, delivered: 0, bounced: 0 };
      account = { ...none, hashes: new Set(), accepted: [], seen: [] };
      accounts.set(recipient, account);
    }
    return account;
  };
  for (const { recipient, told, contentHash } of ledger.submissions) {
    const account = of(recipient);
    account[told]++;
    account.hashes.add(contentHash);
  }
  for (const { recipient, accepted, contentHash } of ledger.receptions) {
    const account = of(recipient);
    account.seen.push(contentHash);
    if (accepted) account.accepted.push(contentHash);
  }
  for (const { recipient, type } of ledger.accounting) {
    if (type === 'd') of(recipient).delivered++;
    if (type === 'b') of(recipient).bounced++;
  }
  return accounts;
}
