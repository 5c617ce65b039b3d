import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connectionPlan, nextHops, type ResolvedHop } from './nextHop.ts';

const attemptsMax = 10;

const hop = (host: string, ...addresses: string[]): ResolvedHop => ({ host, port: 25, addresses });
const order = (groups: ResolvedHop[][], turn: number): string[] =>
  connectionPlan(groups, turn, attemptsMax).map(({ host, address }) => `${host} ${address}`);

describe('the next hop', () => {
  test('smtp-hosts gives the groups in order, with the default port where none is written', () => {
    const smtpHosts = [
      [
        { host: 'a.example', isAddress: false, port: 0 },
        { host: '192.0.2.1', isAddress: true, port: 2525 },
      ],
      [
        { host: 'b.example', isAddress: false, port: 0 },
        { host: 'c.example', isAddress: false, lookupMx: true as const, port: 0 },
      ],
    ];
    expect(nextHops({ smtpHosts, defaultSmtpPort: 26 }, 'r.example')).toEqual({
      by: 'smtpHosts',
      groups: [
        [
          { host: 'a.example', kind: 'name', port: 26 },
          { host: '192.0.2.1', kind: 'address', port: 2525 },
        ],
        [
          { host: 'b.example', kind: 'name', port: 26 },
          { host: 'c.example', kind: 'mxOf', port: 26 },
        ],
      ],
    });
  });

  test.each([
    ['r.example', { by: 'mx', groups: [[{ host: 'r.example', kind: 'mxOf', port: 25 }]] }],
    ['[192.0.2.1]', { by: 'literal', groups: [[{ host: '192.0.2.1', kind: 'address', port: 25 }]] }],
    [
      '[IPv6:2001:DB8::0001]',
      { by: 'literal', groups: [[{ host: '2001:db8::1', kind: 'address', port: 25 }]] },
    ],
    ['[x]', { by: 'literal', groups: [] }],
  ])('without smtp-hosts mail for %s goes to the MX, or to the address it names', (domain, expected) => {
    expect(nextHops({ smtpHosts: [], defaultSmtpPort: 25 }, domain)).toEqual(expected);
  });
});

describe('the connection plan', () => {
  test('goes group by group, every host before any second address', () => {
    expect(order([[hop('a', '1', '2'), hop('b', '3')], [hop('c', '4')]], 0)).toEqual([
      'a 1',
      'b 3',
      'a 2',
      'c 4',
    ]);
  });

  test('counting the turn up is round robin over the hosts of a group and over their addresses', () => {
    const group = [hop('a', '1', '2'), hop('b', '3', '4')];
    expect([0, 1, 2, 3, 4].map((turn) => order([group], turn)[0])).toEqual([
      'a 1',
      'b 3',
      'a 2',
      'b 4',
      'a 1',
    ]);
  });

  test('of a host the families take turns, IPv4 first', () => {
    const both = [[hop('a', '1', '2', '::1', '::2', '::3')]];
    expect(order(both, 0)).toEqual(['a 1', 'a ::1', 'a 2', 'a ::2', 'a ::3']);
    expect(order(both, 1)).toEqual(['a 2', 'a ::2', 'a 1', 'a ::3', 'a ::1']);
    expect(order([[hop('a', '::1')]], 3)).toEqual(['a ::1']);
  });

  test('no more endpoints are tried than mx-connection-attempts', () => {
    expect(connectionPlan([[hop('a', '1', '2'), hop('b', '3')]], 0, 2)).toHaveLength(2);
  });

  test('hosts without address are passed over, and an endpoint comes once', () => {
    expect(order([[hop('a'), hop('b', '3')], [hop('c', '3')]], 1)).toEqual(['b 3']);
    expect(order([[hop('a')]], 7)).toEqual([]);
    expect(order([], 7)).toEqual([]);
  });

  test('any turn tries the same endpoints in the same groups, at most ten', () => {
    const groups = fc.array(
      fc.array(
        fc
          .array(fc.integer({ min: 1, max: 99 }), { maxLength: 4 })
          .map((addresses) => hop('h', ...addresses.map(String))),
        { maxLength: 3 },
      ),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(groups, fc.nat(), (all, turn) => {
        const distinct = new Set(all.flat().flatMap(({ addresses }) => addresses));
        const plan = connectionPlan(all, turn, attemptsMax);
        expect(new Set(plan.map(({ address }) => address)).size).toBe(plan.length);
        expect(plan).toHaveLength(Math.min(distinct.size, attemptsMax));
      }),
    );
  });
});
