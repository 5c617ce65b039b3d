import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as values from './values.ts';

const read = <T>(reader: values.ValueReader<T>, text: string): T | string => {
  const reading = reader.read(text);
  return reading.kind === 'value' ? reading.value : reading.kind;
};

function isReader(value: unknown): value is values.ValueReader<unknown> {
  return typeof value === 'object' && value !== null && 'read' in value;
}

test('an interval that is written reads back', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000_000), (seconds) => {
      const text = values.formatInterval(seconds * 1_000);
      expect(values.parseInterval(text)).toBe(seconds * 1_000);
    }),
  );
});

test('a size that is written reads back', () => {
  const sizeBytes = fc.tuple(fc.nat(1 << 20), fc.constantFrom(1, 1024, 1024 ** 2, 1024 ** 3));
  fc.assert(
    fc.property(sizeBytes, ([number, unit]) => {
      expect(values.parseSize(values.formatSize(number * unit))).toBe(number * unit);
    }),
  );
});

test('no text makes a value reader throw', () => {
  const exports: readonly unknown[] = Object.values(values);
  const readers = exports.filter(isReader);
  expect(readers.length).toBeGreaterThan(20);
  fc.assert(
    fc.property(fc.constantFrom(...readers), fc.string(), (reader, text) => {
      const reading = reader.read(text);
      if (reading.kind === 'wrong') expect(reading.at).toBeLessThanOrEqual(Math.max(0, text.length));
    }),
  );
});

test.each([
  ['1w2d12h', 820_800_000],
  ['300s', 300_000],
  ['4d12h', 388_800_000],
  ['600', 600_000],
  ['10 m', 'wrong'],
  ['10x', 'wrong'],
  ['-1s', 'wrong'],
  ['', 'wrong'],
])('the interval %j is %s', (text, expected) => {
  expect(read(values.interval, text)).toBe(expected);
});

test('interval lists keep their order and are bounded', () => {
  expect(read(values.intervals, '10m,10m, 1h')).toEqual([600_000, 600_000, 3_600_000]);
  expect(read(values.intervals, Array(31).fill('1m').join(','))).toBe('wrong');
  expect(read(values.intervals, '10m,0')).toBe('wrong');
  expect(values.intervals.read('10m, x')).toMatchObject({ at: 5, length: 1 });
});

test.each([
  ['40K', 40_960],
  ['1g', 1_073_741_824],
  ['50000', 50_000],
  ['10000K', 10_240_000],
  ['unlimited', 0],
  ['0', 0],
  ['1.5M', 'wrong'],
])('the size %j is %s', (text, expected) => {
  expect(read(values.size, text)).toBe(expected);
});

test.each([
  ['100/h', { count: 100, perMs: 3_600_000 }],
  ['250/min', { count: 250, perMs: 60_000 }],
  ['1/20m', { count: 1, perMs: 1_200_000 }],
  ['400/day', { count: 400, perMs: 86_400_000 }],
  ['unlimited', undefined],
  ['0', undefined],
  ['0/h', 'wrong'],
  ['1/0m', 'wrong'],
  ['1/week', 'wrong'],
  ['100', 'wrong'],
])('the rate %j is %j', (text, expected) => {
  expect(read(values.rate, text)).toEqual(expected);
});

test.each([
  ['0.5/s', 'write 1/2s'],
  ['1.5/m', 'write 3/2m'],
  ['0.25/2h', 'write 1/8h'],
  ['2.0/s', 'write 2/s'],
])('the rate %s is refused with the whole-numbered one: %s', (text, fix) => {
  expect(values.rate.read(text)).toMatchObject({ kind: 'wrong', fix });
});

test('a whole-numbered proposal is itself a rate', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999 }), fc.nat(999), (whole, fraction) => {
      const reading = values.rate.read(`${whole}.${fraction}/m`);
      const fix = reading.kind === 'wrong' ? reading.fix.replace('write ', '') : '';
      expect(read(values.rate, fix)).toMatchObject({ perMs: expect.any(Number) });
    }),
  );
});

test.each([
  ['yes', true],
  ['TRUE', true],
  ['no', false],
  ['false', false],
  ['on', 'wrong'],
  ['yes no', 'wrong'],
])('the boolean %j is %s', (text, expected) => {
  expect(read(values.boolean, text)).toBe(expected);
});

test('true stands for yes where yes is one of the choices', () => {
  const dateHeader = values.choice(['no', 'yes', 'override']);
  expect(read(dateHeader, 'true')).toBe('yes');
  expect(read(dateHeader, 'Override')).toBe('override');
  expect(read(values.durability, 'yes')).toBe('wrong');
});

test('record types have long names, blanks between them, and some come later', () => {
  expect(read(values.records, 'b, rb')).toEqual({ now: ['b'], later: ['rb'] });
  expect(read(values.records, 'transient,delivery')).toEqual({ now: ['d', 't'], later: [] });
  expect(read(values.records, 'tq,transient-queue')).toEqual({ now: ['tq'], later: [] });
  expect(read(values.records, 'd,p')).toBe('wrong');
});

test('an accounting path is a file or a program', () => {
  expect(read(values.acctPath, '/a/b.csv')).toEqual({ kind: 'file', target: '/a/b.csv' });
  expect(read(values.acctPath, '|/bin/x --a b')).toEqual({ kind: 'pipe', target: '/bin/x --a b' });
  expect(read(values.acctPath, '"|/bin/x -a"')).toEqual({ kind: 'pipe', target: '/bin/x -a' });
});
