import { expect, test } from 'vitest';
import type { PatternRule } from './config.ts';
import { memoryConfigFiles } from './configFiles.ts';
import { readConfig } from './readConfig.ts';

const mtas = ['mta1', 'mta2'].map((name) => `<virtual-mta ${name}>\n</virtual-mta>\n`).join('');
const plain = 'smtp-listener 127.0.0.1:25\nspool s\nlog-file l\n';
const pool = '<virtual-mta-pool pool1>\nvirtual-mta mta1\n</virtual-mta-pool>\n';

function read(text: string) {
  const files = memoryConfigFiles(new Map([['config', `${plain}${mtas}${pool}${text}`]]), 'h.test');
  const { config, findings } = readConfig('config', files);
  return {
    config,
    found: findings.map(({ code, origin, fix, message }) => [code, origin?.text.trim(), fix, message]),
  };
}

/** A rule as `mailFrom /a/ -> mta1`. */
function words({ matches, result }: PatternRule): string {
  const subject = matches.kind === 'header' ? matches.header : matches.kind;
  const pattern = matches.kind === 'everything' ? '' : ` /${matches.expression}/`;
  const then =
    result.kind === 'virtualMta'
      ? result.name
      : result.kind === 'call'
        ? `call ${result.list}`
        : `(${result.rules.map(words).join('; ')})`;
  return `${subject}${pattern} -> ${then}`;
}

test('a list keeps its rules in order, with the names as they were declared', () => {
  const { config, found } = read(`
<pattern-list outer>
  mail-from /@a\\.test$/ virtual-mta=MTA1
  rcpt-to /[a-z]\\/x/ virtual-mta=POOL1
  header X-Class: /^ bulk/ call-to: Inner
  mail-from /b/
  <pattern-list>
    rcpt-to /c/ virtual-mta={default}
  </pattern-list>
  * virtual-mta=mta2
</pattern-list>
<pattern-list inner>
  * virtual-mta=mta1
</pattern-list>
<source 127/8>
  pattern-list OUTER
</source>`);
  expect(found).toEqual([]);
  expect(config!.patternLists.map(({ name, rules }) => [name, rules.map(words)])).toEqual([
    [
      'outer',
      [
        'mailFrom /@a\\.test$/ -> mta1',
        'rcptTo /[a-z]\\/x/ -> pool1',
        'x-class /^ bulk/ -> call Inner',
        'mailFrom /b/ -> (rcptTo /c/ -> {default})',
        'everything -> mta2',
      ],
    ],
    ['inner', ['everything -> mta1']],
  ]);
});

test('recipient-priority is read, alone and beside a virtual MTA, and said to have no effect', () => {
  const { config, found } = read(
    '<pattern-list a>\nrcpt-to /b/ recipient-priority=60\n* virtual-mta=mta1,recipient-priority=40\n</pattern-list>',
  );
  expect(found.map(([code]) => code)).toEqual(['W-NOT-YET', 'W-NOT-YET']);
  expect(config!.patternLists[0]!.rules.map(words)).toEqual(['rcptTo /b/ -> ', 'everything -> mta1']);
});

test.each([
  [
    'a virtual MTA that is not there',
    '<pattern-list a>\n* virtual-mta=mta3\n</pattern-list>',
    'E-VMTA-MISSING',
    'did you mean mta1?',
  ],
  [
    'a list that is not there',
    '<pattern-list abc>\n* call-to: abd\n</pattern-list>',
    'E-PATTERN-LIST-MISSING',
    'did you mean abc?',
  ],
  [
    'a source with a list that is not there',
    '<pattern-list abc>\n* virtual-mta=mta1\n</pattern-list>\n<source 10/8>\npattern-list abd\n</source>',
    'E-PATTERN-LIST-MISSING',
    'did you mean abc?',
  ],
  [
    'a pattern without a result',
    '<pattern-list abc>\nmail-from /a/\n* virtual-mta=mta1\n</pattern-list>',
    'E-PATTERN-RESULT',
    'write virtual-mta=NAME behind it, or a <pattern-list> on the next line',
  ],
  [
    'a list without a name behind a pattern that has a result',
    '<pattern-list abc>\nmail-from /a/ virtual-mta=mta1\n<pattern-list>\n</pattern-list>\n</pattern-list>',
    'E-PATTERN-RESULT',
    'a list without a name stands right behind a pattern that has no result',
  ],
  ['a list without a name at top level', '<pattern-list>\n</pattern-list>', 'E-MISSING-VALUE', ''],
  [
    'a list that calls itself',
    '<pattern-list abc>\nmail-from /a/\n<pattern-list>\n* call-to: ABC\n</pattern-list>\n</pattern-list>',
    'E-PATTERN-LIST-LOOP',
    '',
  ],
  ['a result of another kind', '<pattern-list abc>\n* mode=backoff\n</pattern-list>', 'E-BAD-VALUE', ''],
  [
    'a header with a name that is none',
    '<pattern-list abc>\nheader x\u00fc /a/ virtual-mta=mta1\n</pattern-list>',
    'E-BAD-VALUE',
    '',
  ],
  [
    'an unknown name among those allowed',
    '<source 10/8>\nallowed-virtual-mtas mta1 mta22\n</source>',
    'E-VMTA-MISSING',
    'did you mean mta2?',
  ],
  ['an unknown fallback', 'invalid-virtual-mta-fallback mta', 'E-VMTA-MISSING', 'did you mean mta1?'],
])('%s is an error on its line', (_, text, code, fix) => {
  const { config, found } = read(text);
  expect(config).toBeUndefined();
  expect(found.map((one) => [one[0], one[2]])).toEqual([[code, fix]]);
});

test('a pattern that only backtracking could match is an error on its line', () => {
  for (const pattern of ['a(?=b)', '(a)\\1', 'a{2,1}', '[z-a]']) {
    const { found } = read(`<pattern-list abc>\nmail-from /${pattern}/ virtual-mta=mta1\n</pattern-list>`);
    expect(found.map(([code]) => code)).toEqual(['E-BAD-VALUE']);
  }
});

test('a list behind the source that names it counts, with a warning', () => {
  const { config, found } = read(
    '<source 10/8>\npattern-list abc\n</source>\n<pattern-list abc>\n* virtual-mta=mta1\n</pattern-list>',
  );
  expect(found.map(([code, text]) => [code, text])).toEqual([['W-PATTERN-LIST-LATE', 'pattern-list abc']]);
  expect(config!.patternLists).toHaveLength(1);
});

test('a circle of calls is told with its way, once', () => {
  const list = (name: string, called: string): string =>
    `<pattern-list ${name}>\n* call-to: ${called}\n</pattern-list>\n`;
  const { found } = read(list('a', 'b') + list('b', 'c') + list('c', 'b'));
  expect(found).toEqual([
    ['E-PATTERN-LIST-LOOP', '* call-to: b', '', 'This call goes in a circle: b calls c calls b.'],
  ]);
});

test('a chain of calls without end is an error, however it is written', () => {
  const lists = Array.from(
    { length: 20_000 },
    (_, i) => `<pattern-list l${i}>\n* call-to: l${i + 1}\n</pattern-list>\n`,
  );
  const last = '<pattern-list l20000>\n* virtual-mta=mta1\n</pattern-list>\n';
  for (const text of [
    [...lists, last],
    [last, ...lists.toReversed()],
  ]) {
    expect(read(text.join('')).found.map(([code]) => code)).toContain('E-PATTERN-LIST-LOOP');
  }
});

test('what X-Virtual-MTA may choose adds up within a block, and a later block replaces it', () => {
  const block = (...lines: string[]): string => `<source 10/8>\n${lines.join('\n')}\n</source>\n`;
  const one = block('allowed-virtual-mtas mta1', 'allowed-virtual-mtas POOL1, mta2');
  const settingsOf = (text: string) => read(text).config!.injectionSources[0]!.settings;
  expect(settingsOf(one).allowedVirtualMtas!.value).toEqual(['mta1', 'pool1', 'mta2']);
  expect(settingsOf(one + block('allowed-virtual-mtas mta2')).allowedVirtualMtas!.value).toEqual(['mta2']);
  expect(settingsOf(block('jobid-header X-Campaign:')).jobidHeader!.value).toBe('x-campaign');
  const removed = (...lines: string[]) => settingsOf(block(...lines)).removeHeader!.value;
  expect(removed('remove-header X-A, X-B', 'remove-header x-c')).toEqual(['x-a', 'x-b', 'x-c']);
  expect(removed('remove-header ""')).toEqual([]);
});
