import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCommand } from './command.ts';

const octets = (characters: string): Uint8Array =>
  Uint8Array.from(characters, (character) => character.charCodeAt(0));

test.each([
  ['NOOP', 'NOOP', ''],
  ['noop', 'NOOP', ''],
  ['mail FROM:<a@B>  ', 'MAIL', 'FROM:<a@B>'],
  ['RCPT   TO:<a@b> X=Y', 'RCPT', 'TO:<a@b> X=Y'],
  ['', '', ''],
  ['__proto__ x', '__PROTO__', 'x'],
])('%j is a command', (line, verb, argument) => {
  expect(parseCommand(octets(line))).toEqual({ verb, argument });
});

test('UTF-8 is text, what is no UTF-8 is a fault (RFC 6531 3.3)', () => {
  expect(parseCommand(new TextEncoder().encode('MAIL FROM:<jürgen@é>'))).toEqual({
    verb: 'MAIL',
    argument: 'FROM:<jürgen@é>',
  });
  for (const bad of ['\xe9', '\xc0\xaf', '\xed\xa0\x80', '\xf8\x88\x80\x80\x80', 'a\xc3']) {
    expect(parseCommand(octets(bad))).toBe('notUtf8');
  }
});

test.each([
  ['NO\0OP', 'control'],
  ['NOOP\t', 'control'],
  ['NOOP \x7f', 'control'],
  ['NOOP \x1b[0m', 'control'],
  ['NOOP \xc2\x85', 'control'],
  ['NOOP\r', 'bareCr'],
  ['NO\rOP', 'bareCr'],
])('%j is refused as %s', (line, fault) => {
  expect(parseCommand(octets(line))).toBe(fault);
});

test('no octets whatever make the parser throw, and no control character comes through', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (line) => {
      const command = parseCommand(line);
      if (typeof command !== 'string') {
        expect(command.verb + command.argument).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
      }
    }),
  );
});
