import { expect, test } from 'vitest';
import { type AccountingRow, Ledger, type Reception, repeatedCount, type Submission } from './ledger.ts';

const recipient = 'a@x.test';
const submitted = (told: Submission['told'], contentHash = 'h'): Submission => ({
  recipient,
  told,
  contentHash,
});
const received = (accepted: boolean, contentHash = 'h'): Reception => ({ recipient, accepted, contentHash });
const row = (type: string): AccountingRow => ({ recipient, type });

function ledger(submissions: Submission[], receptions: Reception[], accounting: AccountingRow[]): Ledger {
  const made = new Ledger();
  made.submissions.push(...submissions);
  made.receptions.push(...receptions);
  made.accounting = accounting;
  return made;
}

test.each<[string, Submission[], Reception[], AccountingRow[]]>([
  ['delivered', [submitted('stored')], [received(true)], [row('r'), row('d')]],
  [
    'deferred, then delivered',
    [submitted('stored')],
    [received(false), received(true)],
    [row('t'), row('d')],
  ],
  ['bounced without contact', [submitted('stored')], [], [row('b')]],
  ['refused and gone', [submitted('refused')], [], []],
  ['unanswered and dropped', [submitted('unanswered')], [], []],
  ['unanswered and delivered', [submitted('unanswered')], [received(true)], [row('d')]],
  [
    'a doubled RCPT',
    [submitted('stored'), submitted('stored')],
    [received(true), received(true)],
    [row('d'), row('d')],
  ],
])('%s is in order', (_, submissions, receptions, accounting) => {
  expect(ledger(submissions, receptions, accounting).violations()).toEqual([]);
});

test.each<[string, Submission[], Reception[], AccountingRow[], string]>([
  ['lost', [submitted('stored')], [], [], 'stored mail ends in a terminal row'],
  [
    'only deferred',
    [submitted('stored')],
    [received(false)],
    [row('t')],
    'stored mail ends in a terminal row',
  ],
  ['two rows', [submitted('stored')], [received(true)], [row('d'), row('b')], 'one terminal row a recipient'],
  [
    'unanswered, twice accounted',
    [submitted('unanswered')],
    [received(true)],
    [row('d'), row('b')],
    'one terminal row a recipient',
  ],
  ['refused, yet sent', [submitted('refused')], [received(true)], [], 'what was refused is not kept'],
  ['refused, yet accounted', [submitted('refused')], [], [row('b')], 'what was refused is not kept'],
  ['a d row alone', [submitted('stored')], [], [row('d')], 'a delivered row means the receiver has it'],
  [
    'a d row, refused by the sink',
    [submitted('stored')],
    [received(false)],
    [row('d')],
    'a delivered row means the receiver has it',
  ],
  [
    'changed content',
    [submitted('stored')],
    [received(true, 'other')],
    [row('d')],
    'content arrives unchanged',
  ],
  [
    'two copies',
    [submitted('stored')],
    [received(true), received(true)],
    [row('d')],
    'no copies beyond the window',
  ],
  [
    'accepted, accounted as bounced',
    [submitted('stored')],
    [received(true)],
    [row('b')],
    'no copies beyond the window',
  ],
  ['from nowhere', [], [received(true)], [], 'nothing arrives that was not submitted'],
  ['a row from nowhere', [], [], [row('b')], 'no row for what was not submitted'],
])('%s is found', (_, submissions, receptions, accounting, promise) => {
  expect(
    ledger(submissions, receptions, accounting)
      .violations()
      .map((found) => found.promise),
  ).toEqual([promise]);
});

test('what the spool still owes and copies within the window are allowed, up to their number', () => {
  const owed = ledger([submitted('stored')], [], []);
  expect(owed.violations({ owed: 1, repeated: 0 })).toEqual([]);
  const twice = ledger([submitted('stored')], [received(true), received(true)], [row('d')]);
  expect(twice.violations({ owed: 0, repeated: 1 })).toEqual([]);
  expect(repeatedCount(twice)).toBe(1);
  const thrice = ledger([submitted('stored')], [received(true), received(true), received(true)], [row('d')]);
  expect(thrice.violations({ owed: 0, repeated: 1 })).toHaveLength(2);
});
