import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mailParameters, parseParameters, recipientParameters } from './esmtpParameters.ts';

const offers = { smtpUtf8: true };

test('what we offer is read', () => {
  expect(mailParameters('', offers)).toEqual({ sizeBytes: undefined, body: '7BIT', smtpUtf8: false });
  expect(mailParameters(' size=12 Body=8bitMime SMTPUTF8 AUTH=<>', offers)).toEqual({
    sizeBytes: 12,
    body: '8BITMIME',
    smtpUtf8: true,
  });
  expect(mailParameters(` SIZE=${'9'.repeat(20)}`, offers)).toMatchObject({ sizeBytes: 1e20 });
});

test.each([
  [' SIZE=', 'syntax'],
  [' SIZE', 'syntax'],
  [' SIZE=-1', 'syntax'],
  [' SIZE=1e3', 'syntax'],
  [' SIZE=0x10', 'syntax'],
  [` SIZE=${'9'.repeat(21)}`, 'syntax'],
  [' SIZE=1 SIZE=1', 'duplicate'],
  [' size=1 SIZE=2', 'duplicate'],
  [' BODY=9BIT', 'syntax'],
  [' BODY', 'syntax'],
  [' BODY=BINARYMIME', 'unknown'],
  [' SMTPUTF8=yes', 'syntax'],
  [' AUTH=a+b', 'syntax'],
  [' AUTH=a=b', 'syntax'],
  [' AUTH=a+2Bb', undefined],
  [' RET=FULL', 'unknown'],
  [' __proto__=1', 'syntax'],
  [' constructor=1', 'unknown'],
  [' toString', 'unknown'],
  [' =x', 'syntax'],
  [' -A=x', 'syntax'],
  [' SIZE=1\u00e9', 'syntax'],
])('%j gives %s', (text, fault) => {
  const result = mailParameters(text, offers);
  expect(typeof result === 'string' ? result : undefined).toBe(fault);
});

test('SMTPUTF8 is unknown where it is not offered', () => {
  expect(mailParameters(' SMTPUTF8', { smtpUtf8: false })).toBe('unknown');
});

test('RCPT offers nothing yet', () => {
  expect(recipientParameters('')).toBeUndefined();
  expect(recipientParameters(' NOTIFY=NEVER')).toBe('unknown');
  expect(recipientParameters(' NOTIFY=')).toBe('syntax');
});

test('keywords and values come through as given', () => {
  const keyword = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9-]{0,8}$/);
  const value = fc.option(fc.stringMatching(/^[\x21-\x3c\x3e-\x7e]{1,10}$/), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.tuple(keyword, value), { maxLength: 5 }), (pairs) => {
      const expected = new Map(pairs.map(([key, given]) => [key.toUpperCase(), given]));
      const text = pairs
        .map(([key, given]) => (given === undefined ? ` ${key}` : ` ${key}=${given}`))
        .join('');
      expect(parseParameters(text)).toEqual(expected.size === pairs.length ? expected : 'duplicate');
    }),
  );
});
