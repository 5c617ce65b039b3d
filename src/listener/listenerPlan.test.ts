import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Config, ListenerConfig, Origin, Setting } from '../config/config.ts';
import { admit, describeListeners, planListeners } from './listenerPlan.ts';

const at = (line: number, file = 'config'): Origin => ({ file, line, column: 1, text: '' });
const set = <T>(value: T, line?: number): Setting<T> => ({
  value,
  origin: line === undefined ? undefined : at(line),
});

const listener = (address: string, port: number, given: Partial<ListenerConfig> = {}): ListenerConfig => ({
  address,
  port,
  origin: at(port),
  blockForm: false,
  source: undefined,
  allowedHosts: undefined,
  defaultVirtualMta: undefined,
  durability: undefined,
  ...given,
});

const config = (listeners: readonly ListenerConfig[], given: Partial<Config> = {}): Config => ({
  file: 'config',
  postmaster: set([]),
  hostNames: set(['mail.local.test']),
  listeners,
  injectionSources: [],
  relayDomains: [],
  virtualMtas: [],
  pools: [],
  patternLists: [],
  invalidVirtualMtaFallback: set(''),
  domains: [],
  smtpPatternLists: [],
  bounceCategoryRules: [],
  acctFiles: [],
  nameServers: [],
  ednsUdpLength: { value: 1232, origin: undefined },
  spools: [set('spool')],
  minFreeSpaceBytes: set(0),
  logFile: set('log'),
  totalMaxSmtpIn: set(100),
  totalMaxSmtpOut: set(1200),
  durability: set('sync'),
  engines: set(1),
  domainPrecedence: set('specificity'),
  customDsnFromHeader: set(''),
  smtpSourceHosts: [],
  ...given,
});

const apps: Config['injectionSources'] = [
  {
    origin: at(1),
    over: { kind: 'name', name: 'Apps' },
    settings: { defaultVirtualMta: set('of-source', 2) },
  },
];

describe('what is bound', () => {
  test('endpoints stand in the order of the configuration, and :: never takes IPv4 clients', () => {
    const { endpoints } = planListeners(
      config([
        listener('0.0.0.0', 25),
        listener('::', 25),
        listener('127.0.0.1', 2525),
        listener('::1', 2525),
      ]),
    );
    expect(endpoints.map((one) => [one.at.address, one.ipv6Only, one.isWildcard, one.isLoopback])).toEqual([
      ['0.0.0.0', false, true, false],
      ['::', true, true, false],
      ['127.0.0.1', false, false, true],
      ['::1', true, false, true],
    ]);
  });

  test("a listener's durability beats the global one, and its pool beats its named source's", () => {
    const listeners = [
      listener('10.0.0.1', 25, {
        durability: set('os', 9),
        defaultVirtualMta: set('own', 8),
        source: set('apps'),
      }),
      listener('10.0.0.1', 26, { source: set('APPS') }),
      listener('10.0.0.1', 27),
    ];
    const { endpoints } = planListeners(config(listeners, { injectionSources: apps }));
    expect(endpoints.map(({ durability, pool }) => [durability.value, pool?.value])).toEqual([
      ['os', 'own'],
      ['sync', 'of-source'],
      ['sync', undefined],
    ]);
  });
});

describe('how many are served', () => {
  const listeners = [1, 2, 3, 4].map((i) => listener('10.0.0.1', i));

  test('over total-max-smtp-in the answer is 421 4.3.2, and a reset when too many already wait for theirs', () => {
    const plan = planListeners(config([listener('0.0.0.0', 25)]));
    expect(admit(plan, 0, [99], 0).kind).toBe('serve');
    expect(admit(plan, 0, [100], 0)).toMatchObject({ kind: 'busy', reply: { code: 421, enhanced: '4.3.2' } });
    expect(admit(plan, 0, [100], plan.busyReplies - 1).kind).toBe('busy');
    expect(admit(plan, 0, [100], plan.busyReplies).kind).toBe('reset');
    expect(plan.descriptors).toBe(1 + 100 + plan.busyReplies);
  });

  test('a flooded listener leaves the others their reserve', () => {
    const plan = planListeners(config(listeners));
    expect(plan.reservedConnections).toBe(2);
    expect(admit(plan, 0, [93, 0, 0, 0], 0).kind).toBe('serve');
    expect(admit(plan, 0, [94, 0, 0, 0], 0).kind).toBe('busy');
    expect(admit(plan, 1, [94, 1, 0, 0], 0).kind).toBe('serve');
    expect(admit(plan, 1, [94, 2, 0, 0], 0).kind).toBe('busy');
  });

  test('whatever comes and goes, the total holds and no listener is kept from its reserve', () => {
    const steps = fc.array(fc.record({ listener: fc.nat(3), opens: fc.boolean() }), { maxLength: 300 });
    fc.assert(
      fc.property(fc.nat(60), steps, (total, list) => {
        const plan = planListeners(config(listeners, { totalMaxSmtpIn: set(total) }));
        const sessions = [0, 0, 0, 0];
        for (const { listener: index, opens } of list) {
          if (!opens) sessions[index] = Math.max(0, sessions[index]! - 1);
          else if (admit(plan, index, sessions, 0).kind === 'serve') sessions[index]!++;
          else expect(sessions[index]).toBeGreaterThanOrEqual(plan.reservedConnections);
          expect(sessions.reduce((sum, open) => sum + open)).toBeLessThanOrEqual(total);
        }
      }),
    );
  });
});

describe('what is said at the start', () => {
  test('each listener is told with its clients, its pool and the price of its 250', () => {
    const listeners = [
      listener('127.0.0.1', 25, { origin: undefined }),
      listener('10.0.0.1', 2525, {
        blockForm: true,
        allowedHosts: {
          value: [
            { address: '10.0.1.50', bits: 32 },
            { address: '10.0.2.0', bits: 24 },
          ],
          origin: at(33),
        },
        defaultVirtualMta: set('transactional-pool', 35),
        durability: set('os', 36),
      }),
      listener('::', 25),
    ];
    expect(describeListeners(config(listeners))).toEqual([
      '127.0.0.1:25  (built in)',
      '  for   this machine',
      '  into  {default}',
      '  250   when the message is on disk',
      '10.0.0.1:2525  (config:2525)',
      '  for   10.0.1.50, 10.0.2.0/24; others are reset (config:33)',
      '  into  transactional-pool (config:35)',
      '  250   when the system has the message: a power cut may lose it',
      '[::]:25  every IPv6 address of this machine  (config:25)',
      '  for   any IPv6 client, as <source> and relay-domain allow',
      '  into  {default}',
      '  250   when the message is on disk',
    ]);
  });

  test('a pool that depends on the client is said to', () => {
    const injectionSources: Config['injectionSources'] = [
      {
        origin: at(1),
        over: { kind: 'cidr', cidr: { address: '10.0.0.0', bits: 8 } },
        settings: { defaultVirtualMta: set('p', 2) },
      },
    ];
    expect(describeListeners(config([listener('0.0.0.0', 25)], { injectionSources }))[2]).toBe(
      "  into  the client's <source> default, else {default}",
    );
  });

  test('no line is wider than 80 columns, however many hosts and however long the paths', () => {
    const file = `/${'very-long-folder/'.repeat(8)}config`;
    const hosts = Array.from({ length: 40 }, (_, i) => ({ address: `10.0.${i}.0`, bits: 24 }));
    const lines = describeListeners(
      config([
        listener('::', 25, { origin: at(12, file), allowedHosts: { value: hosts, origin: at(33, file) } }),
        listener('10.0.0.1', 25, { defaultVirtualMta: { value: 'p'.repeat(90), origin: at(1, file) } }),
      ]),
    );
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.join(' ').replace(/ +/g, ' ')).toContain('10.0.11.0/24 and 28 more; others are reset');
  });
});
