import { type NamedRow, valueIn } from '../accountingTail.ts';

/** What became of the mail from one of our addresses to one ISP. */
export interface TallyLine {
  readonly isp: string;
  /** Our address on the connection of the first attempt. */
  readonly address: string;
  /** Recipients that were attempted. */
  readonly recipients: number;
  readonly delivered: number;
  readonly bounced: number;
  /** Attempts that ended in a deferral: t rows. */
  readonly deferrals: number;
  /** Recipients whose first attempt was deferred. */
  readonly firstDeferred: number;
  /** The refusal or deferral that most recipients met, what differs from message to message masked; '' without one. */
  readonly commonestReply: string;
}

interface Line extends TallyLine {
  recipients: number;
  delivered: number;
  bounced: number;
  deferrals: number;
  firstDeferred: number;
  /** Who met each. */
  readonly replies: Map<string, Set<string>>;
}

/** Counts accounting rows of mail to the domains of `ispOf`; a recipient belongs to its first attempt's address. */
export class Tally {
  readonly #ispOf: ReadonlyMap<string, string>;
  readonly #lines = new Map<string, Line>();
  readonly #lineOf = new Map<string, Line>();
  readonly #ended = new Set<string>();
  rows = 0;

  constructor(ispOf: ReadonlyMap<string, string>) {
    this.#ispOf = ispOf;
  }

  add(row: NamedRow): void {
    const recipient = valueIn(row, 'rcpt');
    const isp = this.#ispOf.get(recipient.slice(recipient.lastIndexOf('@') + 1));
    if (isp === undefined) return;
    this.rows += 1;
    const type = valueIn(row, 'type');
    let line = this.#lineOf.get(recipient);
    if (line === undefined) {
      line = this.#line(isp, valueIn(row, 'dlvSourceIp'));
      this.#lineOf.set(recipient, line);
      line.recipients += 1;
      if (type === 't') line.firstDeferred += 1;
    }
    if (type === 't') line.deferrals += 1;
    if (type === 'd') line.delivered += 1;
    if (type === 'b') line.bounced += 1;
    if (type === 'd' || type === 'b') this.#ended.add(recipient);
    if (type === 't' || type === 'b') {
      const reply = maskedReply(valueIn(row, 'dsnDiag'));
      const met = line.replies.get(reply);
      if (met === undefined) line.replies.set(reply, new Set([recipient]));
      else met.add(recipient);
    }
  }

  /** Recipients delivered or bounced. */
  get ended(): number {
    return this.#ended.size;
  }

  get totals(): Pick<TallyLine, 'recipients' | 'delivered' | 'bounced' | 'deferrals' | 'firstDeferred'> {
    const totals = { recipients: 0, delivered: 0, bounced: 0, deferrals: 0, firstDeferred: 0 };
    for (const line of this.#lines.values()) {
      for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += line[name];
    }
    return totals;
  }

  /** By ISP, then by address. */
  lines(): readonly TallyLine[] {
    const sorted = [...this.#lines].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([, { replies, ...line }]) => ({ ...line, commonestReply: commonest(replies) }));
  }

  #line(isp: string, address: string): Line {
    const key = `${isp} ${address}`;
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    const counts = { recipients: 0, delivered: 0, bounced: 0, deferrals: 0, firstDeferred: 0 };
    const line = { isp, address, ...counts, commonestReply: '', replies: new Map<string, Set<string>>() };
    this.#lines.set(key, line);
    return line;
  }
}

/** A diagnostic without what differs from message to message: addresses, recipients, the remote's own ids. */
export function maskedReply(dsnDiag: string): string {
  return dsnDiag
    .replace(/^smtp;/, '')
    .replace(/\[?\b\d{1,3}(?:\.\d{1,3}){3}\b\]?:? ?/g, '')
    .replace(/<?[^\s<>]+@[^\s<>]+>?/g, '*')
    .replace(/\b[0-9a-f]{8,}\b/g, '*');
}

function commonest(replies: ReadonlyMap<string, ReadonlySet<string>>): string {
  let best = '';
  let most = 0;
  for (const [reply, { size }] of replies) if (size > most) [best, most] = [reply, size];
  return best;
}
