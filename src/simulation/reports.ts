import type { AcctRow } from '../accounting/readRows.ts';
import type { SubmissionNote } from './injectorModel.ts';
import type { ReceptionNote } from './receiver.ts';

/** What there is to judge the reports of failures by that went to one sender. */
export interface ReportedSender {
  readonly address: string;
  /** Recipients of its message that were given up, as accounting has them. */
  readonly failed: readonly string[];
  /** Terminal rows of what was sent to it, one a report. */
  readonly rows: readonly AcctRow[];
  /** Only those that were taken. */
  readonly receptions: readonly ReceptionNote[];
}

/** One report, as its receiver got it: once or more. */
interface SeenReport {
  readonly contentHash: string;
  readonly named: readonly string[];
}

/** What is wrong with the reports to a sender: each failure is reported exactly once. */
export function reportFaults({ failed, rows, receptions }: ReportedSender): readonly string[] {
  const faults: string[] = [];
  const seen = new Map<string, SeenReport>();
  for (const { text, sender, contentHash } of receptions) {
    const id = /^Message-ID: <(.*)>\r$/m.exec(text)?.[1] ?? '';
    const named = Array.from(text.matchAll(/^Final-Recipient: rfc822; (.*)\r$/gm), ([, address]) => address!);
    if (sender !== '' || named.length === 0) faults.push(`no report of a failure: ${text.slice(0, 200)}`);
    const before = seen.get(id);
    if (before !== undefined && before.contentHash !== contentHash)
      faults.push(`two reports are called ${id}`);
    seen.set(id, { contentHash, named });
  }
  const named = [...seen.values()].flatMap((report) => report.named);
  for (const recipient of new Set(named)) {
    const times = named.filter((one) => one === recipient).length;
    const due = failed.filter((one) => one === recipient).length;
    if (times > due) faults.push(`${recipient} is reported ${times} times, and failed ${due} times`);
  }
  // A report that failed itself may never have been seen.
  const unseen = rows.length - seen.size;
  const unnamed = failed.filter((recipient) => !named.includes(recipient));
  if (unseen < 0) faults.push(`${seen.size} reports, yet ${rows.length} rows of them`);
  if (unnamed.length > 0 && unseen <= 0) faults.push(`not reported: ${unnamed.join(' ')}`);
  if (unseen > unnamed.length) faults.push(`${rows.length} reports for ${failed.length} failures`);
  const deliveries = rows.filter((row) => row.get('type') === 'd').length;
  if (deliveries > seen.size)
    faults.push(`${deliveries} reports are said to be delivered, ${seen.size} were`);
  return faults;
}

/** A report is mail like any other: as if it had been submitted, once for each row that tells its end. */
export function reportSubmissions({ address, rows }: ReportedSender): readonly SubmissionNote[] {
  return rows.map((_, number) => ({
    recipient: address,
    sender: '',
    message: -1 - number,
    contentHash: '',
    sizeBytes: 0,
    clientAddress: '',
    told: 'stored',
    dotMs: undefined,
    toldMs: 0,
  }));
}
