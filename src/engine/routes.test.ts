import { describe, expect, test } from 'vitest';
import type { Dns, DnsAnswer } from '../base/ports.ts';
import { domainDefaults, type SmtpHostGroup } from '../config/config.ts';
import { DnsCache } from '../delivery/dnsCache.ts';
import type { OwnHosts } from '../delivery/ownHosts.ts';
import { endpointsOf, type Route, type RouteSettings, Routes } from './routes.ts';

const ttlMs = 60_000;
const absent: DnsAnswer<never> = { kind: 'none', exists: false, ttlMs };
const noData: DnsAnswer<never> = { kind: 'none', exists: true, ttlMs };
const servfail: DnsAnswer<never> = { kind: 'failed', code: 'SERVFAIL' };

/** `r.test MX` -> `10 mx1.r.test`; a string for a failure. What is not there is NODATA for a known name, else NXDOMAIN. */
type Zone = Readonly<Record<string, readonly string[] | 'SERVFAIL'>>;

function answerOf(zone: Zone, name: string, type: string): DnsAnswer<never> {
  const said = zone[`${name} ${type}`];
  if (said === 'SERVFAIL') return servfail;
  if (said === undefined)
    return Object.keys(zone).some((key) => key.startsWith(`${name} `)) ? noData : absent;
  const records = said.map((text) => {
    const [preference, exchange] = text.split(' ');
    return (type === 'MX' ? { preference: Number(preference), exchange } : text) as never;
  });
  return { kind: 'found', records, ttlMs };
}

const nobody: OwnHosts = { isOwnHost: () => false, isOwnEndpoint: () => false };
const own: OwnHosts = {
  isOwnHost: (name) => name === 'own.test',
  isOwnEndpoint: (address) => address === '192.0.2.99',
};

interface Asked {
  readonly domain?: string;
  readonly from?: string;
  readonly own?: OwnHosts;
  readonly settings?: Partial<Pick<typeof domainDefaults, keyof RouteSettings>>;
  readonly u32?: () => number;
}

const settingsOf = (over: Asked['settings']): RouteSettings =>
  Object.fromEntries(
    Object.entries({ ...domainDefaults, ...over }).map(([key, value]) => [key, { value, origin: undefined }]),
  ) as unknown as RouteSettings;

async function find(zone: Zone, asked: Asked = {}): Promise<Route> {
  const dns: Dns = { query: async (name, type) => answerOf(zone, name, type) };
  const cache = new DnsCache(dns, { monotonicMs: () => 0 });
  const routes = new Routes({ cache, own: asked.own ?? nobody, random: { u32: asked.u32 ?? (() => 0) } });
  return routes.find(asked.domain ?? 'r.test', settingsOf(asked.settings), asked.from);
}

async function endpoints(zone: Zone, asked: Asked = {}): Promise<readonly string[]> {
  const route = await find(zone, asked);
  expect(route.trouble).toBeUndefined();
  return endpointsOf(route, 0, 10).map(({ host, address, port }) => `${host} ${address} ${port}`);
}

async function trouble(zone: Zone, asked: Asked = {}): Promise<Route['trouble']> {
  const route = await find(zone, asked);
  expect(endpointsOf(route, 0, 10)).toEqual([]);
  return route.trouble;
}

const two = {
  'r.test MX': ['20 mx2.r.test', '10 mx1.r.test'],
  'mx1.r.test A': ['192.0.2.1'],
  'mx1.r.test AAAA': ['2001:db8::1'],
  'mx2.r.test A': ['192.0.2.2', '192.0.2.3'],
};

describe('the hosts of a domain', () => {
  test('are its MX by preference, at their addresses of both families', async () => {
    expect(await endpoints(two)).toEqual([
      'mx1.r.test 192.0.2.1 25',
      'mx1.r.test 2001:db8::1 25',
      'mx2.r.test 192.0.2.2 25',
      'mx2.r.test 192.0.2.3 25',
    ]);
    expect(await endpoints(two, { settings: { defaultSmtpPort: 2525 } })).toContain(
      'mx1.r.test 192.0.2.1 2525',
    );
  });

  test('of one preference come in random order, and never before a better one', async () => {
    const zone = {
      'r.test MX': ['5 a', '10 b', '10 c', '10 d'],
      ...Object.fromEntries(['a', 'b', 'c', 'd'].map((name, i) => [`${name} A`, [`192.0.2.${i}`]])),
    };
    let seed = 1;
    const u32 = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed >>> 8;
    };
    const orders = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const hosts = (await endpoints(zone, { u32 })).map((text) => text.split(' ')[0]);
      expect(hosts[0]).toBe('a');
      orders.add(hosts.join(''));
    }
    expect([...orders].sort()).toEqual(['abcd', 'abdc', 'acbd', 'acdb', 'adbc', 'adcb']);
  });

  test('without MX it is the domain itself', async () => {
    expect(await endpoints({ 'r.test A': ['192.0.2.1'] })).toEqual(['r.test 192.0.2.1 25']);
  });

  test('an MX without address, or that failed, is passed over', async () => {
    const zone = { ...two, 'r.test MX': ['1 gone.test', '2 bad.test', '3 192.0.2.77', '4 mx2.r.test'] };
    expect(await endpoints({ ...zone, 'bad.test A': 'SERVFAIL' })).toEqual([
      'mx2.r.test 192.0.2.2 25',
      'mx2.r.test 192.0.2.3 25',
    ]);
  });

  test('that bind IPv4 reach IPv4 only, and the other way round', async () => {
    expect(await endpoints(two, { from: '198.51.100.1' })).not.toContain('mx1.r.test 2001:db8::1 25');
    expect(await endpoints(two, { from: '2001:db8::99' })).toEqual(['mx1.r.test 2001:db8::1 25']);
    expect(await trouble({ 'r.test AAAA': ['2001:db8::1'] }, { from: '198.51.100.1' })).toEqual({
      means: 'wait',
      status: '4.4.4',
      diagnostic: 'r.test is at 2001:db8::1, which cannot be reached from 198.51.100.1',
    });
  });

  test('an address literal is where it says', async () => {
    expect(await endpoints({}, { domain: '[192.0.2.8]' })).toEqual(['192.0.2.8 192.0.2.8 25']);
    expect(await endpoints({}, { domain: '[ipv6:2001:db8::8]' })).toEqual(['2001:db8::8 2001:db8::8 25']);
    expect(await trouble({}, { domain: '[192.0.2.800]' })).toMatchObject({
      means: 'bounce',
      status: '5.1.2',
    });
  });
});

describe('a domain with nobody to connect to', () => {
  test.each<[string, Zone, object]>([
    ['does not exist', {}, { means: 'bounce', status: '5.1.2', diagnostic: 'no such domain: r.test' }],
    ['has a null MX', { 'r.test MX': ['0 .'] }, { means: 'bounce', status: '5.1.10' }],
    ['has neither MX nor address', { 'r.test TXT': ['x'] }, { means: 'wait', status: '4.4.4' }],
    ['has MX that do not exist', { 'r.test MX': ['1 a', '2 b'] }, { means: 'bounce', status: '5.4.4' }],
    [
      'has an MX without address',
      { 'r.test MX': ['1 a', '2 b'], 'b TXT': ['x'] },
      { means: 'wait', status: '4.4.4' },
    ],
    ['is not known for now', { 'r.test MX': 'SERVFAIL' }, { means: 'dnsError', status: '4.4.3' }],
    [
      'has an MX that is not known for now, and one that does not exist',
      { 'r.test MX': ['1 a', '2 b'], 'b A': 'SERVFAIL' },
      { means: 'dnsError', status: '4.4.3', diagnostic: 'looking up b failed (SERVFAIL)' },
    ],
    ['is its own host, not known for now', { 'r.test AAAA': 'SERVFAIL' }, { means: 'dnsError' }],
  ])('which %s', async (_, zone, expected) => {
    expect(await trouble(zone)).toMatchObject(expected);
  });

  test('with bounce-upon-no-mx a domain without MX bounces, address or not', async () => {
    const settings = { bounceUponNoMx: true };
    expect(await trouble({ 'r.test A': ['192.0.2.1'] }, { settings })).toMatchObject({
      means: 'bounce',
      status: '5.4.4',
    });
    expect(await endpoints(two, { settings })).toHaveLength(4);
    // With an interval it is for the queue to say when.
    const route = await find({ 'r.test A': ['192.0.2.1'] }, { settings: { bounceUponNoMx: 60_000 } });
    expect(route).toMatchObject({ hasNoMx: true, trouble: undefined });
    expect(await find(two)).toMatchObject({ hasNoMx: false });
  });
});

describe('addresses nobody can have', () => {
  const inner = { 'r.test MX': ['1 in', '2 out'], 'in A': ['127.0.0.1', '10.0.0.1'], 'out A': ['192.0.2.1'] };

  test('are not tried when they come by DNS', async () => {
    expect(await endpoints(inner)).toEqual(['out 192.0.2.1 25']);
    expect(await trouble({ 'r.test A': ['10.1.2.3'] })).toEqual({
      means: 'wait',
      status: '4.4.4',
      diagnostic: 'r.test is at 10.1.2.3, which is private: see allow-loopback-mx',
    });
    expect(await trouble({}, { domain: '[127.0.0.1]' })).toEqual({
      means: 'wait',
      status: '4.4.4',
      diagnostic: '127.0.0.1 is loopback: see allow-loopback-mx',
    });
  });

  test('are tried with allow-loopback-mx, those where no mail server can be excepted', async () => {
    const settings = { allowLoopbackMx: true };
    expect(await endpoints(inner, { settings })).toHaveLength(3);
    expect(
      await trouble({ 'r.test A': ['0.0.0.0'], 'r.test AAAA': ['ff02::1'] }, { settings }),
    ).toBeDefined();
  });

  test('are tried when smtp-hosts names them, by name or address', async () => {
    const smtpHosts: SmtpHostGroup[] = [
      [
        { host: 'in', isAddress: false, port: 0 },
        { host: '127.0.0.2', isAddress: true, port: 26 },
      ],
    ];
    expect(await endpoints(inner, { settings: { smtpHosts } })).toEqual([
      'in 127.0.0.1 25',
      '127.0.0.2 127.0.0.2 26',
      'in 10.0.0.1 25',
    ]);
  });
});

describe('mail that would come back', () => {
  test('goes only to hosts better than this server (RFC 5321 5.1)', async () => {
    const zone = { ...two, 'r.test MX': ['10 mx1.r.test', '20 own.test', '20 mx2.r.test', '30 x'] };
    const hosts = await endpoints({ ...zone, 'own.test A': ['192.0.2.50'], 'x A': ['192.0.2.51'] }, { own });
    expect(hosts).toEqual(['mx1.r.test 192.0.2.1 25', 'mx1.r.test 2001:db8::1 25']);
    const byAddress = { 'r.test MX': ['10 mx1.r.test', '20 y'], 'mx1.r.test A': ['192.0.2.1'] };
    expect(await endpoints({ ...byAddress, 'y A': ['192.0.2.99'] }, { own })).toEqual([
      'mx1.r.test 192.0.2.1 25',
    ]);
  });

  test('bounces when this server is the best', async () => {
    const zone = { ...two, 'r.test MX': ['10 own.test', '20 mx2.r.test'] };
    expect(await trouble(zone, { own })).toEqual({
      means: 'bounce',
      status: '5.4.6',
      diagnostic: 'mail for r.test would loop: own.test is this server',
    });
  });
});

describe('smtp-hosts', () => {
  const name = (host: string) => ({ host, isAddress: false, port: 0 });
  const mxOf = (host: string) => ({ ...name(host), lookupMx: true as const });

  test('with lookup-mx stand for the MX of that domain, level by level beside their group', async () => {
    const zone = { ...two, 's.test MX': ['1 s1', '9 s2'], 's1 A': ['192.0.2.11'], 's2 A': ['192.0.2.12'] };
    const backup = { 'backup A': ['192.0.2.20'] };
    const smtpHosts = [[mxOf('r.test'), mxOf('s.test')], [name('backup')]];
    const order = await endpoints({ ...zone, ...backup }, { domain: 'x.test', settings: { smtpHosts } });
    expect(order.map((text) => text.split(' ')[1])).toEqual([
      '192.0.2.1',
      '192.0.2.11',
      '2001:db8::1',
      '192.0.2.2',
      '192.0.2.12',
      '192.0.2.3',
      '192.0.2.20',
    ]);
  });

  test.each<[string, SmtpHostGroup, Zone, object]>([
    [
      'a name that does not exist',
      [name('a'), name('b')],
      {},
      { means: 'wait', status: '4.4.4', diagnostic: 'smtp-hosts: no address for a, b' },
    ],
    [
      'a domain that does not exist',
      [mxOf('r.test')],
      {},
      { means: 'wait', status: '4.1.2', diagnostic: 'smtp-hosts: no such domain: r.test' },
    ],
    ['a null MX', [mxOf('r.test')], { 'r.test MX': ['0 .'] }, { means: 'wait', status: '4.1.10' }],
    ['a name not known for now', [name('a'), name('b')], { 'b A': 'SERVFAIL' }, { means: 'dnsError' }],
  ])('that give %s never bounce mail', async (_, group, zone, expected) => {
    expect(await trouble(zone, { domain: 'x.test', settings: { smtpHosts: [group] } })).toMatchObject(
      expected,
    );
  });
});

test('hundreds of connections that start together ask once', async () => {
  let asked = 0;
  const dns: Dns = {
    async query(name, type) {
      asked += 1;
      return answerOf(two, name, type);
    },
  };
  const cache = new DnsCache(dns, { monotonicMs: () => 0 });
  const routes = new Routes({ cache, own: nobody, random: { u32: () => 0 } });
  const found = await Promise.all(
    Array.from({ length: 300 }, () => routes.find('r.test', settingsOf({}), undefined)),
  );
  expect(asked).toBe(5);
  expect(found.filter(({ isFresh }) => isFresh)).toHaveLength(1);
});
