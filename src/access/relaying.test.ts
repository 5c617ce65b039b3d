import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIp } from '../base/ip.ts';
import { atomsOf, type IpSet, intersectionOf, ipFamilies, ipSetContains } from '../base/ipRanges.ts';
import type { Config } from '../config/config.ts';
import { compileAccess, type RelayGrant } from './access.ts';
import { loopbackIps, publicIps, rangesOf, reachOf } from './addressSpace.ts';
import { sourceRanges } from './clientAtoms.ts';
import { configOf, type FixtureListener, noRelay, relays } from './configFixture.ts';
import { findRelaying } from './relaying.ts';

type Edges = { 4: bigint[]; 6: bigint[] };

/** Asks about every piece of the address space for this one listener, and shares nothing. */
function askedOneByOne(config: Config, listenerIndex: number): Map<RelayGrant, Edges> {
  const listener = config.listeners[listenerIndex]!;
  const access = compileAccess(config);
  const reach = reachOf(listener.address);
  const sets = [reach, loopbackIps, ...sourceRanges(config), rangesOf(listener.allowedHosts?.value ?? [])];
  const found = new Map<RelayGrant, Edges>();
  for (const family of ipFamilies) {
    for (const [first, end] of atomsOf(sets, family)) {
      if (!ipSetContains(reach, { family, value: first })) continue;
      const connection = access.connect({ clientAddress: formatIp({ family, value: first }), listenerIndex });
      if (connection.kind !== 'allowed' || connection.relayGrant === undefined) continue;
      const edges = found.get(connection.relayGrant) ?? { 4: [], 6: [] };
      found.set(connection.relayGrant, edges);
      if (edges[family].at(-1) === first) edges[family][edges[family].length - 1] = end;
      else edges[family].push(first, end);
    }
  }
  return found;
}

const range = fc.constantFrom(
  ...['0/0', '::/0', '9.9.0.0/16', '9.9.8.0/23', '9.9.9.0/24', '9.9.9.7', '10/8', '127/8', '2a00:1::/40'],
  ...['128.0.0.0/1', '2a00:1::/64', '::1', '127.0.0.0/9', '9.9.9.0/25'],
);
const settings = fc.constantFrom(
  relays,
  noRelay,
  {},
  { smtpService: false },
  { ...relays, smtpService: false },
  { smtpService: true },
);
const listener: fc.Arbitrary<Omit<FixtureListener, 'at'>> = fc.record(
  {
    block: fc.boolean(),
    source: fc.constantFrom('apps', 'Apps', 'other', 'nothing', 'undeclared'),
    allowedHosts: fc.constantFrom('', '10/8', '9.9.0.0/16 127/8', '0/0', '::/0 9.9.9.0/26'),
  },
  { requiredKeys: [] },
);
const address = fc.constantFrom('0.0.0.0', '127.0.0.1', '[::]', '[::1]', '9.9.9.9');

test('what listeners share is what asking about each of them, client by client, gives', () => {
  let grantsSeen = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(address, listener), { minLength: 1, maxLength: 6 }),
      fc.array(
        fc.tuple(
          fc.oneof({ weight: 3, arbitrary: range }, fc.constantFrom('apps', 'other', 'nothing')),
          settings,
        ),
        { maxLength: 10 },
      ),
      (listeners, sources) => {
        const config = configOf({
          listeners: listeners.map(([at, one], i) => ({ ...one, at: `${at}:${25 + i}` })),
          sources,
        });
        const { grants } = findRelaying(config);
        grantsSeen += grants.length;
        for (const index of config.listeners.keys()) {
          const own = grants.filter(({ listenerIndex }) => listenerIndex === index);
          const expected = [...askedOneByOne(config, index)].map(([grant, clients]) => ({
            listenerIndex: index,
            grant,
            clients,
            publicClients: intersectionOf(clients as IpSet, publicIps),
          }));
          expect(own).toEqual(expected);
        }
      },
    ),
    { numRuns: 1000 },
  );
  expect(grantsSeen).toBeGreaterThan(100);
});

test('listeners that differ only in having an empty allowed-hosts, or none, are not alike', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const both: readonly FixtureListener[] = [
      { at: '0.0.0.0:25', block: true, allowedHosts: '' },
      { at: '0.0.0.0:26', block: true },
    ];
    const config = configOf({ listeners: order.map((i) => both[i]!), sources: [['0/0', relays]] });
    expect(findRelaying(config).openRelays.map(({ listenerIndex }) => order[listenerIndex])).toEqual([1]);
  }
});

test('two hundred listeners and twenty thousand sources are judged, shared or not', () => {
  const sources = Array.from(
    { length: 20_000 },
    (_, i) => [`9.${i >> 8}.${i & 255}.7`, i % 100 === 0 ? relays : noRelay] as const,
  );
  const listeners = Array.from({ length: 200 }, (_, i): FixtureListener => {
    if (i % 2 === 0) return { at: `0.0.0.0:${1000 + i}`, source: `apps${i % 10}` };
    return { at: `10.0.0.1:${1000 + i}`, block: true, allowedHosts: `9.${i % 70}.0.0/16` };
  });
  const { grants, openRelays } = findRelaying(configOf({ listeners, sources }));
  expect(grants.filter(({ listenerIndex }) => listenerIndex === 0).length).toBe(200);
  expect(grants.filter(({ listenerIndex }) => listenerIndex === 198).length).toBe(200);
  expect(openRelays.length).toBeGreaterThan(0);
});
