import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dotStuffed } from '../simulation/mailContent.ts';
import { dotUnstuffed } from './dotStuffing.ts';

const text = (parts: readonly Uint8Array[]): string =>
  parts.map((part) => new TextDecoder().decode(part)).join('');
const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);

test.each([
  ['.\r\n', ''],
  ['a\r\n.\r\n', 'a\r\n'],
  ['..\r\n.\r\n', '.\r\n'],
  ['...\r\n..a.b\r\n.\r\n', '..\r\n.a.b\r\n'],
  ['a.\r\n..\r\n.\r\n', 'a.\r\n.\r\n'],
  ['cut\r\n..in the mid', 'cut\r\n.in the mid'],
])('%j was %j before it was stuffed', (stuffed, content) => {
  expect(text(dotUnstuffed(bytes(stuffed)))).toBe(content);
});

test('what was stuffed comes back, whatever its lines are', () => {
  const line = fc.array(fc.constantFrom('.', 'a', '\t'), { maxLength: 4 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
      const content = lines.map((one) => `${one}\r\n`).join('');
      expect(text(dotUnstuffed(dotStuffed(bytes(content))))).toBe(content);
    }),
  );
});
