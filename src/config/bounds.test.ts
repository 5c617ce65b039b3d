/** What a file may be that is no configuration: answered soon, shortly, and truthfully. */
import { expect, test } from 'vitest';
import { memoryConfigFiles } from './configFiles.ts';
import { maxListLength, mostErrors } from './lexer.ts';
import { readConfig } from './readConfig.ts';
import { renderFindings } from './render.ts';

const read = (text: string) => readConfig('/c', memoryConfigFiles(new Map([['/c', text]]), 'h.test'));
const codesOf = (text: string): string[] => read(text).findings.map(({ code }) => code);
const base = 'smtp-listener 127.0.0.1:25\nspool /s\nlog-file /l\n';
const lines = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** Each took from ten seconds to many minutes once; the test's time-out is the bound. */
const garbage: Readonly<Record<string, string>> = {
  'names nobody knows': lines(50_000, (i) => `max-smtp-ot${i} unlimited`),
  'tags that never end': lines(16, () => `<a><${'/a'.repeat(32_000)}`),
  'sections within sections nobody knows': lines(200_000, (i) => (i % 2 === 0 ? '<foo>' : '<bar>')),
  'sections closed by the wrong tag': lines(40_000, () => '<domain x.test>\n</source>'),
  'a listener for each source that is not there': lines(
    15_000,
    (i) => `<source n${i}>\n</source>\nsmtp-listener 127.0.0.1:${i + 1} source=m${i}`,
  ),
  'pools that are not there': lines(
    15_000,
    (i) =>
      `<virtual-mta mta-${i}>\n</virtual-mta>\n<source 9.${i >> 8}.${i & 255}.1>\ndefault-virtual-mta mta.${i}\n</source>`,
  ),
  'one pool, again and again': lines(
    20_000,
    (i) => `<virtual-mta-pool p>\nvirtual-mta v${i}\n</virtual-mta-pool>`,
  ),
  'octets of another encoding': lines(300_000, () => 'x \ufffd'),
};

test.each(Object.entries(garbage))('a megabyte of %s is read to an answer', (_, text) => {
  const { config, findings } = read(text);
  expect(config).toBeUndefined();
  expect(renderFindings(findings).length).toBeLessThan(150_000);
});

test('after a thousand errors the rest is not read, and nothing is said of what may stand there', () => {
  const text = `<source 10/8>\ndefault-virtual-mta v\n${lines(mostErrors + 500, () => 'nonsense')}\n</source>\n<virtual-mta v>\n</virtual-mta>\n`;
  const codes = codesOf(text);
  expect(codes.length).toBe(mostErrors + 2);
  expect(codes.at(-1)).toBe('E-TOO-MANY-ERRORS');
  expect(new Set(codes.slice(0, -1))).toEqual(new Set(['E-UNKNOWN-DIRECTIVE']));
  expect(codesOf(text.replaceAll('nonsense', '# nonsense'))).not.toContain('E-TOO-MANY-ERRORS');
});

test('a thousand broken lines are enough, too, and warnings are never too many', () => {
  const broken = codesOf(lines(mostErrors * 3, () => '\u0001'));
  expect(broken.length).toBe(mostErrors + 2);
  expect(broken.at(-1)).toBe('E-TOO-MANY-ERRORS');
  const warned = read(base + lines(mostErrors * 3, (i) => `http-access 10.0.${i >> 8}.${i & 255} none`));
  expect(warned.config).toBeDefined();
  expect(warned.findings.length).toBe(mostErrors * 3);
});

test('at most 200 findings are shown, errors first', () => {
  const repeated = lines(
    300,
    (i) => `<domain d${i}.test>\nmax-msg-per-connection 1\nmax-msg-per-connection 2\n</domain>`,
  );
  const text = renderFindings(read(`${base}${repeated}\nunheard-of 1\n`).findings);
  expect(text.match(/^WARN {2}W-REPEATED/gm)).toHaveLength(199);
  expect(text.match(/^ERROR E-UNKNOWN-DIRECTIVE/gm)).toHaveLength(1);
  expect(text).toContain('\n... and 101 more.\n\n1 error, 300 warnings\n');
});

test('a list that runs on for ever is an error where it begins, and what follows it is read', () => {
  const item = `${'d'.repeat(60)}.test,`;
  const short = Math.floor(maxListLength / item.length);
  const list = (count: number): string => `${base}domain-macro m ${lines(count, () => item)}\nlast.test\n`;
  expect(codesOf(list(short - 1))).toEqual([]);
  const { findings } = read(`${list(short + 1)}unheard-of 1\n`);
  expect(findings.map(({ code, origin }) => [code, origin?.line])).toEqual([
    ['E-LINE-TOO-LONG', 4],
    ['E-UNKNOWN-DIRECTIVE', short + 6],
  ]);
});

test('bytes of another encoding are told once a file, and not those in comments', () => {
  expect(codesOf(`${base}# caf\ufffd\nhost-name a.test # caf\ufffd\n`)).toEqual([]);
  const { findings } = read(`${base}postmaster caf\ufffd@a.test\npostmaster caf\ufffd@b.test\n`);
  const told = findings.filter(({ code }) => code === 'W-NOT-UTF8');
  expect(told.map(({ origin }) => [origin!.line, origin!.column])).toEqual([[4, 15]]);
});
