import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ContentFault, type ContentForm, ContentScanner, dotStuff } from './dataStream.ts';

const octets = (characters: string): Uint8Array =>
  Uint8Array.from(characters, (character) => character.charCodeAt(0));
const characters = (...chunks: Uint8Array[]): string =>
  chunks.map((chunk) => String.fromCharCode(...chunk)).join('');

interface Seen {
  readonly end: number;
  readonly contentBytes: number;
  readonly headerBytes: number;
  readonly fieldCount: number;
  readonly receivedCount: number;
  readonly fault: ContentFault | undefined;
}

/** `cuts`: offsets at which the stream is cut, rising. */
function scanned(form: ContentForm, stream: Uint8Array, cuts: readonly number[]): Seen {
  const scanner = new ContentScanner(form);
  let end = -1;
  let from = 0;
  for (const to of [...cuts, stream.length]) {
    end = scanner.scan(stream, from, to);
    if (end >= 0) break;
    from = to;
  }
  if (form === 'raw') scanner.finish();
  const { contentBytes, headerBytes, fieldCount, receivedCount, fault } = scanner;
  return { end, contentBytes, headerBytes, fieldCount, receivedCount, fault };
}

/** The same by searching text: where the data end, what is content, what is wrong with it. */
function reference(form: ContentForm, stream: string): Pick<Seen, 'end' | 'contentBytes' | 'fault'> {
  let content = stream;
  let end = -1;
  if (form === 'dotStuffed') {
    const at = `\r\n${stream}`.indexOf('\r\n.\r\n');
    end = at < 0 ? -1 : at + 3;
    const wire = at < 0 ? stream.replace(/(^|\r\n)\.\r?$/, '$1') : stream.slice(0, at);
    content = `\r\n${wire}`.replaceAll('\r\n.', '\r\n').slice(2);
  }
  const mark = form === 'raw' ? /\r(?!\n)|(?<!\r)\n|\0/ : /\r(?!\n|$)|(?<!\r)\n|\0/;
  const match = mark.exec(content);
  if (match === null) return { end, contentBytes: content.length, fault: undefined };
  const kind = match[0] === '\r' ? 'bareCr' : match[0] === '\n' ? 'bareLf' : 'nul';
  const line = content.slice(0, match.index).split('\r\n').length;
  return { end, contentBytes: content.length, fault: { kind, line } };
}

test('every string of up to seven octets is scanned as the reference has it, however it is cut', () => {
  const symbols = ['\r', '\n', '.', '\0', 'a', ' '];
  let level = [''];
  for (let length = 0; length <= 7; length++) {
    for (const text of level) {
      const stream = octets(text);
      for (const form of length < 7 ? (['dotStuffed', 'raw'] as const) : (['dotStuffed'] as const)) {
        const whole = scanned(form, stream, []);
        const { end, contentBytes, fault } = reference(form, text);
        const agrees =
          whole.end === end &&
          whole.contentBytes === contentBytes &&
          whole.fault?.kind === fault?.kind &&
          whole.fault?.line === fault?.line;
        if (!agrees) expect({ text, ...whole }).toMatchObject({ text, end, contentBytes, fault });
        // All cuttings of the shorter strings; of the longest every single cut, and octet by octet.
        for (const cuts of length < 6 ? allCuts(length) : singleCuts(length)) {
          const cut = scanned(form, stream, cuts);
          if (!same(cut, whole)) expect({ text, cuts, ...cut }).toEqual({ text, cuts, ...whole });
        }
      }
    }
    level = level.flatMap((text) => symbols.map((symbol) => text + symbol));
  }
});

function same(a: Seen, b: Seen): boolean {
  return (
    a.end === b.end &&
    a.contentBytes === b.contentBytes &&
    a.headerBytes === b.headerBytes &&
    a.fieldCount === b.fieldCount &&
    a.fault?.kind === b.fault?.kind &&
    a.fault?.line === b.fault?.line
  );
}

function allCuts(length: number): number[][] {
  const inner = Math.max(length - 1, 0);
  return Array.from({ length: 2 ** inner }, (_, bits) =>
    Array.from({ length: inner }, (__, i) => i + 1).filter((cut) => (bits >> (cut - 1)) & 1),
  );
}

function singleCuts(length: number): number[][] {
  const cuts = Array.from({ length: length - 1 }, (_, i) => i + 1);
  return [cuts, ...cuts.map((cut) => [cut])];
}

test('header fields and Received are counted the same however the header is cut', () => {
  const piece = fc.constantFrom(
    'Received:',
    'RECEIVED :',
    'received',
    'Receive',
    'X-A: b',
    ' c',
    '\t',
    ':',
    '.',
    '..',
    'From x',
    'é',
    '\r\n',
    '\r\n\r\n',
    '\r',
    '\n',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(80), { maxLength: 6 }), (pieces, at) => {
      const stream = octets(pieces.join(''));
      const cuts = at.filter((cut) => cut < stream.length).sort((a, b) => a - b);
      for (const form of ['dotStuffed', 'raw'] as const) {
        expect(scanned(form, stream, cuts)).toEqual(scanned(form, stream, []));
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['Received: a\r\nreceived : b\r\nX: c\r\n Received: folded\r\n\r\nReceived: body\r\n', 3, 2, 52],
  ['ReceivedX: a\r\nX-Received: b\r\nReceive: c\r\n\r\n', 3, 0, 41],
  ['\r\nReceived: body\r\n', 0, 0, 0],
  ['no header\r\nReceived: body\r\n', 0, 0, 0],
  [' folded first\r\nReceived: body\r\n', 0, 0, 0],
  ['A: b\r\nno field\r\nReceived: body\r\n', 1, 0, 6],
  ['A: b\r\n: c\r\nReceived: body\r\n', 1, 0, 6],
  ['A: b', 1, 0, 4],
  ['', 0, 0, 0],
])('%j has a header of %i fields, %i of them Received, %i octets', (text, fields, received, bytes) => {
  expect(scanned('raw', octets(text), [])).toMatchObject({
    fieldCount: fields,
    receivedCount: received,
    headerBytes: bytes,
  });
});

test('a line may have 998 octets and not 999; a stuffed dot does not count (RFC 5321 4.5.3.1.6)', () => {
  const fits = 'x'.repeat(998);
  for (const [text, fault] of [
    [`${fits}\r\n.\r\n`, undefined],
    [`.${fits}\r\n.\r\n`, undefined],
    [`a\r\n${fits}x\r\n.\r\n`, { kind: 'longLine', line: 2 }],
    [`.${fits}x\r\n.\r\n`, { kind: 'longLine', line: 1 }],
    [`${fits}x`, { kind: 'longLine', line: 1 }],
    [`${fits}x\0`, { kind: 'longLine', line: 1 }],
    [`${fits}\0`, { kind: 'nul', line: 1 }],
    [`${fits}\rx`, { kind: 'bareCr', line: 1 }],
    [`${fits}x\rx`, { kind: 'longLine', line: 1 }],
  ] as const) {
    const stream = octets(text);
    expect(scanned('dotStuffed', stream, []).fault).toEqual(fault);
    for (const cut of [1, 2, 997, 998, 999, 1000, 1001]) {
      expect(scanned('dotStuffed', stream, [Math.min(cut, stream.length)]).fault).toEqual(fault);
    }
  }
});

test('octets over 127 are noticed', () => {
  for (const at of [0, 1, 5, 30]) {
    const scanner = new ContentScanner('raw');
    const stream = octets('a: b\r\n\r\nlong enough for the fast path\r\n');
    stream[at] = 0xe9;
    scanner.scan(stream, 0, stream.length);
    expect(scanner.eightBit).toBe(true);
  }
});

test('what is stuffed is un-stuffed to itself, with a CRLF at its end, and nothing but dots is added', () => {
  const line = fc.string({ unit: fc.constantFrom('.', 'a', ' '), maxLength: 4 });
  const content = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\r\n'));
  fc.assert(
    fc.property(content, fc.array(fc.nat(40), { maxLength: 4 }), (text, at) => {
      const stream = octets(text);
      const cuts = [0, ...at.filter((cut) => cut < stream.length).sort((a, b) => a - b), stream.length];
      const wire = characters(...dotStuff(cuts.slice(1).map((to, i) => stream.subarray(cuts[i], to))));
      expect(wire.endsWith('.\r\n')).toBe(true);
      const seen = scanned('dotStuffed', octets(wire), []);
      expect(seen).toMatchObject({ end: wire.length, fault: undefined });
      const unstuffed = `\r\n${wire.slice(0, -3)}`.replaceAll('\r\n.', '\r\n').slice(2);
      expect(unstuffed).toBe(text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`);
    }),
  );
});

test('content without a dot at a line start is passed on as the very chunks received', () => {
  const chunk = octets('a.b\r\nc\r\n');
  expect(dotStuff([chunk])[0]).toBe(chunk);
});
