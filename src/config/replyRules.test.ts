import { expect, test } from 'vitest';
import { memoryConfigFiles } from './configFiles.ts';
import { readConfig } from './readConfig.ts';
import { categoryRule, replyRule } from './replyRuleValues.ts';

test.each([
  ['// bounce-queue', 'value'],
  ['/451 Rejected/ mode=backoff', 'value'],
  ['/mail.live.com\\/mail/ mode=backoff,backoff-to-normal-after=1h', 'value'],
  ['/a[)(]b/ skip-mx', 'value'],
  ['/x/ disable-source-ip,reenable-after=2h', 'value'],
  ['/x/ mode=slow', 'wrong'],
  ['/x/ reenable-after=soon', 'wrong'],
  ['/x/', 'wrong'],
  ['/(x/ skip-mx', 'wrong'],
  ['/x)/ skip-mx', 'wrong'],
  ['/x[/ skip-mx', 'wrong'],
  ['/x skip-mx', 'wrong'],
  ['/x/ mode=backoff,mode=normal', 'wrong'],
  ['/x/ skip-mx,bounce-queue', 'wrong'],
  ['/x/ backoff-to-normal-after=1h', 'wrong'],
  ['/x/ skip-mx,reenable-after=1h', 'wrong'],
  ['/x(?=y)/ skip-mx', 'wrong'],
])('reply %s is %s', (text, kind) => {
  expect(replyRule.read(text).kind).toBe(kind);
});

test('a rule is its expression and its actions', () => {
  expect(
    replyRule.read(
      '/^421 a\\/b/ mode=backoff,backoff-to-normal-after=1h, disable-source-ip,reenable-after=2h',
    ),
  ).toEqual({
    kind: 'value',
    value: {
      expression: '^421 a\\/b',
      actions: {
        mode: 'backoff',
        backoffToNormalAfterMs: 3_600_000,
        disableSourceIp: true,
        reenableAfterMs: 7_200_000,
      },
    },
  });
  expect(categoryRule.read('// other')).toEqual({
    kind: 'value',
    value: { expression: '', category: 'other' },
  });
});

test('what cannot be matched in linear time is marked where it stands', () => {
  expect(replyRule.read('/ab(?!c)/ skip-mx')).toMatchObject({ kind: 'wrong', at: 3 });
  expect(categoryRule.read('/(a)\\1/ other')).toMatchObject({ kind: 'wrong', at: 4 });
});

const text = `
smtp-listener 127.0.0.1:25
<smtp-pattern-list Common>
  reply /451 a/ mode=backoff
</smtp-pattern-list>
<smtp-pattern-list common>
  reply /b/ skip-mx
</smtp-pattern-list>
<bounce-category-patterns>
  /full/ quota-issues
  // other
</bounce-category-patterns>
<domain *>
  smtp-pattern-list COMMON
</domain>
`;
const misspelt = `${text}<domain a.test>
  smtp-pattern-list comon
</domain>
`;
const read = (main: string) => readConfig('main', memoryConfigFiles(new Map([['main', main]]), 'h.test'));

test('lists of one name are one, in whatever case; a name that is none is an error with the nearest', () => {
  const { config } = read(text);
  expect(
    config!.smtpPatternLists.map(({ name, rules }) => [name, rules.map(({ expression }) => expression)]),
  ).toEqual([['Common', ['451 a', 'b']]]);
  expect(config!.bounceCategoryRules.map(({ expression, category }) => [expression, category])).toEqual([
    ['full', 'quota-issues'],
    ['', 'other'],
  ]);
  const errors = read(misspelt).findings.filter(({ level }) => level === 'error');
  expect(errors).toMatchObject([
    { code: 'E-PATTERN-LIST', fix: 'did you mean Common?', origin: { line: 17 } },
  ]);
});
