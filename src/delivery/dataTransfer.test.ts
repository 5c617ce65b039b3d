import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dataChunks, headerIsAscii } from './dataTransfer.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const textOf = (chunks: readonly Uint8Array[]): string =>
  chunks.map((chunk) => String.fromCharCode(...chunk)).join('');
const content = (prefix: string, ...chunks: string[]) => ({
  prefix: bytes(prefix),
  chunks: chunks.map(bytes),
  sizeBytes: prefix.length + chunks.join('').length,
});
const sent = (...chunks: string[]): string => textOf(dataChunks(content('', ...chunks), 'raw'));

/** A receiver by the letter of RFC 5321: what it stores, and what it would take for the next command. */
function receive(stream: string): { stored: string; rest: string } {
  const lines: string[] = [];
  for (let from = 0; ; ) {
    const end = stream.indexOf('\r\n', from);
    if (end < 0) throw new Error('no end of data');
    const line = stream.slice(from, end);
    from = end + 2;
    if (line === '.') return { stored: lines.join(''), rest: stream.slice(from) };
    lines.push(`${line.startsWith('.') ? line.slice(1) : line}\r\n`);
  }
}

/** What raw content means as lines: every bare CR or LF ends one, and the last line is ended. */
function asLines(text: string): string {
  const lines = text.replace(/\r\n|\r|\n/g, '\r\n');
  return lines === '' || lines.endsWith('\r\n') ? lines : `${lines}\r\n`;
}

const hostile = fc
  .array(fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\r\n.', '.\r\n', '\0', '\xe9'), { maxLength: 40 })
  .map((parts) => parts.join(''));

function cutAt(text: string, cuts: readonly number[]): string[] {
  const points = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...points].map((from, i) => text.slice(from, points[i] ?? text.length));
}

describe('the octets of a message', () => {
  test('raw content comes out of a receiver as it went in, wherever it is cut', () => {
    fc.assert(
      fc.property(hostile, fc.array(fc.nat(80), { maxLength: 8 }), (text, cuts) => {
        expect(receive(sent(...cutAt(text, cuts)))).toEqual({ stored: asLines(text), rest: '' });
      }),
      { numRuns: 2000 },
    );
  });

  test('every single cut of a difficult message gives the same octets', () => {
    const text = '.\r\n..\r\n\r\n.a\r\n.\r\n.\r\n\r.\n.\r\r\n.';
    for (let cut = 0; cut <= text.length; cut++) {
      expect(sent(text.slice(0, cut), text.slice(cut))).toBe(sent(text));
    }
    expect(sent(...text)).toBe(sent(text));
  });

  test('nothing bare leaves in raw form, and no loose receiver finds an earlier end of data', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const stream = sent(text);
        expect(stream).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
        expect(stream.search(/(^|\r|\n)\.(\r|\n)/)).toBe(stream.length === 3 ? 0 : stream.length - 4);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    '\n.\n',
    '\n.\r\n',
    '\r\n.\n',
    '\r.\r',
    '\r.\r\n',
    '\r\n.\r',
    '\r\n.\r\r\n',
    '\r\r\n.\r\r\n',
    '\r\n\0.\r\n',
  ])('smuggling form %j stays inside the message', (form) => {
    const text = `Subject: a\r\n\r\nb${form}MAIL FROM:<evil@example.com>\r\n`;
    expect(receive(sent(text)).rest).toBe('');
    expect(sent(text).slice(0, -5)).not.toMatch(/(\r|\n)\.(\r|\n)/);
  });

  test('dot-stuffed content leaves untouched, without a copy, behind the prefix', () => {
    const stored = content('Received: x\r\n', 'a\r\n..b\r', '\n.\r\n');
    const chunks = dataChunks(stored, 'dotStuffed');
    expect(chunks).toHaveLength(3);
    expect([chunks[0], chunks[1], chunks[2]]).toEqual([stored.prefix, ...stored.chunks]);
    expect(chunks.every((chunk, i) => chunk === [stored.prefix, ...stored.chunks][i])).toBe(true);
    expect(dataChunks(content('', '.\r\n'), 'dotStuffed')).toHaveLength(1);
  });

  test('raw content is not copied: what leaves are views of it', () => {
    const stored = content('', 'a\r\n.b\r\nlast');
    const views = dataChunks(stored, 'raw').filter((chunk) => chunk.buffer === stored.chunks[0]!.buffer);
    expect(textOf(views)).toBe('a\r\n.b\r\nlast');
  });

  test('a first line with a dot behind the prefix is stuffed, and an empty message is the dot alone', () => {
    expect(textOf(dataChunks(content('X: y\r\n', '.z\r\n'), 'raw'))).toBe('X: y\r\n..z\r\n.\r\n');
    expect(sent()).toBe('.\r\n');
    expect(sent('', '')).toBe('.\r\n');
  });
});

test('only the header section decides whether it is ASCII', () => {
  expect(headerIsAscii(content('Received: x\r\n', 'Subject: a\r\n\r\n', 'caf\xe9'))).toBe(true);
  expect(headerIsAscii(content('', 'Subject: caf\xe9\r\n\r\nb'))).toBe(false);
  expect(headerIsAscii(content('', 'Subject: a\r', '\n', 'X: \xe9\r\n\r\n'))).toBe(false);
  expect(headerIsAscii(content('', '\r\n\xe9'))).toBe(true);
});
