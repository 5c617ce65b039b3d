import fc from 'fast-check';
import { expect, test } from 'vitest';
import { replies } from './replies.ts';
import { type ParsedReply, ReplyParser, renderReply, replyText } from './reply.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (octets: Uint8Array): string => new TextDecoder().decode(octets);
const octets = (characters: string): Uint8Array =>
  Uint8Array.from(characters, (character) => character.charCodeAt(0));

function parsed(...chunks: Uint8Array[]): ParsedReply[] {
  const parser = new ReplyParser();
  return chunks.flatMap((chunk) => [...parser.feed(chunk)]);
}

test('a reply is written with code, enhanced code and text on every line', () => {
  expect(text(renderReply({ code: 250, enhanced: '2.1.5', lines: ['OK'] }))).toBe('250 2.1.5 OK\r\n');
  expect(text(renderReply({ code: 550, enhanced: '5.7.1', lines: ['a', 'b'] }))).toBe(
    '550-5.7.1 a\r\n550 5.7.1 b\r\n',
  );
  expect(text(renderReply({ code: 354, enhanced: '', lines: ['go'] }))).toBe('354 go\r\n');
});

test.each(['a\rb', 'a\nb', 'a\0b'])('a text with %j is our bug, never sent', (line) => {
  expect(() => renderReply({ code: 250, enhanced: '', lines: [line] })).toThrow('CR, LF or NUL');
});

test('no line passes 512 octets and no text is lost (RFC 5321 4.5.3.1.5)', () => {
  const word = fc.string({ minLength: 1, maxLength: 700, unit: fc.constantFrom('a', 'é', '漢', '😀', ' ') });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 3 }), (lines) => {
      const wire = text(renderReply({ code: 550, enhanced: '5.7.1', lines }));
      const written = wire.split('\r\n').slice(0, -1);
      for (const line of written) expect(bytes(line).length + 2).toBeLessThanOrEqual(512);
      expect(written.map((line) => line.slice(10).replaceAll(' ', '')).join('')).toBe(
        lines.join('').replaceAll(' ', ''),
      );
    }),
  );
});

test('every reply of the table renders on one line, its classes agree, and its RFC is named', () => {
  for (const [name, reply] of Object.entries(replies)) {
    expect(replyText(reply), name).toMatch(/^[2-5]\d\d [ -~]+\r\n$/);
    if (reply.enhanced !== '') expect(reply.enhanced[0], name).toBe(String(reply.code)[0]);
    else expect(reply.code, name).toBe(354);
    expect(reply.rfc, name).toMatch(/^\d{3,4} [\dA-Z]/);
  }
});

test('what we write, we read', () => {
  const line = fc.string({ maxLength: 80, unit: fc.constantFrom('a', '1', '.', '-', ' ', 'é') });
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 559 }),
      fc.array(line, { minLength: 1, maxLength: 5 }),
      (code, lines) => {
        const [reply] = parsed(renderReply({ code, enhanced: '', lines }));
        expect(reply).toMatchObject({
          code,
          lines,
          multiline: lines.length > 1,
          cut: false,
          fault: undefined,
        });
      },
    ),
  );
});

test('a reply reads the same however it is cut', () => {
  const piece = fc.constantFrom(
    '250-',
    '250 ',
    '550 ',
    '2.1.0 OK',
    '\r\n',
    '\n',
    '\r',
    'x',
    '\0',
    'é',
    '251-',
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 14 }),
      fc.array(fc.nat(60), { maxLength: 5 }),
      (pieces, cuts) => {
        const stream = bytes(pieces.join(''));
        const edges = [
          0,
          ...cuts.map((cut) => Math.min(cut, stream.length)).sort((a, b) => a - b),
          stream.length,
        ];
        const chunks = edges.slice(1).map((edge, i) => stream.subarray(edges[i], edge));
        expect(parsed(...chunks)).toEqual(parsed(stream));
      },
    ),
  );
});

test('several replies in one chunk come out in order, the unfinished one waits', () => {
  const parser = new ReplyParser();
  expect(parser.feed(bytes('250 a\r\n250-b\r\n250 c\r\n354')).map((reply) => reply.lines)).toEqual([
    ['a'],
    ['b', 'c'],
  ]);
  expect(parser.inReply).toBe(true);
  expect(parser.feed(bytes(' d\r\n'))).toMatchObject([{ code: 354, lines: ['d'] }]);
  expect(parser.inReply).toBe(false);
});

test('a bare code is a reply, a bare LF ends a line, non-ASCII survives, controls are shown', () => {
  expect(parsed(bytes('250\r\n'))).toMatchObject([{ code: 250, lines: [''], fault: undefined }]);
  expect(parsed(bytes('250-a\n250 b\n'))).toMatchObject([{ code: 250, lines: ['a', 'b'] }]);
  expect(parsed(bytes('250 gr\u00fc\u00df\r\n'))[0]!.lines).toEqual(['gr\u00fc\u00df']);
  expect(parsed(octets('250 gr\xfc\xdf\r\n'))[0]!.lines).toEqual(['gr\u00fc\u00df']);
  expect(parsed(octets('250 a\0b\x1bc\td\r\n'))[0]!.lines).toEqual(['a?b?c d']);
});

test('the enhanced code belongs to its own reply and fits its class (RFC 2034 section 4)', () => {
  const found = parsed(
    bytes('550-5.1.1 no\r\n550 5.1.1 user\r\n450 later\r\n550 4.2.2 odd\r\n250 2.0.0\r\n550 5.1.10x\r\n'),
  );
  expect(found.map((reply) => reply.enhanced)).toEqual(['5.1.1', '', '', '2.0.0', '']);
  expect(found[0]!.lines).toEqual(['5.1.1 no', '5.1.1 user']);
});

test('codes that differ are a fault, and the last one counts', () => {
  expect(parsed(bytes('250-a\r\n550 b\r\n'))).toMatchObject([{ code: 550, fault: 'mixedCodes' }]);
});

test.each([
  'hello\r\n',
  '\r\n',
  '25 x\r\n',
  '250x\r\n',
  '650 x\r\n',
  '199 x\r\n',
])('%j has no code', (line) => {
  expect(parsed(bytes(line))).toMatchObject([{ code: 0, fault: 'syntax' }]);
});

test('a fault stays with its own reply', () => {
  expect(parsed(bytes('hello\r\n250-a\r\n550 b\r\n250 c\r\n')).map((reply) => reply.fault)).toEqual([
    'syntax',
    'mixedCodes',
    undefined,
  ]);
});

test('a line over 4 KB and the lines after the hundredth are cut, in step', () => {
  const [long, next] = parsed(bytes(`250 ${'x'.repeat(9000)}\r\n250 next\r\n`));
  expect(long).toMatchObject({ code: 250, cut: true, fault: undefined });
  expect(long!.lines[0]!.length).toBe(4092);
  expect(next).toMatchObject({ lines: ['next'], cut: false });
  const [many] = parsed(bytes(`${'250-x\r\n'.repeat(150)}250 end\r\n`));
  expect(many).toMatchObject({ code: 250, cut: true, fault: undefined });
  expect(many!.lines.length).toBe(100);
});

test('a reply without an end is given up at 64 KB, once, and nothing more is read', () => {
  const parser = new ReplyParser();
  let found: ParsedReply[] = [];
  for (let i = 0; i < 100; i++) found = found.concat(parser.feed(bytes('250-xxxxxx\r\n'.repeat(1000))));
  expect(found).toMatchObject([{ fault: 'endless', cut: true }]);
  expect(parser.feed(bytes('250 ok\r\n'))).toEqual([]);
  expect(parsed(new Uint8Array(70_000).fill(0x78))).toMatchObject([{ fault: 'endless' }]);
});
