import fc from 'fast-check';
import { expect, test } from 'vitest';
import { acctFileName, parentFolder, parseAcctFileName, splitAcctPath } from './fileNames.ts';
import { parseDay } from './timestamp.ts';

const day = parseDay('2026-02-08')!;

test('acct.csv becomes acct-DATE-NUMBER.csv in the same folder', () => {
  const path = splitAcctPath('/var/log/pmta/acct.csv');
  expect(path).toEqual({ folder: '/var/log/pmta', stem: 'acct', extension: '.csv' });
  expect(acctFileName(path, { day, number: 0 })).toBe('acct-2026-02-08-0000.csv');
  expect(acctFileName(path, { day, number: 12345 })).toBe('acct-2026-02-08-12345.csv');
});

test('Paths without extension, with several dots or with a hidden name keep what they have', () => {
  expect(splitAcctPath('acct')).toEqual({ folder: '.', stem: 'acct', extension: '' });
  expect(splitAcctPath('/a.b/acct.v1.csv')).toEqual({ folder: '/a.b', stem: 'acct.v1', extension: '.csv' });
  expect(splitAcctPath('/.acct')).toEqual({ folder: '/', stem: '.acct', extension: '' });
  expect(parentFolder('/spool')).toBe('/');
});

test('A name is read back as it was made', () => {
  const number = fc.integer({ min: 0, max: 999_999 });
  fc.assert(
    fc.property(fc.constantFrom('/d/acct.csv', '/d/acct', '/d/a-b.x.csv'), number, (text, n) => {
      const path = splitAcctPath(text);
      expect(parseAcctFileName(path, acctFileName(path, { day, number: n }))).toEqual({ day, number: n });
    }),
  );
});

test('Names of other files are not taken for ours', () => {
  const path = splitAcctPath('/d/acct.csv');
  const others = [
    'acct.csv',
    'acct-2026-02-08-000.csv',
    'acct-2026-02-08-00001.csv',
    'acct-2026-02-30-0000.csv',
    'acct-2026-02-08-0000.csv.gz',
    'acct-2026-02-08-0000',
    'acct-x-2026-02-08-0000.csv',
    'my-acct-2026-02-08-0000.csv',
    'acct-2026-02-08--001.csv',
  ];
  for (const name of others) expect(parseAcctFileName(path, name), name).toBeUndefined();
});
