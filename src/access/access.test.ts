import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { type Cidr, formatIp, lastOf, parseCidr, parseIp } from '../base/ip.ts';
import { ipSetContains, unionOf } from '../base/ipRanges.ts';
import {
  type CidrText,
  type Config,
  type InjectionSourceConfig,
  injectionSourceDefaults,
  type Origin,
} from '../config/config.ts';
import { parsePath } from '../protocol/path.ts';
import { type ConnectAllowed, compileAccess, type RecipientVerdict } from './access.ts';
import { configOf, type Fixture, type FixtureListener, noRelay, relays } from './configFixture.ts';
import { proveClosed } from './openRelay.ts';

function connected(fixture: Fixture, clientAddress: string, listenerIndex = 0): ConnectAllowed {
  const verdict = compileAccess(configOf(fixture)).connect({ clientAddress, listenerIndex });
  if (verdict.kind !== 'allowed') throw new Error(`${clientAddress}: ${verdict.kind}`);
  return verdict;
}

function rcpt(
  fixture: Fixture,
  clientAddress: string,
  domain: string,
  routedLocalPart = false,
): RecipientVerdict {
  const access = compileAccess(configOf(fixture));
  const connection = access.connect({ clientAddress, listenerIndex: 0 });
  if (connection.kind !== 'allowed') throw new Error(`${clientAddress}: ${connection.kind}`);
  return access.recipient(connection, { domain, localPart: 'user', routedLocalPart });
}

describe('who may connect', () => {
  const guarded: Fixture = {
    listeners: [{ at: '10.0.0.1:25', block: true, allowedHosts: '10.0.1.50 10.0.1.51 192.0.2.0/28' }],
    sources: [['0/0', { smtpService: false }]],
  };

  test('allowed-hosts is judged before any source, and resets name its line', () => {
    const verdict = compileAccess(configOf(guarded)).connect({
      clientAddress: '10.0.1.52',
      listenerIndex: 0,
    });
    expect(verdict).toMatchObject({
      kind: 'reset',
      reason: 'allowed-hosts',
      decidedBy: { text: 'allowed-hosts 10.0.1.50 10.0.1.51 192.0.2.0/28' },
    });
  });

  test('smtp-service no is answered 521 without an enhanced code, and names its line', () => {
    const verdict = compileAccess(configOf(guarded)).connect({
      clientAddress: '192.0.2.15',
      listenerIndex: 0,
    });
    expect(verdict).toMatchObject({
      kind: 'refused',
      reply: { code: 521, enhanced: '', lines: ['mail.local.test does not accept mail from you'] },
      decidedBy: { text: '    smtp-service no' },
    });
  });

  test('an empty allowed-hosts allows nobody', () => {
    const access = compileAccess(
      configOf({ listeners: [{ at: '127.0.0.1:25', block: true, allowedHosts: '' }] }),
    );
    expect(access.connect({ clientAddress: '127.0.0.1', listenerIndex: 0 }).kind).toBe('reset');
  });

  test.each([
    ['127.0.0.1:25', '8.8.4.4'],
    ['[::1]:25', '2001:4860:4860::8844'],
    ['0.0.0.0:25', '2001:4860:4860::8844'],
    ['[::]:25', '8.8.4.4'],
    ['[::]:25', '::ffff:8.8.4.4'],
    ['0.0.0.0:25', ''],
    ['0.0.0.0:25', 'not an address'],
  ])('a listener on %s resets the client "%s" that it cannot rightly have', (at, clientAddress) => {
    const access = compileAccess(configOf({ listeners: [at], sources: [['0/0', relays]] }));
    expect(access.connect({ clientAddress, listenerIndex: 0 })).toMatchObject({
      kind: 'reset',
      reason: 'wrong-side',
    });
  });

  test('an IPv4 client that shows up as an IPv6-mapped address is judged as IPv4', () => {
    const fixture: Fixture = { listeners: ['0.0.0.0:25'], sources: [['10/8', relays]] };
    expect(connected(fixture, '::ffff:10.1.2.3').relayGrant).toBeDefined();
  });

  test('a flood of other clients never changes the verdict of a client', () => {
    const access = compileAccess(configOf({ listeners: ['0.0.0.0:25'], sources: [['10/8', relays]] }));
    for (let i = 0; i < 10_000; i++) {
      access.connect({ clientAddress: `9.9.${i >> 8}.${i & 255}`, listenerIndex: 0 });
      if (i % 1000 === 0) {
        const verdict = access.connect({ clientAddress: '10.0.0.1', listenerIndex: 0 });
        expect(verdict.kind === 'allowed' && verdict.relayGrant?.kind).toBe('always-allow-relaying');
      }
    }
  });
});

describe('what holds for a client', () => {
  test('sources are laid from the general to the specific, whatever their order, then the listener named one', () => {
    const fixture: Fixture = {
      listeners: [{ at: '0.0.0.0:25', source: 'Apps' }],
      sources: [
        ['10.1.2.3', { maxMessageSizeBytes: 3, defaultVirtualMta: 'host' }],
        ['0/0', { maxMessageSizeBytes: 1, maxMessageHops: 10, logData: true, logCommands: true }],
        ['apps', { defaultVirtualMta: 'named' }],
        ['10/8', { maxMessageSizeBytes: 2, maxMessageHops: 20, logData: false }],
      ],
    };
    const { effective, blocks } = connected(fixture, '10.1.2.3');
    expect(effective).toMatchObject({
      maxMessageSizeBytes: { value: 3, origin: { line: 5, text: '    max-message-size-bytes 3' } },
      maxMessageHops: { value: 20 },
      logData: { value: false },
      logCommands: { value: true },
      defaultVirtualMta: { value: 'named' },
      smtpService: { value: true, origin: undefined },
    });
    expect(blocks.map(({ origin }) => origin.text)).toEqual([
      '<source 0/0>',
      '<source 10/8>',
      '<source 10.1.2.3>',
      '<source apps>',
    ]);
    expect(connected(fixture, '10.9.9.9').effective.maxMessageSizeBytes.value).toBe(2);
  });

  test('equal ranges merge and the later line wins', () => {
    const fixture: Fixture = {
      listeners: ['0.0.0.0:25'],
      sources: [
        ['10/8', { logData: true, logCommands: true }],
        ['10.0.0.0/8', { logData: false }],
      ],
    };
    const { effective } = connected(fixture, '10.0.0.1');
    expect([effective.logData.value, effective.logCommands.value]).toEqual([false, true]);
  });

  test('0/0 means IPv6 too, ::/0 means IPv6 only and is the more specific', () => {
    const fixture: Fixture = {
      listeners: ['0.0.0.0:25', '[::]:25'],
      sources: [
        ['::/0', { maxMessageHops: 6 }],
        ['0/0', { maxMessageHops: 4, logData: true }],
      ],
    };
    expect(connected(fixture, '2001:db8::1', 1).effective).toMatchObject({
      maxMessageHops: { value: 6 },
      logData: { value: true },
    });
    expect(connected(fixture, '192.0.2.1').effective.maxMessageHops.value).toBe(4);
  });

  test("the listener's own pool beats every source's", () => {
    const fixture: Fixture = {
      listeners: [{ at: '0.0.0.0:25', block: true, pool: 'marketing', source: 'x' }],
      sources: [
        ['0/0', { defaultVirtualMta: 'a' }],
        ['x', { defaultVirtualMta: 'b' }],
      ],
    };
    expect(connected(fixture, '10.0.0.1').effective.defaultVirtualMta.value).toBe('marketing');
  });
});

describe('implied grants', () => {
  const listener = (given: Partial<FixtureListener>): FixtureListener => ({ at: '127.0.0.1:25', ...given });
  const hosts = listener({ at: '10.0.0.1:25', block: true, allowedHosts: '10.0.1.50' });
  const grantOf = (listeners: FixtureListener, client: string, sources: Fixture['sources'] = []) =>
    connected({ listeners: [listeners], sources }, client).relayGrant?.kind;

  test('a block with allowed-hosts lets those hosts relay, whatever sources stay silent', () => {
    expect(grantOf(hosts, '10.0.1.50')).toBe('allowed-hosts');
    expect(grantOf(hosts, '10.0.1.50', [['0/0', { logData: true }]])).toBe('allowed-hosts');
  });

  test('a block on a loopback address lets loopback clients relay where no source covers them', () => {
    expect(grantOf(listener({ block: true }), '127.0.0.1')).toBe('loopback-block');
    expect(grantOf(listener({ block: true }), '127.0.0.1', [['10/8', noRelay]])).toBe('loopback-block');
    expect(grantOf(listener({ block: true }), '127.0.0.1', [['127/8', { logData: true }]])).toBeUndefined();
    expect(
      grantOf(listener({ block: true, source: 'x' }), '127.0.0.1', [['x', { logData: true }]]),
    ).toBeUndefined();
    expect(grantOf(listener({ block: true, source: 'gone' }), '127.0.0.1')).toBeUndefined();
  });

  test('a one-line listener implies nothing', () => {
    expect(grantOf(listener({}), '127.0.0.1')).toBeUndefined();
    expect(grantOf({ ...hosts, block: false }, '10.0.1.50')).toBeUndefined();
  });

  test('a written always-allow-relaying no ends every implied grant, and a written yes needs none', () => {
    expect(grantOf(hosts, '10.0.1.50', [['10/8', noRelay]])).toBeUndefined();
    expect(grantOf(hosts, '10.0.1.50', [['10/8', relays]])).toBe('always-allow-relaying');
  });

  test('a grant tells its line, its block and whether it was implied', () => {
    expect(connected({ listeners: [hosts] }, '10.0.1.50').relayGrant).toMatchObject({
      implied: true,
      origin: { text: 'allowed-hosts 10.0.1.50' },
      block: { text: '<smtp-listener 10.0.0.1:25>' },
    });
    const written = connected(
      { listeners: ['0.0.0.0:25'], sources: [['10/8', relays]] },
      '10.0.0.1',
    ).relayGrant;
    expect(written).toMatchObject({
      implied: false,
      origin: { text: '    always-allow-relaying yes' },
      block: { text: '<source 10/8>' },
    });
  });
});

describe('where a client may send', () => {
  const fixture: Fixture = {
    listeners: ['0.0.0.0:25'],
    hostNames: ['Mail.Local.Test', 'other.test'],
    relayDomains: ['exact.test', '*.below.test', '[*.]both.test', '[192.0.2.0/24]', '[2001:db8::/32]'],
    sources: [
      ['10/8', relays],
      ['10.0.0.66', noRelay],
    ],
  };

  test.each([
    ['mail.local.test', true],
    ['other.test', true],
    ['x.other.test', false],
    ['exact.test', true],
    ['sub.exact.test', false],
    ['notexact.test', false],
    ['below.test', false],
    ['a.below.test', true],
    ['a.b.below.test', true],
    ['xbelow.test', false],
    ['both.test', true],
    ['a.b.both.test', true],
    ['test', false],
    ['[192.0.2.9]', true],
    ['[192.0.3.9]', false],
    ['[IPv6:2001:db8::9]', true],
    ['[IPv6:2001:db9::9]', false],
    ['[nonsense]', false],
  ])('a stranger may send to %s: %s', (domain, isLocal) => {
    const verdict = rcpt(fixture, '8.8.4.4', domain);
    expect(verdict.kind).toBe(isLocal ? 'accepted' : 'refused');
    if (verdict.kind === 'accepted') expect(verdict.as).toBe('local');
    else expect(verdict.reply).toMatchObject({ code: 550, enhanced: '5.7.1' });
  });

  test('who holds a grant may send anywhere, and the verdict names the grant', () => {
    expect(rcpt(fixture, '10.0.0.1', 'gmail.com')).toMatchObject({
      kind: 'accepted',
      as: 'relay',
      grant: { kind: 'always-allow-relaying' },
    });
    expect(rcpt(fixture, '10.0.0.1', 'exact.test', true)).toMatchObject({ kind: 'accepted', as: 'local' });
  });

  test('a refusal names the line that says no, or none for the default', () => {
    expect(rcpt(fixture, '10.0.0.66', 'gmail.com')).toMatchObject({
      decidedBy: { text: '    always-allow-relaying no' },
    });
    expect(rcpt(fixture, '8.8.4.4', 'gmail.com')).toMatchObject({ decidedBy: undefined });
  });

  test('<postmaster> is taken from everyone; nothing else goes without a domain, not even with a grant', () => {
    const access = compileAccess(configOf(fixture));
    for (const clientAddress of ['8.8.4.4', '10.0.0.1']) {
      const connection = access.connect({ clientAddress, listenerIndex: 0 }) as ConnectAllowed;
      const to = (localPart: string) =>
        access.recipient(connection, { domain: '', localPart, routedLocalPart: localPart.includes('!') });
      expect(to('PostMaster')).toMatchObject({ kind: 'accepted', as: 'local' });
      expect(to('user')).toMatchObject({ kind: 'refused', reply: { code: 553, enhanced: '5.1.3' } });
      expect(to('gmail.com!postmaster')).toMatchObject({ kind: 'refused' });
    }
  });

  test('relay-domain * is a grant to everyone, not a local domain', () => {
    const open: Fixture = { listeners: ['0.0.0.0:25'], relayDomains: ['*', 'exact.test'] };
    expect(rcpt(open, '8.8.4.4', 'gmail.com')).toMatchObject({
      as: 'relay',
      grant: { kind: 'relay-domain' },
    });
    expect(rcpt(open, '8.8.4.4', 'exact.test')).toMatchObject({ as: 'local' });
    expect(rcpt(open, '8.8.4.4', 'gmail.com', true)).toMatchObject({ kind: 'refused' });
  });
});

describe('the open relay probes of nmap (reliability A1)', () => {
  const fixture: Fixture = {
    listeners: [{ at: '0.0.0.0:25' }],
    relayDomains: ['local.test', '[*.]relayed.test', '[203.0.113.25/32]'],
  };
  const access = compileAccess(configOf(fixture));
  const stranger = access.connect({ clientAddress: '198.51.100.7', listenerIndex: 0 }) as ConnectAllowed;
  // What goes wrong before access, goes wrong as a refusal.
  const accepts = (forwardPath: string): boolean => {
    const parsed = parsePath(`<${forwardPath}>`, 'forward');
    return typeof parsed !== 'string' && access.recipient(stranger, parsed.path).kind === 'accepted';
  };
  const to = 'u@ext.test';
  // The senders of the first four forms do not enter the decision, which is what refuses them.
  const forms = (ours: string, ip: string): string[] => [
    to,
    to,
    to,
    to,
    `u%ext.test@${ip}`,
    `u%ext.test@${ours}`,
    '"u@ext.test"',
    '"u%ext.test"',
    `u@ext.test@${ip}`,
    `"u@ext.test"@${ip}`,
    `u@ext.test@${ours}`,
    `@${ip}:u@ext.test`,
    `@${ours}:u@ext.test`,
    'ext.test!u',
    `ext.test!u@${ip}`,
    `ext.test!u@${ours}`,
  ];

  test.each([
    'mail.local.test',
    'local.test',
    'relayed.test',
    'a.relayed.test',
  ])('none of the sixteen is accepted from a stranger when they know that %s is ours', (ours) => {
    const ip = '[203.0.113.25]';
    expect([accepts(`u@${ours}`), accepts(`u@${ip}`)]).toEqual([true, true]);
    expect(forms(ours, ip).filter(accepts)).toEqual([]);
    const more = [
      `"u%ext.test"@${ours}`,
      `"ext.test!u"@${ours}`,
      `"u@ext.test"@${ours}`,
      `u:ext.test@${ours}`,
    ];
    expect(more.filter(accepts)).toEqual([]);
  });
});

/** The same rules written once more, straight down the configuration, with another library's CIDR match. */
function naive(
  config: Config,
  listenerIndex: number,
  client: string,
  domain: string,
  routed: boolean,
): string {
  const address = ipaddr.process(client);
  const isIn = ({ address: base, bits }: CidrText): boolean => {
    if (base === '0.0.0.0' && bits === 0) return true;
    const range = ipaddr.parse(base);
    if (range.kind() !== address.kind()) return false;
    return (address as ipaddr.IPv4).match(range as ipaddr.IPv4, bits);
  };
  const listener = config.listeners[listenerIndex]!;
  if (listener.allowedHosts !== undefined && !listener.allowedHosts.value.some(isIn)) return 'reset';
  const here = ipaddr.parse(listener.address);
  if (here.kind() !== address.kind()) return 'reset';
  const isLoopback = (ip: ipaddr.IPv4 | ipaddr.IPv6): boolean => ip.range() === 'loopback';
  if (isLoopback(here) && !isLoopback(address)) return 'reset';

  const generality = ({ over }: InjectionSourceConfig): number =>
    over.kind === 'name'
      ? 1000
      : over.cidr.bits === 0 && over.cidr.address === '0.0.0.0'
        ? -1
        : over.cidr.bits;
  const layers = config.injectionSources
    .filter(({ over }) => (over.kind === 'cidr' ? isIn(over.cidr) : over.name === listener.source?.value))
    .map((block, order) => ({ block, order }))
    .sort((a, b) => generality(a.block) - generality(b.block) || a.order - b.order);
  let relaying = injectionSourceDefaults.alwaysAllowRelaying;
  let relayingLine: Origin | undefined;
  let service = injectionSourceDefaults.smtpService;
  for (const { block } of layers) {
    service = block.settings.smtpService?.value ?? service;
    relayingLine = block.settings.alwaysAllowRelaying?.origin ?? relayingLine;
    relaying = block.settings.alwaysAllowRelaying?.value ?? relaying;
  }
  if (!service) return 'refused';
  let may = relaying;
  if (relayingLine === undefined && listener.blockForm) {
    if (listener.allowedHosts !== undefined) may = true;
    else if (isLoopback(here) && layers.length === 0 && listener.source === undefined) may = true;
  }
  const local =
    config.hostNames.value.includes(domain) ||
    config.relayDomains.some(({ value }) => {
      if (value.kind === 'exact') return domain === value.domain;
      if (value.kind === 'subdomains') return domain.endsWith(`.${value.domain}`);
      if (value.kind === 'domainAndSubdomains') return `.${domain}`.endsWith(`.${value.domain}`);
      return false;
    });
  if (may) return local ? 'local' : `relay by ${relayingLine?.line}`;
  return local && !routed ? 'local' : 'denied';
}

const someCidr = fc
  .tuple(
    fc.constantFrom(
      '10.1.2.3',
      '8.8.4.4',
      '127.0.0.1',
      '0.0.0.0',
      '255.255.255.255',
      '2001:4860::8844',
      '::1',
      '::',
    ),
    fc.oneof(fc.constantFrom(0, 1, 8, 31, 32, 127, 128), fc.nat(128)),
  )
  .map(([address, bits]) => parseCidr(`${address}/${Math.min(bits, address.includes(':') ? 128 : 32)}`)!)
  .map((cidr) => `${formatIp({ family: cidr.family, value: cidr.first })}/${cidr.bits}`);

const someListener = fc.record({
  at: fc.constantFrom('0.0.0.0:25', '[::]:25', '127.0.0.1:25', '[::1]:25', '10.0.0.1:25', '8.8.8.8:25'),
  block: fc.boolean(),
  source: fc.option(fc.constantFrom('n1', 'n2', 'none'), { nil: undefined, freq: 2 }),
  allowedHosts: fc.option(
    fc.array(someCidr, { maxLength: 3 }).map((list) => list.join(' ')),
    { nil: undefined, freq: 2 },
  ),
});

const someSettings = fc.record(
  {
    alwaysAllowRelaying: fc.boolean(),
    smtpService: fc.constantFrom(true, true, false),
    logData: fc.boolean(),
  },
  { requiredKeys: [] },
);

const someFixture: fc.Arbitrary<Fixture> = fc.record({
  listeners: fc.array(someListener, { minLength: 1, maxLength: 3 }),
  sources: fc.array(fc.tuple(fc.oneof(someCidr, someCidr, fc.constantFrom('n1', 'n2')), someSettings), {
    maxLength: 6,
  }),
  relayDomains: fc.subarray(['a.test', '*.b.test', '[*.]c.test']),
});

/** First and last address of every range in the configuration, and their neighbours. */
function edgeClients(config: Config): string[] {
  const ranges = [
    ...config.injectionSources.flatMap(({ over }) => (over.kind === 'cidr' ? [over.cidr] : [])),
    ...config.listeners.flatMap(({ allowedHosts }) => allowedHosts?.value ?? []),
    { address: '127.0.0.0', bits: 8 },
    { address: '::1', bits: 128 },
  ].map(({ address, bits }): Cidr => parseCidr(`${address}/${bits}`)!);
  const clients = ranges.flatMap((cidr) =>
    [cidr.first - 1n, cidr.first, lastOf(cidr), lastOf(cidr) + 1n]
      .filter((value) => value >= 0n && value < 1n << (cidr.family === 4 ? 32n : 128n))
      .map((value) => formatIp({ family: cidr.family, value })),
  );
  return [...new Set(clients)];
}

test('the compiled decision, the proof and a naive reading agree on 20,000 pairs of configuration and client', () => {
  let pairs = 0;
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(
      someFixture,
      fc.constantFrom('a.test', 'x.b.test', 'c.test', 'gmail.com'),
      fc.boolean(),
      (fixture, domain, routedLocalPart) => {
        const config = configOf(fixture);
        const access = compileAccess(config);
        const { grants } = proveClosed(config);
        const clients = edgeClients(config);
        config.listeners.forEach((_, listenerIndex) => {
          const own = grants.filter((grant) => grant.listenerIndex === listenerIndex);
          const proven = unionOf(own.map((grant) => grant.clients));
          for (const clientAddress of clients) {
            pairs++;
            const connection = access.connect({ clientAddress, listenerIndex });
            let ours: string = connection.kind;
            if (connection.kind === 'allowed') {
              const verdict = access.recipient(connection, { domain, localPart: 'u', routedLocalPart });
              if (verdict.kind === 'refused') ours = 'denied';
              else if (verdict.as === 'local') ours = 'local';
              else ours = `relay by ${verdict.grant.implied ? undefined : verdict.grant.origin!.line}`;
            }
            const theirs = naive(config, listenerIndex, clientAddress, domain, routedLocalPart);
            if (ours !== theirs)
              throw new Error(`${clientAddress} to listener ${listenerIndex}: ${ours}, not ${theirs}`);
            const relaysToStrangers = naive(
              config,
              listenerIndex,
              clientAddress,
              'gmail.com',
              false,
            ).startsWith('relay');
            if (ipSetContains(proven, parseIp(clientAddress)!) !== relaysToStrangers) {
              throw new Error(`the proof is wrong about ${clientAddress} at listener ${listenerIndex}`);
            }
            const kind = theirs.replace(/ by \d+/, ' by line');
            seen.set(kind, (seen.get(kind) ?? 0) + 1);
          }
        });
      },
    ),
    { numRuns: 1000 },
  );
  expect(pairs).toBeGreaterThanOrEqual(20_000);
  // Every kind of answer was met often enough to mean something.
  for (const kind of ['reset', 'refused', 'local', 'denied', 'relay by line', 'relay by undefined']) {
    expect([kind, (seen.get(kind) ?? 0) > 100]).toEqual([kind, true]);
  }
});
