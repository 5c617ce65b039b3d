import { describe, expect, test } from 'vitest';
import { type DnsRecord, type DnsReply, isDnsName, readReply } from './dnsReply.ts';

const record = (name: string, type: string, data: unknown, ttlS = 300): DnsRecord => ({
  name,
  type,
  ttlS,
  data,
});
const soa = record('test', 'SOA', { minimum: 60 }, 900);
const reply = (over: Partial<DnsReply>): DnsReply => ({
  rcode: 'NOERROR',
  isAuthoritative: false,
  offersRecursion: true,
  answers: [],
  authorities: [],
  ...over,
});

describe('a reply of a name server', () => {
  test('gives the records of the name and type that was asked for, and the least of their times', () => {
    const answers = [
      record('R.Test', 'MX', { preference: 10, exchange: 'MX1.r.test' }, 300),
      record('r.test', 'MX', { preference: 20, exchange: 'mx2.r.test' }, 120),
      record('other.test', 'MX', { preference: 5, exchange: 'evil.test' }, 1),
      record('r.test', 'TXT', 'x', 1),
    ];
    expect(readReply(reply({ answers }), 'r.TEST.', 'MX')).toEqual({
      kind: 'found',
      records: [
        { preference: 10, exchange: 'mx1.r.test' },
        { preference: 20, exchange: 'mx2.r.test' },
      ],
      ttlMs: 120_000,
    });
  });

  test('writes addresses in their one spelling', () => {
    const answers = [record('a.test', 'AAAA', '2001:DB8:0::1')];
    expect(readReply(reply({ answers }), 'a.test', 'AAAA')).toMatchObject({ records: ['2001:db8::1'] });
    const odd = [record('a.test', 'A', '1.2.3')];
    expect(readReply(reply({ answers: odd }), 'a.test', 'A')).toEqual({ kind: 'failed', code: 'BADRESP' });
  });

  test('a null MX names the root', () => {
    const answers = [record('r.test', 'MX', { preference: 0, exchange: '.' })];
    expect(readReply(reply({ answers }), 'r.test', 'MX')).toMatchObject({
      records: [{ preference: 0, exchange: '.' }],
    });
  });

  test('is followed through its aliases, in whatever order they stand', () => {
    const answers = [
      record('c.test', 'A', '192.0.2.3', 300),
      record('b.test', 'CNAME', 'C.test', 30),
      record('a.test', 'CNAME', 'b.test', 300),
    ];
    expect(readReply(reply({ answers }), 'a.test', 'A')).toEqual({
      kind: 'found',
      records: ['192.0.2.3'],
      ttlMs: 30_000,
    });
  });

  test('that ends in an alias says whom to ask for', () => {
    const answers = [record('a.test', 'CNAME', 'b.test', 30)];
    expect(readReply(reply({ answers }), 'a.test', 'A')).toEqual({
      kind: 'alias',
      target: 'b.test',
      ttlMs: 30_000,
    });
    // With an SOA it says that there is nothing (RFC 2308 2.2).
    expect(readReply(reply({ answers, authorities: [soa] }), 'a.test', 'A')).toEqual({
      kind: 'none',
      exists: true,
      ttlMs: 30_000,
    });
  });

  test('whose aliases go in a circle, or on and on, fails', () => {
    const circle = [record('a.test', 'CNAME', 'b.test'), record('b.test', 'CNAME', 'a.test')];
    expect(readReply(reply({ answers: circle }), 'a.test', 'A')).toEqual({
      kind: 'failed',
      code: 'ALIASES',
    });
    const chain = Array.from({ length: 9 }, (_, i) => record(`n${i}.test`, 'CNAME', `n${i + 1}.test`));
    expect(readReply(reply({ answers: chain }), 'n0.test', 'A')).toMatchObject({ kind: 'failed' });
    expect(readReply(reply({ answers: chain }), 'n1.test', 'A')).toMatchObject({ target: 'n9.test' });
  });

  test('tells a name that does not exist from one without such records', () => {
    const authorities = [soa];
    expect(readReply(reply({ rcode: 'NXDOMAIN', authorities }), 'x.test', 'MX')).toEqual({
      kind: 'none',
      exists: false,
      ttlMs: 60_000,
    });
    expect(readReply(reply({ authorities }), 'x.test', 'MX')).toEqual({
      kind: 'none',
      exists: true,
      ttlMs: 60_000,
    });
    // RFC 2308 5: without an SOA it must not be kept.
    expect(readReply(reply({ rcode: 'NXDOMAIN' }), 'x.test', 'MX')).toMatchObject({ ttlMs: 0 });
    expect(readReply(reply({}), 'x.test', 'MX')).toEqual({ kind: 'none', exists: true, ttlMs: 0 });
  });

  test.each(['SERVFAIL', 'REFUSED', 'NOTIMP', 'FORMERR'])('with %s says nothing of the name', (rcode) => {
    expect(readReply(reply({ rcode }), 'x.test', 'MX')).toEqual({ kind: 'failed', code: rcode });
  });

  test('that refers to others, or neither knows nor asks, is lame', () => {
    const authorities = [record('test', 'NS', 'ns.test')];
    const lame = { kind: 'failed', code: 'LAME' };
    expect(readReply(reply({ authorities }), 'x.test', 'MX')).toEqual(lame);
    expect(readReply(reply({ offersRecursion: false }), 'x.test', 'MX')).toEqual(lame);
    expect(readReply(reply({ offersRecursion: false, isAuthoritative: true }), 'x.test', 'MX')).toMatchObject(
      { kind: 'none' },
    );
  });

  test('with a time of more than 2^31 seconds is not kept (RFC 2181 8)', () => {
    const answers = [record('a.test', 'A', '192.0.2.1', 2 ** 31)];
    expect(readReply(reply({ answers }), 'a.test', 'A')).toMatchObject({ ttlMs: 0 });
  });
});

test.each([
  ['a.test', true],
  ['_dmarc.a.test', true],
  [`${'x'.repeat(63)}.test`, true],
  [`${'x'.repeat(64)}.test`, false],
  [Array(65).fill('abc').join('.'), false],
  ['a..test', false],
  ['.', false],
  ['', false],
  ['a b.test', false],
  ['bücher.test', false],
])('%j can be asked for: %s', (name, expected) => {
  expect(isDnsName(name)).toBe(expected);
});
