import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  connectionPlan,
  maxConnectionAttempts,
  nextHops,
  type ResolvedHop,
  unresolvedHop,
} from './nextHop.ts';

const hop = (host: string, ...addresses: string[]): ResolvedHop => ({ host, port: 25, addresses });
const order = (groups: ResolvedHop[][], turn: number): string[] =>
  connectionPlan(groups, turn).map(({ host, address }) => `${host} ${address}`);

describe('the next hop', () => {
  test('smtp-hosts gives the groups in order, with the default port where none is written', () => {
    const smtpHosts = [
      [
        { host: 'a.example', isAddress: false, port: 0 },
        { host: '192.0.2.1', isAddress: true, port: 2525 },
      ],
      [{ host: 'b.example', isAddress: false, port: 0 }],
    ];
    expect(nextHops({ smtpHosts, defaultSmtpPort: 26 }, 'r.example')).toEqual({
      kind: 'hosts',
      groups: [
        [
          { host: 'a.example', isAddress: false, port: 26 },
          { host: '192.0.2.1', isAddress: true, port: 2525 },
        ],
        [{ host: 'b.example', isAddress: false, port: 26 }],
      ],
    });
  });

  test.each(['r.example', '[192.0.2.1]'])('without smtp-hosts %s waits with 4.4.4', (domain) => {
    expect(nextHops({ smtpHosts: [], defaultSmtpPort: 25 }, domain)).toEqual({
      kind: 'none',
      status: '4.4.4',
      diagnostic: `no route to ${domain}: MX lookup is not part of this release`,
    });
  });

  test('a name without address never bounces mail', () => {
    expect(unresolvedHop('a.example', { kind: 'none' }).status).toBe('4.4.4');
    expect(unresolvedHop('a.example', { kind: 'failed', code: 'ESERVFAIL' })).toEqual({
      status: '4.4.3',
      diagnostic: 'looking up a.example failed (ESERVFAIL)',
    });
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
        const plan = connectionPlan(all, turn);
        expect(new Set(plan.map(({ address }) => address)).size).toBe(plan.length);
        expect(plan).toHaveLength(Math.min(distinct.size, maxConnectionAttempts));
      }),
    );
  });
});
