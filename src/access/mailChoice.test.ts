import { expect, test } from 'vitest';
import type { Config, PatternListConfig } from '../config/config.ts';
import { configOf, type Fixture } from './configFixture.ts';
import { mailChoiceLines } from './mailChoice.ts';
import { proveClosed } from './openRelay.ts';

const origin = { file: 'config', line: 99, column: 1, text: '' };
const everything = { kind: 'everything' } as const;
const lists: readonly PatternListConfig[] = [
  {
    name: 'By-Sender',
    origin,
    rules: [
      { origin, matches: everything, result: { kind: 'virtualMta', name: 'bulk' } },
      { origin, matches: everything, result: { kind: 'call', list: 'more' } },
    ],
  },
  {
    name: 'more',
    origin,
    rules: [
      {
        origin,
        matches: everything,
        result: {
          kind: 'rules',
          rules: [{ origin, matches: everything, result: { kind: 'virtualMta', name: 'b' } }],
        },
      },
    ],
  },
];

function linesOf(fixture: Fixture, more: Partial<Config> = {}): readonly string[] {
  return mailChoiceLines({ ...configOf(fixture), patternLists: lists, ...more });
}

test('where no header and no list chooses, nothing is said', () => {
  const listeners = [{ at: '0.0.0.0:25', pool: 'a' }];
  expect(linesOf({ listeners })).toEqual([]);
  // Allowed names, and a header to be retained, open nothing by themselves.
  const closed = { allowedVirtualMtas: ['a'], retainXVirtualMta: true, processXVirtualMta: false };
  expect(linesOf({ listeners, sources: [['10.0.0.0/8', closed]] })).toEqual([]);
});

test('a listener with a pool of its own says which clients may choose another, and by which line', () => {
  const fixture: Fixture = {
    listeners: [
      { at: '0.0.0.0:25', pool: 'receipts' },
      { at: '0.0.0.0:26', source: 'closed' },
      { at: '0.0.0.0:27' },
    ],
    sources: [
      ['10.0.0.0/8', { processXVirtualMta: true }],
      ['10.1.0.0/16', { allowedVirtualMtas: ['a', 'pool1'] }],
      ['10.2.0.0/16', { processXVirtualMta: false }],
      ['10.3.0.0/16', { patternList: 'by-sender' }],
      ['closed', { processXVirtualMta: false, patternList: '' }],
    ],
  };
  const lines = linesOf(fixture);
  expect(lines).toEqual([
    'Instead of the default of listener and source, mail may choose:',
    '  listener 0.0.0.0:25',
    '    10.0.0.0/16, 10.4.0.0/14, 10.8.0.0/13 and 4 more ranges',
    '      X-Virtual-MTA: any virtual MTA or pool (config:8)',
    '    10.1.0.0/16',
    '      X-Virtual-MTA: a, pool1 (config:10)',
    '    10.3.0.0/16',
    '      X-Virtual-MTA: any virtual MTA or pool (config:8)',
    '      pattern-list by-sender: bulk, b (config:14)',
    '  listener 0.0.0.0:27: the same as 0.0.0.0:25',
  ]);
  expect(proveClosed({ ...configOf(fixture), patternLists: lists }).lines.slice(-lines.length)).toEqual(
    lines,
  );
});

test('what is not refused may take the fallback', () => {
  const settings = { processXVirtualMta: true, allowedVirtualMtas: ['a'], rejectInvalidVirtualMta: false };
  const fixture: Fixture = { listeners: ['127.0.0.1:25'], sources: [['127.0.0.0/8', settings]] };
  const fallback = { invalidVirtualMtaFallback: { value: 'rest', origin } };
  expect(linesOf(fixture, fallback).at(-1)).toMatch(/^ {6}X-Virtual-MTA: a, rest \(/);
});
