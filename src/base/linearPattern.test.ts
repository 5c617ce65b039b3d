import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileLinearPattern, isBadPattern, requiredLiteral } from './linearPattern.ts';

function matches(expression: string, text: string): boolean {
  const pattern = compileLinearPattern(expression);
  if (isBadPattern(pattern)) throw new Error(pattern.message);
  return pattern.matches(text, text.toLowerCase());
}

test.each([
  ['mailbox.*full', '552 5.2.2 Mailbox is FULL', true],
  ['(?-i)mailbox', 'Mailbox', false],
  ['', 'anything', true],
  ['^421 ', 'smtp; 421 x', false],
  ['mail\\.live\\.com\\/mail', 'see MAIL.live.com/mail/x', true],
  ['\\d+\\.\\d+\\.\\d+\\.\\d+ blocked', '192.0.2.1 blocked', true],
  ['\\[TS01\\] Messages from', '421 4.7.0 [TS01] messages from 192.0.2.1', true],
  ['refu\\x73ed', 'Refused', true],
  ['kelvin', '\u212aelvin', true],
  ['pa\u017f\u017f', 'PASS', true],
  ['too many (bad|unknown) users?', 'Too many unknown user', true],
])('/%s/ on "%s": %s', (expression, text, found) => {
  expect(matches(expression, text)).toBe(found);
});

test.each([
  ['a(?=b)', 'Looking ahead or behind', 1],
  ['(?<!x)y', 'Looking ahead or behind', 0],
  ['(a)\\1', 'A back-reference', 3],
  ['(?>a+)b', 'An atomic group', 0],
])('/%s/ cannot be matched in linear time, and the place is told', (expression, what, at) => {
  const bad = compileLinearPattern(expression);
  expect(bad).toMatchObject({ at });
  expect(isBadPattern(bad) && bad.message).toContain(what);
});

test('an expression that is none is a value, not an exception', () => {
  for (const expression of ['a**', '(', '[z-a]', '\\', 'x{2000}']) {
    expect(isBadPattern(compileLinearPattern(expression)), expression).toBe(true);
  }
});

test.each([
  ['mailbox +(is +)?full', 'mailbox '],
  ['a|b', ''],
  ['(one|two) three', ' three'],
  ['colou?r', 'colo'],
  ['x{0,3}abc', 'abc'],
  ['ab+c', 'ab'],
  ['[abc]def.ghij', 'ghij'],
  ['spam\\.example', 'spam.example'],
  ['\\d\\d\\d', ''],
])('everything /%s/ matches holds "%s"', (expression, literal) => {
  expect(requiredLiteral(expression)).toBe(literal);
});

test('looking for the literal first changes no verdict', () => {
  const parts = ['a', 'B', 'k', 's', '.', '\\.', 'ab', '(a|b)', '(bc)?', '[ab]', '[^a]', '\\d', '\u017f'];
  const quantifiers = ['', '', '', '*', '+', '?', '{0,2}', '{2}'];
  const part = fc.tuple(fc.constantFrom(...parts), fc.constantFrom(...quantifiers)).map(([p, q]) => p + q);
  const expressions = fc.array(
    fc.oneof({ weight: 9, arbitrary: part }, { weight: 1, arbitrary: fc.constant('|') }),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  const texts = fc.string({ unit: fc.constantFrom(...'aAbBkKsS.1c\u212a\u017f'), maxLength: 12 });
  fc.assert(
    fc.property(expressions, texts, (list, text) => {
      const expression = list.join('');
      const pattern = compileLinearPattern(expression);
      if (isBadPattern(pattern)) return;
      // As if the text were not ASCII: then the literal is not asked for.
      const plain = `${text}\u2603`;
      if (/[.$^]/.test(expression) || /\[\^/.test(expression)) return;
      expect(pattern.matches(text, text.toLowerCase())).toBe(pattern.matches(plain, plain.toLowerCase()));
    }),
    { numRuns: 3000 },
  );
});

test('time does not explode with nested repetition', () => {
  expect(matches('(a+)+$', `${'a'.repeat(5000)}!`)).toBe(false);
});
