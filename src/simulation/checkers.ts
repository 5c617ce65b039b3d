import { type AcctRow, readRows } from '../accounting/readRows.ts';
import { dayOf } from '../base/calendar.ts';
import type { Case, Say, Violation } from './case.ts';
import type { Evidence } from './evidence.ts';
import type { SubmissionNote } from './injectorModel.ts';
import { checkGuarded, checkLimits, checkQueueRetries } from './queueCheckers.ts';
import { checkRates } from './rateChecks.ts';
import type { Receiver, ReceptionNote, VerdictNote } from './receiver.ts';
import { type ReportedSender, reportFaults, reportSubmissions } from './reports.ts';
import { negativeTtlMs } from './simulatedDns.ts';
import type { WorldDomain } from './worldConfig.ts';
import { isBounceOfDns } from './worldRoutes.ts';

/** One recipient address, with all that was seen of it. */
interface Account {
  readonly recipient: string;
  readonly submissions: SubmissionNote[];
  readonly receptions: ReceptionNote[];
  readonly verdicts: Verdict[];
  /** Rows by the accounting file's configured path. */
  readonly rows: Map<string, AcctRow[]>;
  receiver: Receiver | undefined;
  domain: WorldDomain | undefined;
  /** A sender's: what it gets are reports of ours. */
  isReports: boolean;
}

interface Verdict extends VerdictNote {
  /** When the engine had read it; Infinity: it never did. */
  readonly knownMs: number;
  /** By when the engine had made an outcome of it. */
  settledMs: number;
}

/** Attempts that were under way when a deadline passed may end, partitions included. */
const attemptMaxMs = 5 * 60_000;
/** From a deadline to the row, where nothing was under way: a disk may be stuck, and read again in vain. */
const expiryMaxMs = 200_000;
/** How much later than its receiver a client hears that a connection is over. */
const heardWithinMs = 2000;
/** Times in accounting files are whole seconds. */
const rowTimeMs = 1000;

/** Every broken promise, at most some of each. */
export function judge(given: Case): readonly Violation[] {
  const found: Violation[] = [];
  const say: Say = (promise, detail) => {
    if (found.length < violationsMax) found.push({ promise, detail });
  };
  checkLimits(given, say);
  checkRates(given, say);
  checkQueueRetries(given, say);
  checkGuarded(given, say);
  for (const violation of given.injectorViolations) say('the protocol is kept', violation);
  for (const { receiver } of given.receivers) {
    for (const violation of receiver.violations) say('the protocol is kept', violation);
  }
  const accounts = accountsOf(given, say);
  takeUpReports(accounts, given, say);
  for (const account of accounts.values()) {
    for (const check of account.isReports ? reportChecks : accountChecks)
      check(account, given, (promise, detail) => {
        say(promise, `${account.recipient}: ${detail}; ${historyText(account)}`);
      });
  }
  return found;
}

const violationsMax = 20;

type Check = (account: Account, given: Case, say: Say) => void;

const accountChecks: readonly Check[] = [
  checkSubmitted,
  checkRows,
  checkContent,
  checkDeliveredRow,
  checkCopies,
  checkNothingAfterTheEnd,
  checkRetries,
  checkBounceAfter,
];

/** What holds for reports; that each failure has its one is judged by `reportFaults`. */
const reportChecks: readonly Check[] = [
  checkSubmitted,
  checkRows,
  checkDeliveredRow,
  checkCopies,
  checkNothingAfterTheEnd,
  checkBounceAfter,
];

function takeUpReports(
  accounts: ReadonlyMap<string, Account>,
  { submissions, receivers }: Case,
  say: Say,
): void {
  const failed = new Map<string, string[]>();
  for (const { recipient, rows } of accounts.values()) {
    for (const row of terminalRows(rows)) {
      // Of what an operator deletes nobody is told.
      if (row.get('type') !== 'b' || row.get('orig') === '' || isDeleted(row)) continue;
      const others = failed.get(row.get('orig')) ?? [];
      failed.set(row.get('orig'), [...others, recipient]);
    }
  }
  for (const address of new Set(submissions.map(({ sender }) => sender))) {
    const account = accounts.get(address);
    const sender: ReportedSender = {
      address,
      failed: failed.get(address) ?? [],
      rows: account === undefined ? [] : terminalRows(account.rows),
      receptions: account?.receptions.filter(({ isTaken }) => isTaken) ?? [],
    };
    if (address === '') continue;
    for (const fault of reportFaults(sender))
      say('a sender is told of each failure once', `${address}: ${fault}`);
    if (account === undefined) continue;
    account.isReports = true;
    account.submissions.push(...reportSubmissions(sender));
    account.domain = receivers.find(({ domain }) => address.endsWith(`@${domain.name}`))?.domain;
  }
}

function checkSubmitted({ submissions, receptions, verdicts, rows }: Account, _: Case, say: Say): void {
  const seen = `${receptions.length} received, ${verdicts.length} attempts, rows ${rowsText(rows)}`;
  const isSeen = receptions.length + verdicts.length + rows.size > 0;
  if (submissions.length === 0) say('nothing is delivered that was not submitted', seen);
  const isRefused = submissions.length > 0 && submissions.every(({ told }) => told === 'refused');
  if (isRefused && isSeen) say('what was refused is not kept', seen);
}

/** Each accounting file that asks for an outcome holds its row once. */
function checkRows({ submissions, rows, isReports }: Account, { acctFiles }: Case, say: Say): void {
  const stored = submissions.filter(({ told }) => told === 'stored').length;
  const most = submissions.filter(({ told }) => told !== 'refused').length;
  if (most === 0) return;
  const terminal = terminalRows(rows).length;
  if (terminal < stored) say('stored mail ends in a terminal row', `${stored} stored, ${rowsText(rows)}`);
  if (terminal > most) say('one terminal row a recipient', `${most} submitted, ${rowsText(rows)}`);
  for (const { path, records } of acctFiles) {
    const types = (rows.get(path) ?? []).map((row) => row.get('type'));
    const count = (type: string): number => types.filter((one) => one === type).length;
    const asks = records.split(',');
    const expected = terminalRows(rows).filter((row) => asks.includes(row.get('type'))).length;
    if (count('d') + count('b') !== expected) {
      say('each file that asks for an outcome has its row once', rowsText(rows));
    }
    const receiptsDue = isReports ? [0, 0] : [terminal, most];
    if (asks.includes('r') && (count('r') < receiptsDue[0]! || count('r') > receiptsDue[1]!)) {
      say('each file that asks for an outcome has its row once', rowsText(rows));
    }
  }
}

function checkContent({ submissions, receptions }: Account, _: Case, say: Say): void {
  const hashes = new Set(submissions.map(({ contentHash }) => contentHash));
  if (submissions.length === 0 || receptions.every(({ contentHash }) => hashes.has(contentHash))) return;
  say('content arrives unchanged', receptions.map(({ contentHash }) => contentHash).join(' '));
}

/** What a row says is what the receiver saw. */
function checkDeliveredRow(account: Account, given: Case, say: Say): void {
  const { rows, receptions, verdicts, receiver, submissions } = account;
  const { vmtas } = given;
  for (const row of terminalRows(rows)) {
    const text = row.fields.join(',');
    const isDelivered = row.get('type') === 'd';
    const isExpired = row.get('dsnStatus').startsWith('4.4.7');
    const vmta = vmtas.find(({ name }) => name === row.get('vmta'));
    if (vmta === undefined || submissions.every(({ sender }) => sender !== row.get('orig'))) {
      say('a row says what happened', text);
    }
    if (isExpired || isDeleted(row) || isUnroutable(row, account, given)) continue;
    const at = row.get('dlvDestinationIp');
    if (row.get('dlvSourceIp') !== vmta?.address || !receiver?.at.some(({ address }) => address === at)) {
      say('a row says what happened', text);
    }
    const code = /^smtp;(\d)/.exec(row.get('dsnDiag'))?.[1];
    const isSaid = isDelivered
      ? code === '2' && receptions.some((one) => one.isAccepted && one.clientAddress === vmta?.address)
      : code === '5' && verdicts.some((one) => Math.floor(one.code / 100) === 5);
    if (!isSaid)
      say(isDelivered ? 'a delivered row means the receiver has it' : 'a row says what happened', text);
  }
}

/** By the operator of the fault plan; nobody else says so. */
function isDeleted(row: AcctRow): boolean {
  return row.get('dsnDiag').includes('deleted by administrator');
}

/** Bounced without a remote, and DNS said what it takes: as long before as answers are kept and a spool may be stuck. */
function isUnroutable(row: AcctRow, { domain }: Account, given: Case): boolean {
  const [status] = row.get('dsnStatus').split(' ');
  if (domain === undefined || row.get('type') !== 'b' || row.get('dlvDestinationIp') !== '0.0.0.0')
    return false;
  const loggedMs = rowMs(row.get('timeLogged')) - given.wallStartMs;
  const slackMs = given.wallStepsMs + rowTimeMs;
  return isBounceOfDns(domain, status!, (name) =>
    given.absences.some(
      (one) =>
        one.name === name &&
        one.atMs <= loggedMs + slackMs &&
        one.atMs >= loggedMs - slackMs - negativeTtlMs - expiryMaxMs,
    ),
  );
}

/** A second copy only where the engine could not know of the first, or died before it had synced it. */
function checkCopies(account: Account, { evidence }: Case, say: Say): void {
  const { submissions, receptions, verdicts, rows } = account;
  const taken = receptions.filter(({ isTaken }) => isTaken);
  if (submissions.length > 1) return;
  for (const copy of taken) {
    const reply = verdicts.find(
      ({ stage, code, connection, atMs }) =>
        stage === 'dot' && code === 250 && connection === copy.connection && atMs >= copy.atMs,
    );
    if (reply === undefined || reply.knownMs === Number.POSITIVE_INFINITY) continue;
    const next = taken.find((one) => one !== copy && isLater(account, one, reply.knownMs));
    if (next !== undefined && !mayBeForgotten(reply, next.atMs, evidence)) {
      say('no copies beyond the window', `accepted at ${copy.atMs}, again at ${next.atMs}`);
    }
    const isBounced = terminalRows(rows).some((row) => row.get('type') === 'b');
    if (next === undefined && isBounced && !mayBeForgotten(reply, Number.POSITIVE_INFINITY, evidence)) {
      say('a row says what happened', `accepted at ${copy.atMs}, yet ${rowsText(rows)}`);
    }
  }
}

function checkNothingAfterTheEnd(account: Account, { evidence }: Case, say: Say): void {
  if (account.submissions.length > 1) return;
  for (const verdict of account.verdicts) {
    if (verdict.code < 500 || verdict.stage === 'data') continue;
    const laterMs = nextAttemptMs(account, verdict);
    if (laterMs !== undefined && !mayBeForgotten(verdict, laterMs, evidence)) {
      const detail = `${verdict.code} at ${verdict.knownMs}, tried again at ${laterMs}`;
      say('nothing is tried after a terminal outcome', detail);
    }
  }
}

/** retry-recipients-after, over restarts too. */
function checkRetries(account: Account, { evidence, wallStepsMs }: Case, say: Say): void {
  const { domain, submissions } = account;
  if (submissions.length > 1 || domain === undefined) return;
  for (const verdict of account.verdicts) {
    const { code, stage, knownMs } = verdict;
    if (code < 400 || code >= 500 || code === 421 || stage === 'data') continue;
    const nextMs = nextAttemptMs(account, verdict);
    if (nextMs === undefined || mayBeForgotten(verdict, nextMs, evidence)) continue;
    // Whose deadline comes first is looked at then, and may just be in time for a last try.
    const { dotMs } = submissions[0] ?? {};
    if (dotMs !== undefined && nextMs >= dotMs + domain.bounceAfterMs - wallStepsMs - 1000) continue;
    const waitedMs = nextMs - knownMs;
    if (waitedMs < domain.retryRecipientsAfterMs - wallStepsMs - 1) {
      say('nothing is retried before its time', `${code} at ${knownMs}, tried again after ${waitedMs} ms`);
    }
  }
}

/** When the recipient was named again after the engine had read this; undefined: never. */
function nextAttemptMs(account: Account, { knownMs }: Verdict): number | undefined {
  const later = [...account.verdicts, ...account.receptions].filter((one) => isLater(account, one, knownMs));
  return later.length === 0 ? undefined : Math.min(...later.map(({ atMs }) => atMs));
}

/**
 * Whether something was sent after that moment. What a dead engine had sent before may lie in the network,
 * or before a receiver that does not read, for a while.
 */
function isLater(
  { receiver, verdicts }: Account,
  { atMs, connection }: VerdictNote | ReceptionNote,
  thanMs: number,
): boolean {
  if (atMs <= thanMs) return false;
  if (receiver!.connections[connection]!.openedMs > thanMs) return true;
  const isRead = (one: Verdict): boolean => one.knownMs >= atMs && one.knownMs !== Number.POSITIVE_INFINITY;
  return verdicts.some((one) => one.connection === connection && isRead(one));
}

/** Whether the engine may have died before what it made of this verdict was synced. */
function mayBeForgotten({ knownMs, settledMs }: Verdict, untilMs: number, evidence: Evidence): boolean {
  return evidence.mayBeForgotten(knownMs, Math.max(knownMs, settledMs), untilMs);
}

function checkBounceAfter(account: Account, { wallStepsMs, downMs }: Case, say: Say): void {
  const { rows, verdicts, domain, submissions } = account;
  if (domain === undefined) return;
  for (const row of terminalRows(rows)) {
    if (!row.get('dsnStatus').startsWith('4.4.7')) continue;
    const aliveMs = rowMs(row.get('timeLogged')) - rowMs(row.get('timeQueued'));
    if (aliveMs + rowTimeMs + wallStepsMs < domain.bounceAfterMs) {
      say('bounce-after is kept', `expired after ${aliveMs} ms`);
    }
    const lateMs = downMs + wallStepsMs + (domain.isDead ? expiryMaxMs : attemptMaxMs);
    if (aliveMs > domain.bounceAfterMs + lateMs) {
      say('bounce-after is kept', `expired only after ${aliveMs} ms`);
    }
  }
  const { dotMs } = submissions[0] ?? {};
  if (dotMs === undefined) return;
  const lastMs = dotMs + domain.bounceAfterMs + wallStepsMs + attemptMaxMs;
  const late = verdicts.find(({ atMs }) => atMs > lastMs);
  if (late !== undefined) say('bounce-after is kept', `tried ${late.atMs - dotMs} ms after it was queued`);
}

/** Accounting's `2026-01-31 23:59:59+0000`, in milliseconds since 1970. */
function rowMs(text: string): number {
  const [year, month, day, hour, minute, second] = text.match(/\d+/g)!.map(Number);
  const days = dayOf({ year: year!, month: month!, day: day! });
  return ((days * 24 + hour!) * 60 + minute!) * 60_000 + second! * 1000;
}

function terminalRows(rows: Account['rows']): readonly AcctRow[] {
  const isTerminal = (row: AcctRow): boolean => row.get('type') === 'd' || row.get('type') === 'b';
  return (rows.get(mainFile) ?? []).filter(isTerminal);
}

/** The file that asks for every terminal outcome. */
const mainFile = '/acct/all.csv';

function rowsText(rows: Account['rows']): string {
  const texts = [...rows].map(([path, list]) => `${path} ${list.map((row) => row.get('type')).join('')}`);
  return texts.join(', ') || 'no row';
}

/** All that was seen of a recipient, in order of time. */
function historyText({ submissions, receptions, verdicts, rows }: Account): string {
  const seen = [
    ...submissions.map(({ toldMs, told, message }) => ({ atMs: toldMs, text: `message ${message} ${told}` })),
    ...receptions.map(({ atMs, connection, isTaken }) => ({
      atMs,
      text: `${isTaken ? 'taken' : 'not taken'} on ${connection}`,
    })),
    ...verdicts.map(({ atMs, code, stage, connection, knownMs }) => ({
      atMs,
      text: `${code} at ${stage} on ${connection}, read ${knownMs}`,
    })),
  ];
  const texts = seen.sort((a, b) => a.atMs - b.atMs).map(({ atMs, text }) => `${atMs} ${text}`);
  return [...texts, rowsText(rows)].join('; ');
}

function accountsOf(given: Case, say: Say): ReadonlyMap<string, Account> {
  const accounts = new Map<string, Account>();
  const of = (recipient: string): Account => {
    const known = accounts.get(recipient);
    if (known !== undefined) return known;
    const fresh: Account = {
      recipient,
      submissions: [],
      receptions: [],
      verdicts: [],
      rows: new Map(),
      receiver: undefined,
      domain: undefined,
      isReports: false,
    };
    accounts.set(recipient, fresh);
    return fresh;
  };
  for (const submission of given.submissions) {
    const account = of(submission.recipient);
    account.submissions.push(submission);
    account.domain = given.receivers.find(({ domain }) =>
      submission.recipient.endsWith(`@${domain.name}`),
    )?.domain;
  }
  const messages = new Map(given.submissions.map(({ recipient, message }) => [recipient, message]));
  for (const { receiver, domain } of given.receivers) {
    for (const reception of receiver.receptions) {
      const account = of(reception.recipient);
      account.receiver = receiver;
      account.domain = domain;
      account.receptions.push(reception);
    }
    for (const verdict of receiver.verdicts) {
      const account = of(verdict.recipient);
      account.receiver = receiver;
      account.domain = domain;
      const knownMs = readMs(receiver, verdict, given.evidence);
      account.verdicts.push({ ...verdict, knownMs, settledMs: knownMs });
    }
  }
  settle(messages, accounts);
  for (const [path, text] of given.files) {
    const configured = given.acctFiles.find((file) => path.startsWith(file.path.replace('.csv', '-')));
    const read = readRows(text);
    if (configured === undefined || read.restAt !== text.length) say('accounting files are whole', path);
    else {
      for (const row of read.rows) {
        const { rows } = of(row.get('rcpt'));
        rows.set(configured.path, [...(rows.get(configured.path) ?? []), row]);
      }
    }
  }
  return accounts;
}

/**
 * What becomes of a recipient is settled with the others of its transaction: at the reply to the final dot,
 * or when the connection is gone at the latest.
 */
function settle(messages: ReadonlyMap<string, number>, accounts: ReadonlyMap<string, Account>): void {
  const dots = new Map<string, number>();
  const keyOf = ({ receiver }: Account, { connection, recipient }: VerdictNote): string =>
    `${receiver!.name} ${connection} ${messages.get(recipient)}`;
  for (const account of accounts.values()) {
    for (const verdict of account.verdicts) {
      if (verdict.stage === 'dot') dots.set(keyOf(account, verdict), verdict.knownMs);
    }
  }
  for (const account of accounts.values()) {
    for (const verdict of account.verdicts) {
      if (verdict.stage === 'dot') continue;
      const closedMs = account.receiver!.connections[verdict.connection]!.closedMs;
      const dotMs = dots.get(keyOf(account, verdict));
      // The client hears of the end later than the receiver.
      const heardMs = (closedMs ?? Number.POSITIVE_INFINITY) + heardWithinMs;
      verdict.settledMs = Math.min(dotMs ?? Number.POSITIVE_INFINITY, heardMs);
    }
  }
}

/** When the engine had read a reply; Infinity: it never did. */
function readMs(receiver: Receiver, { connection, replyEndBytes }: VerdictNote, evidence: Evidence): number {
  const { clientAddress: address, clientPort: port } = receiver.connections[connection]!;
  return evidence.readMs({ address, port }, replyEndBytes) ?? Number.POSITIVE_INFINITY;
}
