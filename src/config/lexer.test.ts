import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lex, maxLineLength, splitWords } from './lexer.ts';

const only = (text: string) => lex('f', text).lines[0]!;
const codes = (text: string) => lex('f', text).findings.map((finding) => finding.code);

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        '<',
        '>',
        '</',
        '"',
        '\\',
        '#',
        ' ',
        '\t',
        '\n',
        '\r\n',
        ',',
        '{{',
        '}}',
        'domain',
        '\u0000',
      ),
    )
    .map((parts) => parts.join('')),
);

test('no text makes the lexer throw, and every finding points into its line', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const { lines, findings } = lex('f', text);
      expect(lines.length).toBe(text.split('\n').length);
      for (const { origin, underline } of findings) {
        expect(origin!.line).toBeLessThanOrEqual(lines.length);
        expect(origin!.column).toBeGreaterThan(0);
        expect(origin!.column - 1 + underline).toBeLessThanOrEqual(origin!.text.length);
      }
    }),
  );
});

test('names and values know their columns', () => {
  expect(only('\tretry-after  10m,1h  # why')).toMatchObject({
    kind: 'directive',
    name: { text: 'retry-after', column: 2 },
    value: { text: '10m,1h', column: 15 },
  });
});

test.each([
  ['<domain *>', { kind: 'open', name: { text: 'domain', column: 2 }, argument: { text: '*', column: 9 } }],
  [
    ' <  domain   a.b  >',
    { kind: 'open', name: { text: 'domain', column: 5 }, argument: { text: 'a.b', column: 14 } },
  ],
  ['</domain>', { kind: 'close', name: { text: 'domain', column: 3 } }],
  ['</domain-key-list x> # end', { kind: 'close', name: { text: 'domain-key-list' } }],
  ['<smtp-listener 0/0:25></smtp-listener>', { kind: 'open', closed: true }],
  ['<acct-file |/bin/x --to y>', { kind: 'open', argument: { text: '|/bin/x --to y' } }],
  ['# only this', { kind: 'comment' }],
  ['  \t', { kind: 'blank' }],
])('%j is read', (text, expected) => {
  expect(codes(text)).toEqual([]);
  expect(only(text)).toMatchObject(expected);
});

test.each([
  '<domain *',
  '<>',
  '<domain *> max-smtp-out 1',
  '<domain a></source>',
  '</a></b>',
])('%j is a broken tag', (text) => {
  expect(codes(text)).toEqual(['E-TAG']);
});

test('carriage returns before line feeds and a byte order mark do no harm', () => {
  const { lines, findings } = lex('f', '\ufeffpostmaster a@b\r\n\r\nspool /s');
  expect(findings).toEqual([]);
  expect(lines.map((line) => line.kind)).toEqual(['directive', 'blank', 'directive']);
});

test('a # cuts a quoted value, and the warning shows what is left', () => {
  const { lines, findings } = lex('f', 'custom-dsn-from-header "a #1" x');
  expect(lines[0]).toMatchObject({ value: { text: '"a"' } });
  expect(findings).toMatchObject([{ code: 'W-COMMENT-IN-QUOTES', level: 'warning', origin: { column: 24 } }]);
  expect(findings[0]!.message).toContain('"a"');
});

test('a secret is shown by no finding', () => {
  for (const text of ['auth-password "swordfish#1"', 'password swordfish\u0000', 'pasword swordfish \\']) {
    expect(JSON.stringify(lex('f', text).findings)).not.toContain('swordfish');
  }
  expect(only('tls-certificate /c.pem swordfish').text).toBe('tls-certificate /c.pem *********');
});

test('a backslash at the end is one error for all the lines it joins', () => {
  const { lines, findings } = lex('f', 'dkim-sign a \\\n  b \\\n  c\nspool /s');
  expect(findings).toMatchObject([{ code: 'E-BACKSLASH', origin: { line: 1, column: 13 } }]);
  expect(lines.map((line) => line.kind)).toEqual(['broken', 'broken', 'broken', 'directive']);
});

test('control characters and endless lines are refused', () => {
  expect(codes('spool /a\u0000b')).toEqual(['E-CONTROL-CHARACTER']);
  expect(codes('spool /a\rb')).toEqual(['E-CONTROL-CHARACTER']);
  expect(codes(`spool ${'x'.repeat(maxLineLength)}`)).toEqual(['E-LINE-TOO-LONG']);
});

test('quotes group words, and escapes stand for themselves inside them', () => {
  expect(splitWords('a "b c"  "d\\"e\\\\" f"g')).toMatchObject([
    { text: 'a', at: 0 },
    { text: 'b c', at: 2, length: 5 },
    { text: 'd"e\\', at: 9 },
    { text: 'f"g' },
  ]);
  expect(splitWords('a "b')).toMatchObject({ at: 2 });
  expect(splitWords('"a"b')).toMatchObject({ at: 3 });
});
