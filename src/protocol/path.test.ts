import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ParsedPath, parsePath } from './path.ts';

const forward = (text: string) => parsePath(text, 'forward');

test.each([
  ['<a@b.c>', 'a', 'b.c'],
  ['<A.b+c@Example.COM>', 'A.b+c', 'example.com'],
  ['<"a b"@d.e>', '"a b"', 'd.e'],
  ['<"a\\"\\\\>b"@d.e>', '"a\\"\\\\>b"', 'd.e'],
  ['<""@d.e>', '""', 'd.e'],
  ['<a@[192.0.2.1]>', 'a', '[192.0.2.1]'],
  ['<a@[IPv6:2001:DB8:0::1]>', 'a', '[IPv6:2001:db8::1]'],
  ['<a@[ipv6:::ffff:192.0.2.1]>', 'a', '[192.0.2.1]'],
  ['<jürgen@bücher.example>', 'jürgen', 'xn--bcher-kva.example'],
])('%s is a path, kept byte for byte and routed by %s @ %s', (text, localPart, domain) => {
  const { path, rest } = forward(text) as ParsedPath;
  expect(path).toMatchObject({ localPart, domain, text: text.slice(1, -1) });
  expect(rest).toBe('');
});

test('<> is a reverse-path only, <postmaster> a forward-path only', () => {
  expect(parsePath('<> SIZE=1', 'reverse')).toMatchObject({
    path: { text: '', domain: '' },
    rest: ' SIZE=1',
  });
  expect(forward('<>')).toBe('syntax');
  expect(forward('<PostMaster>')).toMatchObject({ path: { localPart: 'PostMaster', domain: '' } });
  expect(parsePath('<postmaster>', 'reverse')).toBe('syntax');
  expect(forward('<root>')).toBe('syntax');
});

test.each([
  '',
  'a@b.c',
  '<a@b.c',
  '<a@b.c>x',
  '<a@b.c>>',
  '<<a@b.c>>',
  '<a>',
  '<a b@c.d>',
  '<.a@b.c>',
  '<a.@b.c>',
  '<a..b@b.c>',
  '<a(b)@c.d>',
  '<"a@b.c>',
  '<"a"b@b.c>',
  '<a"b"@b.c>',
  '<"a\\\x01"@b.c>',
  '<"a\u0085"@b.c>',
  '<a\u2028@b.c>',
  '<a,b@c.d>',
  '<a:b@c.d>',
  '<@>',
])('%j is no path', (text) => {
  expect(typeof forward(text)).toBe('string');
});

test.each([
  '<a@>',
  '<a@b@c>',
  '<a@b.c.>',
  '<a@b_c.d>',
  '<a@[1.2.3]>',
  '<a@[::1]>',
  '<a@[IPv6:1.2.3.4]>',
  '<a@192.0.2.1>',
  '<a@[192.0.2.1].x>',
  '<a@[x:y]>',
])('%s has no domain we could route', (text) => {
  expect(forward(text)).toBe('badDomain');
});

test.each(['<@a:u@d>', '<@a,@b:u@d>', '<@[192.0.2.1]:u@d>'])('the source route %s is refused', (text) => {
  expect(forward(text)).toBe('sourceRoute');
  expect(parsePath(text, 'reverse')).toBe('sourceRoute');
});

test.each([
  ['<u%d@e.f>', true],
  ['<d!u@e.f>', true],
  ['<"u@d"@e.f>', true],
  ['<"u\\@d"@e.f>', true],
  ['<"@a:u"@e.f>', true],
  ['<"u%d"@e.f>', true],
  ['<u+d@e.f>', false],
  ['<"a b"@e.f>', false],
  ['<a\uFF05elsewhere.test@example.com>', true],
  ['<a\uFF20elsewhere.test@example.com>', true],
])('%s: a route in the local part is %s', (text, routedLocalPart) => {
  expect(forward(text)).toMatchObject({ path: { routedLocalPart } });
});

test('lengths hold to the octet: 64, 255, 256 (RFC 5321 4.5.3.1)', () => {
  const at = (local: number, domain: number) =>
    forward(`<${'l'.repeat(local)}@${`${'d'.repeat(49)}.`.repeat(5).slice(0, domain)}>`);
  expect(typeof at(64, 39)).toBe('object');
  expect(at(65, 39)).toBe('tooLong');
  expect(typeof at(5, 248)).toBe('object');
  expect(at(6, 248)).toBe('tooLong');
  expect(typeof forward(`<${'é'.repeat(32)}@d.e>`)).toBe('object');
  expect(forward(`<${'é'.repeat(32)}a@d.e>`)).toBe('tooLong');
  expect(typeof forward(`<${'😀'.repeat(16)}@d.e>`)).toBe('object');
  expect(forward(`<${'😀'.repeat(16)}a@d.e>`)).toBe('tooLong');
});

test('whatever comes, the parser gives a value, and what it accepts it accepts again unchanged', () => {
  const alphabet = fc.constantFrom(
    '<',
    '>',
    '@',
    '"',
    '\\',
    '.',
    ' ',
    ':',
    ',',
    '[',
    ']',
    '%',
    'a',
    'B',
    '1',
    'é',
    '\0',
    '漢',
  );
  const text = fc.oneof(
    fc.string({ unit: alphabet, maxLength: 16 }).map((inner) => `<${inner}>`),
    fc.string({ unit: alphabet, maxLength: 12 }).map((inner) => `<"${inner}"@d.e>`),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );
  fc.assert(
    fc.property(text, fc.constantFrom('forward' as const, 'reverse' as const), (given, which) => {
      const parsed = parsePath(given, which);
      if (typeof parsed === 'string') return;
      const { path, rest } = parsed;
      expect(`<${path.text}>${rest}`).toBe(given);
      expect(parsePath(`<${path.text}>`, which)).toEqual({ path, rest: '' });
      if (path.domain !== '') {
        expect(path.text.startsWith(`${path.localPart}@`)).toBe(true);
        // The judged domain stands for itself: routing by it again changes nothing.
        const routed = parsePath(`<${path.localPart}@${path.domain}>`, which) as ParsedPath;
        expect(routed.path.domain).toBe(path.domain);
      }
    }),
    { numRuns: 3000 },
  );
});
