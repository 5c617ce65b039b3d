import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quotedPrintable, transferNeed } from './quotedPrintable.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes);

test('what a transport must be able to do', () => {
  const line = 'x'.repeat(998);
  for (const text of ['', 'a\r\n', `${line}\r\n${line}`])
    expect(transferNeed(bytesOf(text)), text).toBe('7bit');
  expect(transferNeed(bytesOf('é\r\n'))).toBe('8bit');
  for (const text of ['a\0', 'a\rb', 'a\nb', '\n', `${line}x\r\n`, `é${line}`]) {
    expect(transferNeed(bytesOf(text)), JSON.stringify(text)).toBe('binary');
  }
});

test('it is as RFC 2045 has it', () => {
  expect(textOf(quotedPrintable(bytesOf('a=é \r\n\tb\r\n.\rc')))).toBe('a=3D=C3=A9=20\r\n\tb\r\n.=0Dc');
});

test('any bytes come back, from lines of 76 characters that need 7 bits', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const encoded = quotedPrintable(bytes);
      expect(transferNeed(encoded)).toBe('7bit');
      expect(
        Math.max(
          ...textOf(encoded)
            .split('\r\n')
            .map((line) => line.length),
        ),
      ).toBeLessThanOrEqual(76);
      expect(decoded(textOf(encoded))).toEqual([...bytes]);
    }),
  );
});

function decoded(text: string): number[] {
  const octets = text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
  return Array.from(octets, (one) => one.charCodeAt(0));
}
