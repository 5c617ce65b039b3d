import { expect, test } from 'vitest';
import { dkimSigners } from './dkimSigners.ts';

const chunks = (...texts: string[]): Uint8Array[] => texts.map((text) => new TextEncoder().encode(text));

test.each<[string, string[], string[]]>([
  ['none', ['From: a\r\n\r\nDKIM-Signature: d=body.test\r\n'], []],
  [
    'folded, in any case',
    ['dkim-signature: v=1; a=x;\r\n\td = News.TEST; s=s1;\r\n bh=d=z\r\n\r\n'],
    ['news.test'],
  ],
  [
    'several',
    ['DKIM-Signature: d=a.test\r\nX: y\r\nDKIM-Signature: s=1;d=b.test;\r\n\r\n'],
    ['a.test', 'b.test'],
  ],
  ['cut anywhere', ['DKIM-Sig', 'nature: d=a', '.test\r', '\n\r\n', 'x'], ['a.test']],
  ['without a domain', ['DKIM-Signature: v=1; bd=a.test\r\n\r\n'], []],
])('signers: %s', (_, texts, signers) => {
  expect(dkimSigners(chunks(...texts))).toEqual(signers);
});

test('a header without an end is not read for ever', () => {
  expect(dkimSigners(chunks('x'.repeat(20_000), '\r\nDKIM-Signature: d=a.test\r\n'))).toEqual([]);
});
