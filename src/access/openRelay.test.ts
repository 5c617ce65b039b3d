import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIp, parseIp } from '../base/ip.ts';
import { intersectionOf, ipSetContains, ipSetOf, noIps } from '../base/ipRanges.ts';
import { compileAccess } from './access.ts';
import { publicIps, rangesOf } from './addressSpace.ts';
import { cidrText, configOf, type Fixture, noRelay, relays } from './configFixture.ts';
import { lintAccess } from './lints.ts';
import { proveClosed } from './openRelay.ts';

const everywhere = ['0.0.0.0:25', '[::]:25'];
const split = (texts: string, settings: Parameters<typeof Object.keys>[0] & object): Fixture['sources'] =>
  texts.split(' ').map((text) => [text, settings] as const);

/** The 256 /24s of 9.9/16 that `keep` picks. */
const slash24s = (keep: (i: number) => boolean): Fixture['sources'] =>
  Array.from({ length: 256 }, (_, i) => i)
    .filter(keep)
    .map((i) => [`9.9.${i}.0/24`, relays] as const);

const open: Record<string, Fixture> = {
  '0/0': { listeners: ['0.0.0.0:25'], sources: [['0/0', relays]] },
  'two halves': { listeners: ['0.0.0.0:25'], sources: split('0.0.0.0/1 128.0.0.0/1', relays) },
  'four quarters, one of them refused': {
    listeners: ['0.0.0.0:25'],
    sources: [['0.0.0.0/2', noRelay], ...split('64.0.0.0/2 128.0.0.0/2 192.0.0.0/2', relays)!],
  },
  '0/0 with a large hole': {
    listeners: ['0.0.0.0:25'],
    sources: [
      ['8.0.0.0/5', noRelay],
      ['0/0', relays],
    ],
  },
  'everything refused but a /23': {
    listeners: ['0.0.0.0:25'],
    sources: [
      ['9.9.8.0/23', relays],
      ['0/0', noRelay],
    ],
  },
  'two /24s far apart': { listeners: ['0.0.0.0:25'], sources: split('9.9.8.0/24 11.1.1.0/24', relays) },
  'many /24s in union': { listeners: ['0.0.0.0:25'], sources: slash24s((i) => i % 2 === 0) },
  'one address more than a /24': { listeners: ['0.0.0.0:25'], sources: split('9.9.8.0/24 9.9.9.0', relays) },
  'IPv6 only, by ::/0': { listeners: everywhere, sources: [['::/0', relays]] },
  'IPv6 left open behind two refused IPv4 halves': {
    listeners: everywhere,
    sources: [['0/0', relays], ...split('0.0.0.0/1 128.0.0.0/1', noRelay)!],
  },
  'IPv6, more than a /48': { listeners: ['[::]:25'], sources: [['2a00:1::/47', relays]] },
  'through the named source of a listener': {
    listeners: [{ at: '0.0.0.0:25', source: 'apps' }],
    sources: [
      ['0/0', noRelay],
      ['apps', relays],
    ],
  },
  'through a named source written twice, the later open': {
    listeners: [{ at: '0.0.0.0:25', source: 'APPS' }],
    sources: [
      ['apps', noRelay],
      ['Apps', relays],
    ],
  },
  'allowed-hosts 0/0 in a block': { listeners: [{ at: '0.0.0.0:25', block: true, allowedHosts: '0/0' }] },
  'allowed-hosts of a /16': { listeners: [{ at: '0.0.0.0:25', block: true, allowedHosts: '9.9.0.0/16' }] },
  'on a private address, which routers forward to': {
    listeners: ['192.168.1.5:25'],
    sources: [['0/0', relays]],
  },
  'a /24 by one listener and another by the next': {
    listeners: [
      { at: '0.0.0.0:25', block: true, allowedHosts: '9.9.8.0/24' },
      { at: '0.0.0.0:26', block: true, allowedHosts: '9.9.9.0/24' },
    ],
  },
  'relay-domain *': { listeners: ['0.0.0.0:25'], relayDomains: ['*'] },
  'relay-domain [0/0], any address literal': { listeners: ['0.0.0.0:25'], relayDomains: ['[0/0]'] },
  'a later equal range opens what the first closed': {
    listeners: ['0.0.0.0:25'],
    sources: [
      ['0/0', noRelay],
      ['0.0.0.0/0', relays],
    ],
  },
  'the safe listener beside it does not help': {
    listeners: ['127.0.0.1:25', '0.0.0.0:2525'],
    sources: [['0/0', relays]],
  },
  'smtp-service no for all but what matters': {
    listeners: ['0.0.0.0:25'],
    sources: [
      ['0/0', { smtpService: false, alwaysAllowRelaying: true }],
      ['16.0.0.0/4', { smtpService: true }],
    ],
  },
};

const safe: Record<string, Fixture> = {
  'nothing grants': { listeners: everywhere },
  '0/0 on loopback only': { listeners: ['127.0.0.1:25', '[::1]:25'], sources: [['0/0', relays]] },
  'two halves, both refused by the listener': {
    listeners: [{ at: '0.0.0.0:25', source: 'no' }],
    sources: [...split('0.0.0.0/1 128.0.0.0/1', relays)!, ['no', noRelay]],
  },
  '0/0 closed again by two halves and ::/0': {
    listeners: everywhere,
    sources: [['0/0', relays], ...split('0.0.0.0/1 128.0.0.0/1 ::/0', noRelay)!],
  },
  'exactly one /24': { listeners: ['0.0.0.0:25'], sources: [['9.9.8.0/24', relays]] },
  'the same /24 by two listeners': {
    listeners: [
      { at: '0.0.0.0:25', block: true, allowedHosts: '9.9.8.0/24' },
      { at: '0.0.0.0:26', block: true, allowedHosts: '9.9.8.0/24' },
    ],
  },
  'two halves of one /24': { listeners: ['0.0.0.0:25'], sources: split('9.9.8.0/25 9.9.8.128/25', relays) },
  'a /16 of which all but one /24 is refused': {
    listeners: ['0.0.0.0:25'],
    sources: [['9.9.0.0/16', relays], ...slash24s((i) => i !== 7)!.map(([text]) => [text, noRelay] as const)],
  },
  'exactly one IPv6 /48': { listeners: ['[::]:25'], sources: [['2a00:1::/48', relays]] },
  'all private ranges': {
    listeners: everywhere,
    sources: split('10/8 172.16/12 192.168/16 100.64.0.0/10 169.254/16 fc00::/7 fe80::/10', relays),
  },
  'all that is documentation, benchmarking or multicast': {
    listeners: everywhere,
    sources: split(
      '192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15 224.0.0.0/4 240/4 2001:db8::/32 3fff::/20 2001:2::/48 ff00::/8',
      relays,
    ),
  },
  '::/0 where only IPv4 is listened on': { listeners: ['0.0.0.0:25'], sources: [['::/0', relays]] },
  'two halves where only IPv6 is listened on': {
    listeners: ['[::]:25'],
    sources: split('0.0.0.0/1 128.0.0.0/1', relays),
  },
  'an open named source that no listener names': {
    listeners: [{ at: '0.0.0.0:25', source: 'other' }],
    sources: [
      ['apps', relays],
      ['{auth}', relays],
    ],
  },
  '0/0 behind narrow allowed-hosts': {
    listeners: [{ at: '0.0.0.0:25', block: true, allowedHosts: '10.0.1.50 9.9.8.0/25' }],
    sources: [['0/0', relays]],
  },
  'nobody is allowed': {
    listeners: [{ at: '0.0.0.0:25', block: true, allowedHosts: '' }],
    sources: [['0/0', relays]],
  },
  'relaying for all whom smtp-service turns away': {
    listeners: ['0.0.0.0:25'],
    sources: [
      ['0/0', { smtpService: false, alwaysAllowRelaying: true }],
      ['10/8', { smtpService: true }],
    ],
  },
  'a block on loopback': { listeners: [{ at: '127.0.0.1:25', block: true }, '0.0.0.0:26'] },
  'an empty block on every address': { listeners: [{ at: '0.0.0.0:25', block: true }] },
  'relay-domain of a top level and a /24 of literals': {
    listeners: ['0.0.0.0:25'],
    relayDomains: ['[*.]com', 'gmail.com', '[9.9.9.0/24]'],
  },
  'a later equal range closes what the first opened': {
    listeners: ['0.0.0.0:25'],
    sources: [
      ['0.0.0.0/0', relays],
      ['0/0', noRelay],
    ],
  },
  'allowed-hosts of the world, and a written no': {
    listeners: [{ at: '0.0.0.0:25', block: true, allowedHosts: '0/0' }],
    sources: [['0/0', noRelay]],
  },
};

test.each(Object.entries(open))('open relay, refused: %s', (_, fixture) => {
  const config = configOf(fixture);
  const proof = proveClosed(config);
  expect(proof.closed).toBe(false);
  expect(proof.findings.length).toBe(proof.openRelays.length);
  expect(proof.findings[0]).toMatchObject({ level: 'error', code: 'E-OPEN-RELAY', refusesRun: true });
  // The witness is a public client for whom the daemon's own decision says 250.
  const access = compileAccess(config);
  for (const { witnessAddress, rcptTo, listenerIndex } of proof.openRelays) {
    expect(ipSetContains(publicIps, parseIp(witnessAddress)!)).toBe(true);
    const connection = access.connect({ clientAddress: witnessAddress, listenerIndex });
    if (connection.kind !== 'allowed') throw new Error(connection.kind);
    const domain = rcptTo.split('@')[1]!;
    expect(access.recipient(connection, { domain, localPart: 'b', routedLocalPart: false }).kind).toBe(
      'accepted',
    );
  }
});

test.each(Object.entries(safe))('no open relay, though it looks like one: %s', (_, fixture) => {
  const proof = proveClosed(configOf(fixture));
  expect(proof.findings).toEqual([]);
  expect(proof.closed).toBe(true);
  expect(proof.lines[0]).toBe('proof: closed. Without AUTH only these may relay:');
});

test('there are at least twenty of each', () => {
  expect(Math.min(Object.keys(open).length, Object.keys(safe).length)).toBeGreaterThanOrEqual(20);
});

test('closed or not is what counting the clients one by one says, however the ranges are cut', () => {
  const someSource = fc
    .tuple(fc.nat(1023), fc.integer({ min: 22, max: 32 }), fc.boolean())
    .map(
      ([at, bits, alwaysAllowRelaying]) =>
        [`9.9.${8 + (at >> 8)}.${at & 255}/${bits}`, { alwaysAllowRelaying }] as const,
    );
  const seen = new Set<boolean>();
  fc.assert(
    fc.property(fc.array(someSource, { minLength: 2, maxLength: 8 }), (sources) => {
      const config = configOf({ listeners: ['0.0.0.0:25'], sources });
      const access = compileAccess(config);
      let relaying = 0;
      for (let at = 0; at < 1024; at++) {
        const clientAddress = `9.9.${8 + (at >> 8)}.${at & 255}`;
        const verdict = access.connect({ clientAddress, listenerIndex: 0 });
        if (verdict.kind === 'allowed' && verdict.relayGrant !== undefined) relaying++;
      }
      const { closed } = proveClosed(config);
      expect(closed).toBe(relaying <= 256);
      seen.add(closed);
    }),
    { numRuns: 60 },
  );
  expect(seen.size).toBe(2);
});

describe('what the proof says', () => {
  // The vendor's first bouncy-sink configuration (corpus 13): <source 0/0> always-allow-relaying yes.
  const bouncySink: Fixture = {
    listeners: ['172.31.3.252:25'],
    sources: [
      ['127.0.0.1', { ...relays, smtpService: true }],
      ['::1', { ...relays, smtpService: true }],
      ['0/0', { logConnections: false, logCommands: false, logData: false, ...relays }],
    ],
  };

  test('the finding shows the deciding lines, the share, a witness, its dialogue and the way out', () => {
    const [finding] = proveClosed(configOf(bouncySink)).findings;
    expect(finding!.message.split('\n')).toEqual([
      'listener 172.31.3.252:25 is an open relay',
      '    2 | smtp-listener 172.31.3.252:25',
      '    9 | <source 0/0>',
      '   13 | always-allow-relaying yes   <- decides',
      'Anyone in 0.0.0.0/0 (100% of IPv4) may relay without AUTH.',
      'Witness: client 8.8.4.4, MAIL FROM:<a@x>, RCPT TO:<b@gmail.com> -> 250',
    ]);
    expect(finding!.origin?.text).toBe('smtp-listener 172.31.3.252:25');
    expect(finding!.fix).toContain('narrow <source 0/0>');
  });

  test('a hole is named as the exception, and the share is exact', () => {
    const fixture: Fixture = {
      listeners: ['0.0.0.0:25'],
      sources: [
        ['0/0', relays],
        ['127/8', noRelay],
      ],
    };
    expect(proveClosed(configOf(fixture)).findings[0]!.message).toContain(
      'Anyone in 0.0.0.0/0 except 127.0.0.0/8 (99.6% of IPv4) may relay',
    );
  });

  test.each([
    ['0.0.0.0:25', '9.9.8.0/23', '(512 addresses)'],
    ['[::]:25', '2a00:1::/44', '(2^84 addresses)'],
    ['[::]:25', '2a00:1::/44 2a00:2::1', '(over 2^84 addresses)'],
    ['[::]:25', '2000::/3', '(12.5% of IPv6)'],
  ])('a share too small for a percentage is a count: %s, %s', (at, ranges, share) => {
    const [finding] = proveClosed(configOf({ listeners: [at], sources: split(ranges, relays) })).findings;
    expect(finding!.message).toContain(share);
  });

  test('the witness stays outside what is ours, and of every reserved range', () => {
    const fixture: Fixture = {
      listeners: ['0.0.0.0:25'],
      relayDomains: ['gmail.com', '[*.]com'],
      sources: split('9.9.0.0/22 10/8', relays),
    };
    expect(proveClosed(configOf(fixture)).openRelays).toMatchObject([
      { witnessAddress: '9.9.0.1', rcptTo: 'b@mail.foreign0', wideAlone: true },
    ]);
  });

  test('only the listeners that are open are named, and all of them when only together they are', () => {
    const guilty = (fixture: Fixture) =>
      proveClosed(configOf(fixture)).openRelays.map((one) => one.listenerIndex);
    expect(
      guilty({ listeners: ['127.0.0.1:25', '0.0.0.0:26', '[::]:26'], sources: [['0/0', relays]] }),
    ).toEqual([1, 2]);
    expect(guilty(open['a /24 by one listener and another by the next']!)).toEqual([0, 1]);
  });

  test('a listener grants to clients of its own family only, mapped addresses notwithstanding', () => {
    const sources: Fixture['sources'] = [
      ['::fffe:0:0/96', { logData: true }],
      ['0/0', relays],
    ];
    const { grants } = proveClosed(configOf({ listeners: everywhere, sources }));
    expect(grants.map(({ clients }) => [clients[4].length > 0, clients[6].length > 0])).toEqual([
      [true, false],
      [false, true],
    ]);
    const mapped = ipSetOf([{ family: 6, first: 0xffff_0000_0000n, bits: 96 }]);
    expect(intersectionOf(grants[1]!.clients, mapped)).toEqual(noIps);
  });

  test('a listener with the same long list as one before says so, and an open one has its own finding', () => {
    const fixture: Fixture = {
      listeners: ['0.0.0.0:25', '0.0.0.0:26', '0.0.0.0:27'],
      sources: split('9.9.8.0/25 9.9.9.0/25 9.9.10.0/25 9.9.11.0/25', relays),
    };
    const proof = proveClosed(configOf(fixture));
    expect(proof.lines.length).toBe(1 + 1 + 4 * 2 + 2);
    expect(proof.lines.at(-1)).toBe('  listener 0.0.0.0:27: the same as 0.0.0.0:25');
    expect(proof.grants.length).toBe(12);
    expect(proof.findings.map(({ message }) => message.split('\n')[0])).toEqual(
      [25, 26, 27].map((port) => `listener 0.0.0.0:${port} is an open relay`),
    );
  });

  test('the theorem lists the smaller grants with their lines, implied or not, public or not', () => {
    const fixture: Fixture = {
      listeners: [
        { at: '127.0.0.1:25', block: true },
        { at: '10.0.0.1:25', block: true, allowedHosts: '10.0.1.50 10.0.1.51' },
        '0.0.0.0:2525',
      ],
      sources: [['9.9.8.0/25', relays]],
    };
    expect(proveClosed(configOf(fixture)).lines).toEqual([
      'proof: closed. Without AUTH only these may relay:',
      '  listener 127.0.0.1:25',
      '    127.0.0.0/8',
      '      listener block on a loopback address: this machine may relay, implied (config:2)',
      '  listener 10.0.0.1:25',
      '    10.0.1.50/31',
      '      allowed-hosts without require-auth: these hosts may relay, implied (config:4)',
      '  listener 0.0.0.0:2525',
      '    9.9.8.0/25  (public)',
      '      always-allow-relaying yes (config:7)',
    ]);
  });
});

test.each([
  ['8.8.4.4', true],
  ['9.255.255.255', true],
  ['10.0.0.0', false],
  ['100.63.255.255', true],
  ['100.64.0.0', false],
  ['100.128.0.0', true],
  ['172.15.255.255', true],
  ['172.31.255.255', false],
  ['172.32.0.0', true],
  ['192.0.1.0', true],
  ['198.17.255.255', true],
  ['198.19.255.255', false],
  ['198.20.0.0', true],
  ['223.255.255.255', true],
  ['224.0.0.0', false],
  ['255.255.255.255', false],
  ['0.1.2.3', false],
  ['2000::', true],
  ['2001:db7:ffff::', true],
  ['2001:db8::', false],
  ['2002:102:304::', true],
  ['3ffe::', true],
  ['3fff:fff::', false],
  ['3fff:1000::', true],
  ['4000::', false],
  ['64:ff9b::808:404', true],
  ['64:ff9b:1::', false],
  ['::1', false],
  ['fd00::1', false],
  ['fe80::1', false],
  ['ff02::1', false],
])('%s is public: %s', (address, isPublic) => {
  expect(ipSetContains(publicIps, parseIp(address)!)).toBe(isPublic);
});

describe('lints', () => {
  const lint = (fixture: Fixture) =>
    lintAccess(configOf(fixture)).map(({ code, origin, message }) => [code, origin?.text, message]);

  test('a source of which everything is set again over its whole range is shadowed', () => {
    const fixture: Fixture = {
      listeners: ['0.0.0.0:25'],
      sources: [
        ['10/8', { logData: true }],
        ...split('10.0.0.0/9 10.128.0.0/9', { logData: false, logCommands: true })!,
      ],
    };
    expect(lint(fixture)).toEqual([
      [
        'W-SHADOWED-SOURCE',
        '<source 10/8>',
        'nothing in <source 10/8> has an effect: all it sets is set again over its whole range (config:6)',
      ],
    ]);
  });

  test.each<[string, Fixture['sources']]>([
    [
      'one address is left',
      [['10.0.0.0/30', { logData: true }], ...split('10.0.0.0/31 10.0.0.2', { logData: false })!],
    ],
    [
      'one setting is left',
      [
        ['10/8', { logData: true, logCommands: true }],
        ...split('10.0.0.0/9 10.128.0.0/9', { logData: false })!,
      ],
    ],
    ['IPv6 is left', [['0/0', { logData: true }], ...split('0.0.0.0/1 128.0.0.0/1', { logData: false })!]],
    ['it sets nothing', [['10/8', {}]]],
  ])('a source is not called shadowed when %s', (_, sources) => {
    expect(lint({ listeners: ['0.0.0.0:25'], sources: sources! })).toEqual([]);
  });

  test('a listener whose named source does not override keeps a source from being shadowed', () => {
    const sources: Fixture['sources'] = [
      ['10/8', { logData: true }],
      ['quiet', { logData: false }],
    ];
    expect(lint({ listeners: [{ at: '0.0.0.0:25', source: 'quiet' }], sources })).toHaveLength(1);
    expect(lint({ listeners: [{ at: '0.0.0.0:25', source: 'quiet' }, '0.0.0.0:26'], sources })).toEqual([]);
  });

  test('IPv4 restricted and IPv6 open on one port is a gap', () => {
    const ipv4 = { at: '0.0.0.0:25', block: true, allowedHosts: '9.9.9.9' };
    expect(lint({ listeners: [ipv4, '[::]:25'] })).toEqual([
      [
        'W-V6-GAP',
        'smtp-listener [::]:25',
        'port 25 is closed to IPv4 strangers on 0.0.0.0:25, but IPv6 strangers may connect to [::]:25',
      ],
    ]);
    expect(lint({ listeners: [ipv4, '[::]:26'] })).toEqual([]);
    expect(lint({ listeners: [ipv4, '0.0.0.0:25', '[::]:25'] })).toEqual([]);
    expect(lint({ listeners: [ipv4, '[::1]:25'] })).toEqual([]);
    expect(lint({ listeners: [ipv4, '[::]:25'], sources: [['::/0', { smtpService: false }]] })).toEqual([]);
  });

  test('a whole top-level domain as relay-domain is pointed out, a private one is not', () => {
    expect(
      lint({ listeners: ['127.0.0.1:25'], relayDomains: ['[*.]com', '*.lan', '[*.]example.net', 'com'] }),
    ).toEqual([
      ['W-WIDE-RELAY-DOMAIN', 'relay-domain [*.]com', 'every client may send to every domain under .com'],
    ]);
  });
});

test('0/0 is every address; ::/0 is IPv6', () => {
  const has = (text: string, address: string) => ipSetContains(rangesOf([cidrText(text)]), parseIp(address)!);
  expect(
    ['0/0', '::/0'].map((text) => ['1.2.3.4', '2001:db8::1'].map((address) => has(text, address))),
  ).toEqual([
    [true, true],
    [false, true],
  ]);
  expect(formatIp(parseIp('::ffff:1.2.3.4')!)).toBe('1.2.3.4');
});
