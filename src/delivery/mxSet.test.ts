import { expect, test } from 'vitest';
import type { DnsAnswer, MxRecord } from '../base/ports.ts';
import { mxSetOf } from './mxSet.ts';

const found = (...records: [preference: number, exchange: string][]): DnsAnswer<MxRecord> => ({
  kind: 'found',
  records: records.map(([preference, exchange]) => ({ preference, exchange })),
  ttlMs: 1,
});
const noData: DnsAnswer<MxRecord> = { kind: 'none', exists: true, ttlMs: 1 };

test('the best preference comes first', () => {
  expect(mxSetOf('r.test', found([20, 'b'], [10, 'a'], [20, 'c']), true)).toEqual({
    kind: 'hosts',
    hosts: [
      { host: 'a', preference: 10 },
      { host: 'b', preference: 20 },
      { host: 'c', preference: 20 },
    ],
    isImplicit: false,
  });
});

test('without MX the domain is its own host, unless bounce-upon-no-mx', () => {
  expect(mxSetOf('r.test', noData, false)).toEqual({
    kind: 'hosts',
    hosts: [{ host: 'r.test', preference: 0 }],
    isImplicit: true,
  });
  expect(mxSetOf('r.test', noData, true)).toMatchObject({ means: 'bounce', status: '5.4.4' });
});

test('a null MX takes no mail; beside others it means nothing (RFC 7505 3)', () => {
  expect(mxSetOf('r.test', found([0, '.']), false)).toMatchObject({ means: 'bounce', status: '5.1.10' });
  expect(mxSetOf('r.test', found([0, '.'], [10, 'a']), false)).toMatchObject({
    hosts: [{ host: 'a', preference: 10 }],
  });
});

test('a domain that does not exist bounces; a server that does not know never does', () => {
  const absent: DnsAnswer<MxRecord> = { kind: 'none', exists: false, ttlMs: 1 };
  expect(mxSetOf('r.test', absent, false)).toMatchObject({ means: 'bounce', status: '5.1.2' });
  for (const code of ['SERVFAIL', 'TIMEOUT', 'REFUSED']) {
    expect(mxSetOf('r.test', { kind: 'failed', code }, true)).toEqual({
      kind: 'none',
      means: 'dnsError',
      status: '4.4.3',
      diagnostic: `looking up the MX of r.test failed (${code})`,
    });
  }
});

test('of a hundred MX the best twenty count', () => {
  const many = Array.from({ length: 100 }, (_, i): [number, string] => [100 - i, `mx${i}`]);
  const set = mxSetOf('r.test', found(...many), false);
  expect(set.kind === 'hosts' && set.hosts.map(({ preference }) => preference)).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
});
