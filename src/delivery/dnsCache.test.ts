import { expect, test } from 'vitest';
import type { Dns, DnsAnswer } from '../base/ports.ts';
import { DnsCache, dnsCacheLimits } from './dnsCache.ts';

const found = (address: string, ttlMs = 60_000): DnsAnswer<never> => ({
  kind: 'found',
  records: [address as never],
  ttlMs,
});

/** A cache over a name server that says what `says` holds, and counts. */
function scene(limits = dnsCacheLimits) {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const asked: string[] = [];
  const says: { answer: DnsAnswer<never> } = { answer: found('192.0.2.1') };
  const dns: Dns = {
    async query(name, type) {
      asked.push(`${name} ${type}`);
      return says.answer;
    },
  };
  return { clock, asked, says, cache: new DnsCache(dns, clock, limits) };
}

test('an answer is kept for its time, and asked for again behind it', async () => {
  const { clock, asked, says, cache } = scene();
  expect(await cache.lookup('a.test', 'A')).toEqual({
    answer: says.answer,
    leftMs: 60_000,
    isFresh: true,
  });
  clock.nowMs = 59_999;
  expect(await cache.lookup('a.test', 'A')).toEqual({ answer: says.answer, leftMs: 1, isFresh: false });
  says.answer = found('192.0.2.2');
  clock.nowMs = 60_000;
  expect(await cache.lookup('a.test', 'A')).toMatchObject({ answer: says.answer, isFresh: true });
  expect(asked).toHaveLength(2);
});

test('types of one name are answers of their own', async () => {
  const { asked, cache } = scene();
  for (const type of ['A', 'AAAA', 'MX', 'A'] as const) await cache.lookup('a.test', type);
  expect(asked).toEqual(['a.test A', 'a.test AAAA', 'a.test MX']);
});

test('a question under way is not asked again', async () => {
  const { asked, cache } = scene();
  const all = await Promise.all(Array.from({ length: 300 }, () => cache.lookup('a.test', 'MX')));
  expect(asked).toEqual(['a.test MX']);
  expect(all.filter(({ isFresh }) => isFresh)).toHaveLength(1);
});

test.each<[string, DnsAnswer<never>, number]>([
  ['without time is kept a moment all the same', found('192.0.2.1', 0), dnsCacheLimits.leastMs],
  ['for years is kept a day', found('192.0.2.1', 1e12), dnsCacheLimits.mostMs],
  ['NXDOMAIN is kept as long as its zone says', { kind: 'none', exists: false, ttlMs: 300_000 }, 300_000],
  [
    'NODATA is kept an hour at most',
    { kind: 'none', exists: true, ttlMs: 86_400_000 },
    dnsCacheLimits.mostNegativeMs,
  ],
  [
    'a negative one without SOA is kept a moment',
    { kind: 'none', exists: true, ttlMs: 0 },
    dnsCacheLimits.leastMs,
  ],
  ['a failure is kept briefly', { kind: 'failed', code: 'SERVFAIL' }, dnsCacheLimits.failureMs],
])('an answer %s', async (_, answer, heldMs) => {
  const { clock, asked, says, cache } = scene();
  says.answer = answer;
  await cache.lookup('a.test', 'A');
  clock.nowMs = heldMs - 1;
  await cache.lookup('a.test', 'A');
  expect(asked).toHaveLength(1);
  clock.nowMs = heldMs;
  await cache.lookup('a.test', 'A');
  expect(asked).toHaveLength(2);
});

test('beyond its bound the answer not used for longest goes', async () => {
  const { asked, cache } = scene({ ...dnsCacheLimits, entries: 3 });
  for (const name of ['a', 'b', 'c', 'a', 'd']) await cache.lookup(name, 'A');
  expect(cache.size).toBe(3);
  await cache.lookup('a', 'A');
  expect(asked).toHaveLength(4);
  await cache.lookup('b', 'A');
  expect(asked).toHaveLength(5);
});

test('answers that are over go as others come', async () => {
  const { clock, cache } = scene();
  for (let i = 0; i < 100; i++) await cache.lookup(`old${i}`, 'A');
  clock.nowMs = 60_000;
  for (let i = 0; i < 50; i++) await cache.lookup(`new${i}`, 'A');
  expect(cache.size).toBe(50);
});
