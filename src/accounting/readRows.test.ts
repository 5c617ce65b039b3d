import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRows } from './readRows.ts';

const cell = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n', ' ', 'a', 'ü') }));
const table = fc
  .integer({ min: 2, max: 6 })
  .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 8 }));
const lineEnd = fc.constantFrom('\r\n', '\n');

function written(rows: readonly (readonly string[])[], end: string): string {
  const quoted = (value: string): string =>
    /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  return rows.map((row) => row.map(quoted).join(',') + end).join('');
}

test('RFC 4180 text reads the same as csv-parse reads it', () => {
  fc.assert(
    fc.property(table, lineEnd, (rows, end) => {
      const header = rows[0]?.map((_, place) => `c${place}`) ?? ['c0', 'c1'];
      const text = written([header, ...rows], end);
      const theirs: string[][] = parse(text, { from_line: 1, record_delimiter: end });
      const ours = readRows(text);
      expect([ours.columns, ...ours.rows.map((row) => row.fields)]).toEqual(theirs);
      expect(ours.restAt).toBe(text.length);
    }),
  );
});

test('Of a file cut anywhere the whole rows are read and the rest is named', () => {
  const text = 'type,dsnDiag\r\nd,"a ""b"", c"\r\nb,"x\r\ny"\r\n';
  const whole = readRows(text).rows.map((row) => row.get('dsnDiag'));
  expect(whole).toEqual(['a "b", c', 'x\r\ny']);
  for (let cut = 0; cut < text.length; cut++) {
    const part = readRows(text.slice(0, cut));
    const rest = readRows(`type,dsnDiag\r\n${text.slice(Math.max(part.restAt, 14))}`);
    const rows = [...part.rows, ...rest.rows].map((row) => row.get('dsnDiag'));
    expect(rows, `cut at ${cut}`).toEqual(whole);
  }
});

test('Values are found by column name; a missing column or a short row gives the missing value', () => {
  const { rows } = readRows('\ufefftype,rcpt,queue,rcpt\r\n\r\nd,a@x,x/v\r\nb\r\n');
  expect(rows.map((row) => [row.get('type'), row.get('rcpt'), row.get('queue'), row.get('nope')])).toEqual([
    ['d', 'a@x', 'x/v', ''],
    ['b', '', '', ''],
  ]);
});

test('Text that is no accounting file is bounded', () => {
  expect(readRows(`type\r\n${'x'.repeat(2_000_000)}\r\n`).problem).toBe('field-too-long');
  expect(readRows(`type\r\n${','.repeat(5_000)}\r\n`).problem).toBe('too-many-columns');
  expect(readRows('').rows).toEqual([]);
});

const corpus = new URL('../../../shared/corpus/pmta-acct/v40-real-delivery.csv', import.meta.url);
const hasCorpus = existsSync(corpus);
if (!hasCorpus) console.warn('SKIPPED: no PowerMTA accounting corpus beside the project');

test.skipIf(!hasCorpus)('A real PowerMTA 4.0 row reads by name', () => {
  const [row] = readRows(readFileSync(corpus, 'utf8')).rows;
  expect(row!.get('dlvEsmtpAvailable')).toBe('PIPELINING,8BITMIME,SIZE,STARTTLS');
  expect(row!.get('dsnDiag')).toBe('smtp;250 ok dirdel');
  expect(row!.get('vmta')).toBe('CAMPAIGN');
});
