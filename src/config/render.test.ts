import { expect, test } from 'vitest';
import { memoryConfigFiles } from './configFiles.ts';
import { readConfig } from './readConfig.ts';
import { checkReport, renderFindings, summary } from './render.ts';

const base = 'smtp-listener 127.0.0.1:25\nspool /s\nlog-file /l\n';
const findingsOf = (text: string) =>
  readConfig('/c', memoryConfigFiles(new Map([['/c', base + text]]), 'h.test')).findings;

test('a finding shows its line, a caret under the culprit, the reason and the fix', () => {
  expect(renderFindings(findingsOf('<domain *>\n\tmax-conn-rate 1/s # hm\n</domain>'))).toBe(
    [
      'ERROR E-UNKNOWN-DIRECTIVE  /c:5:2',
      '    5 |  max-conn-rate 1/s # hm',
      '      |  ^^^^^^^^^^^^^',
      '   There is no directive max-conn-rate.',
      '   Fix: the directive is max-connect-rate',
      '',
      '1 error',
      '',
    ].join('\n'),
  );
});

test('harmless lines that say the same are shown once, with the places of the rest', () => {
  const text = renderFindings(
    findingsOf('http-access 10/8 none\nhttp-access 11/8 none\nhttp-access 12/8 none\n'),
  );
  expect(text.match(/W-NOT-YET/g)).toHaveLength(1);
  expect(text).toContain('   Also lines 5, 6.\n');
  expect(text).toContain('3 warnings\n');
});

test('nothing is wider than 80 columns, and the caret still stands under what is meant', () => {
  const long = `domain-macro m ${'a.example,'.repeat(40)}b c,${'d.example,'.repeat(40)}e.example`;
  const lines = renderFindings(findingsOf(long)).split('\n');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  const caret = lines[2]!.indexOf('^');
  expect(lines[1]!.slice(caret - 2, caret + 1)).toBe('b c');
});

test('escape sequences of a file do not reach the terminal', () => {
  expect(renderFindings(findingsOf('\u001b[31m x\n\u0085\u202e y'))).not.toMatch(/[\u001b\u0085\u202e]/);
});

test('the summary says how many lines keep run from starting', () => {
  expect(summary(findingsOf('pickup /a /b'))).toBe('1 warning; 1 line keeps run from starting');
  expect(summary([])).toBe('no findings');
});

test('the JSON shape counts, and knows whether run would start', () => {
  expect(checkReport('/c', findingsOf('pickup /a /b'))).toEqual({
    schema: 'penstock.check/1',
    file: '/c',
    errors: 0,
    warnings: 1,
    notices: 0,
    runs: false,
    findings: [
      {
        level: 'warning',
        code: 'W-NOT-YET',
        message: expect.stringContaining('pickup'),
        fix: expect.any(String),
        refusesRun: true,
        file: '/c',
        line: 4,
        column: 1,
        length: 6,
        text: 'pickup /a /b',
      },
    ],
  });
});
