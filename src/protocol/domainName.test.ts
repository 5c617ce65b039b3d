import { domainToASCII } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toRoutableDomain } from './domainName.ts';

test.each([
  ['Example.COM', 'example.com'],
  ['localhost', 'localhost'],
  ['1and1.com', '1and1.com'],
  ['a-b.c', 'a-b.c'],
  ['Bücher.example', 'xn--bcher-kva.example'],
  ['BÜCHER.EXAMPLE', 'xn--bcher-kva.example'],
  ['bu\u0308cher.example', 'xn--bcher-kva.example'],
  ['XN--BCHER-KVA.example', 'xn--bcher-kva.example'],
  ['mail.bücher.xn--p1ai', 'mail.xn--bcher-kva.xn--p1ai'],
  ['他们为什么不说中文.cn', 'xn--ihqwcrb4cv8a8dqg056pqjye.cn'],
  ['почемужеонинеговорятпорусски.example', 'xn--b1abfaaepdrnnbgefbadotcwatmq2g4l.example'],
])('%s is routed as %s', (given, routable) => {
  expect(toRoutableDomain(given)).toBe(routable);
});

test.each([
  '',
  '.',
  'a.',
  '.a',
  'a..b',
  '-a.b',
  'a-.b',
  'a_b.c',
  'a b.c',
  'a@b',
  'a%b',
  '192.0.2.1',
  'a.1',
  '[192.0.2.1]',
  `${'a'.repeat(64)}.b`,
  `${'a.'.repeat(127)}b`,
  'ｅxample.com',
  'a。b',
  'a\u200db.c',
  '\u0301a.b',
  '☃.net',
  'ab--é.c',
  'a\u2028b.c',
  'é\0.c',
  `${'é'.repeat(60)}.c`,
])('%j is no domain', (text) => {
  expect(toRoutableDomain(text)).toBeUndefined();
});

test('what is routable stays as it is, and is LDH', () => {
  const label = fc.string({
    minLength: 1,
    maxLength: 12,
    unit: fc.constantFrom('a', 'Z', '7', '-', 'é', 'ß', '漢', '.'),
  });
  fc.assert(
    fc.property(fc.oneof(label, fc.string({ unit: 'binary', maxLength: 20 })), (text) => {
      const routable = toRoutableDomain(text);
      if (routable === undefined) return;
      expect(routable).toMatch(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/);
      expect(toRoutableDomain(routable)).toBe(routable);
    }),
  );
});

test('A-labels are those of an independent implementation', () => {
  const label = fc.string({
    minLength: 1,
    maxLength: 12,
    unit: fc.constantFrom('a', 'b', '3', 'é', 'ü', 'д', 'ж', '漢', '字', '한', '𠀀'),
  });
  fc.assert(
    fc.property(label, (text) => {
      const domain = `x${text}.example`;
      expect(toRoutableDomain(domain)).toBe(domainToASCII(domain));
    }),
  );
});
