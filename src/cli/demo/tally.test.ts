import { expect, test } from 'vitest';
import type { NamedRow } from '../accountingTail.ts';
import { maskedReply, Tally } from './tally.ts';
import { tallyTable } from './tallyTable.ts';

const isps = new Map([
  ['gmail.test', 'gmail'],
  ['yahoo.test', 'yahoo'],
]);

function tally(...rows: readonly string[]): Tally {
  const tally = new Tally(isps);
  for (const row of rows) tally.add(named(row));
  return tally;
}

/** `type rcpt address diagnostic`. */
function named(text: string): NamedRow {
  const [, type, rcpt, address, diag] = /^(\S+) (\S+) (\S+) ?(.*)$/.exec(text)!;
  return [
    ['type', type!],
    ['rcpt', rcpt!],
    ['dlvSourceIp', address!],
    ['dsnDiag', `smtp;${diag}`],
  ];
}

test('a recipient counts once, at the address of its first attempt, whatever tries follow', () => {
  const { totals, ended, lines } = counted('t', 't', 'd');
  expect(totals).toEqual({ recipients: 1, delivered: 1, bounced: 0, deferrals: 2, firstDeferred: 1 });
  expect(ended).toBe(1);
  expect(lines).toMatchObject([{ isp: 'gmail', address: '127.0.0.1', recipients: 1 }]);
});

test('a deferral after the first attempt leaves the first-attempt rate alone', () => {
  const all = tally('d a@gmail.test 127.0.0.1 250 ok', 't a@gmail.test 127.0.0.1 450 x');
  expect(all.totals).toMatchObject({ deferrals: 1, firstDeferred: 0 });
});

test('who waits has not ended, and other domains are not counted', () => {
  const all = tally('t a@gmail.test 127.0.0.1 450 x', 'd b@news.test 127.0.0.1 250 ok');
  expect([all.ended, all.rows, all.totals.recipients]).toEqual([0, 1, 1]);
});

test('the commonest reply is that of most recipients, not of most attempts', () => {
  const full = Array.from({ length: 9 }, () => 't full@gmail.test 127.0.0.1 452 4.2.2 full');
  const [line] = tally(
    ...full,
    't a@gmail.test 127.0.0.1 421 4.7.0 [127.0.0.1] low reputation',
    't b@gmail.test 127.0.0.1 421 4.7.0 [127.0.0.1] low reputation',
  ).lines();
  expect(line!.commonestReply).toBe('421 4.7.0 low reputation');
});

test.each([
  ['smtp;421 4.7.0 [192.0.2.1] Low. 0a1b2c3d - gsmtp', '421 4.7.0 Low. * - gsmtp'],
  ['smtp;550 5.1.1 The account <r1-2@gmail.test> is not.', '550 5.1.1 The account * is not.'],
  ['smtp;421 4.7.0 [TSS04] Messages from 192.0.2.1 are', '421 4.7.0 [TSS04] Messages from are'],
])('%s is masked', (diag, masked) => {
  expect(maskedReply(diag)).toBe(masked);
});

test('the table fits a terminal, by ISP and address, with tags in front', () => {
  const long = `smtp;${'x '.repeat(200)}`;
  const lines = tallyTable(
    tally(
      `t a@yahoo.test 127.0.0.101 421 4.7.0 put off [TSS04] ${long}`,
      'd b@gmail.test 127.0.0.12 250 ok',
      'd c@gmail.test 127.0.0.11 250 ok',
    ).lines(),
  );
  expect(lines.map((line) => line.split(/ +/).slice(0, 2).join(' '))).toEqual([
    'isp address',
    'gmail 127.0.0.11',
    'gmail 127.0.0.12',
    'yahoo 127.0.0.101',
  ]);
  expect(lines.at(-1)).toContain('100.0  421 4.7.0 [TSS04] put');
  expect(Math.max(...lines.map((line) => line.length))).toBe(80);
});

function counted(...types: readonly string[]) {
  const all = tally(...types.map((type, i) => `${type} a@gmail.test 127.0.0.${i + 1} 450 x`));
  return { totals: all.totals, ended: all.ended, lines: all.lines() };
}
