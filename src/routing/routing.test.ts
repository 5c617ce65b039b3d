import { expect, test } from 'vitest';
import type {
  Config,
  ListenerConfig,
  Origin,
  PoolConfig,
  Setting,
  SmtpSourceHost,
  VirtualMtaConfig,
} from '../config/config.ts';
import { compileRouting } from './routing.ts';

const origin: Origin = { file: 'test', line: 1, column: 1, text: '' };

function setting<T>(value: T): Setting<T> {
  return { value, origin };
}

function vmta(name: string, hosts: readonly SmtpSourceHost[] = [], hostName?: string): VirtualMtaConfig {
  return {
    name,
    origin,
    smtpSourceHosts: hosts.map(setting),
    hostName: hostName === undefined ? undefined : setting(hostName),
    maxSmtpOut: setting(0),
    maxSmtpMsgRate: setting(undefined),
    maxSmtpDataVolumeRate: setting(undefined),
  };
}

function pool(name: string, ...members: string[]): PoolConfig {
  return { name, origin, members: members.map(setting) };
}

function listener(defaultVirtualMta: string | undefined): ListenerConfig {
  return {
    address: '127.0.0.1',
    port: 25,
    origin,
    blockForm: false,
    source: undefined,
    allowedHosts: undefined,
    defaultVirtualMta: defaultVirtualMta === undefined ? undefined : setting(defaultVirtualMta),
    durability: undefined,
  };
}

function configuration(more: Partial<Config> = {}): Config {
  return {
    file: 'test',
    postmaster: setting([]),
    hostNames: setting(['main.example', 'other.example']),
    listeners: [listener(undefined)],
    injectionSources: [],
    relayDomains: [],
    virtualMtas: [],
    pools: [],
    domains: [],
    smtpPatternLists: [],
    bounceCategoryRules: [],
    acctFiles: [],
    nameServers: [],
    spools: [setting('spool')],
    minFreeSpaceBytes: setting(0),
    logFile: setting('log'),
    totalMaxSmtpIn: setting(1),
    totalMaxSmtpOut: setting(1),
    durability: setting('sync'),
    engines: setting(1),
    domainPrecedence: setting('specificity'),
    smtpSourceHosts: [],
    ...more,
  };
}

test("the listener's default beats the injection source's, which beats {default}", () => {
  const routing = compileRouting(
    configuration({
      listeners: [listener('one'), listener(undefined)],
      virtualMtas: [vmta('one'), vmta('two')],
    }),
  );
  expect(routing.route(0, 'two')).toEqual({ vmta: 'one', vmtaPool: '' });
  expect(routing.route(1, 'two')).toEqual({ vmta: 'two', vmtaPool: '' });
  expect(routing.route(1, '')).toEqual({ vmta: '{default}', vmtaPool: '' });
});

test('a pool gives its members in turn, once a message, whoever asks', () => {
  const routing = compileRouting(
    configuration({
      listeners: [listener('pool'), listener(undefined)],
      virtualMtas: [vmta('one'), vmta('two'), vmta('three')],
      pools: [pool('pool', 'two', 'one', 'three')],
    }),
  );
  const picks = [0, 1, 0, 1].map((at) => routing.route(at, 'pool'));
  expect(picks.map((route) => route.vmta)).toEqual(['two', 'one', 'three', 'two']);
  expect(new Set(picks.map((route) => route.vmtaPool))).toEqual(new Set(['pool']));
});

test('names compare without case, and routes carry the spelling of their blocks', () => {
  const routing = compileRouting(
    configuration({ virtualMtas: [vmta('MTA-One')], pools: [pool('Pool', 'mta-ONE')] }),
  );
  expect(routing.route(0, 'mta-one')).toEqual({ vmta: 'MTA-One', vmtaPool: '' });
  expect(routing.route(0, 'POOL')).toEqual({ vmta: 'MTA-One', vmtaPool: 'Pool' });
  expect(routing.nextSourceHost('mta-one')).toBeDefined();
});

test('the source hosts of a virtual MTA come in turn, each virtual MTA on its own', () => {
  const hosts = ['192.0.2.1', '192.0.2.2'].map((address) => ({ address, hostName: `h${address}.example` }));
  const routing = compileRouting(configuration({ virtualMtas: [vmta('one', hosts), vmta('two', hosts)] }));
  const next = (name: string): string | undefined => routing.nextSourceHost(name)?.localAddress;
  expect([next('one'), next('one'), next('two'), next('one')]).toEqual([
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.1',
    '192.0.2.1',
  ]);
});

test('a virtual MTA without source hosts uses the global ones, and without those the choice of the system', () => {
  const global = setting({ address: '192.0.2.9', hostName: 'nine.example' });
  const own = { address: '192.0.2.1', hostName: 'own.example' };
  const withGlobal = compileRouting(
    configuration({ virtualMtas: [vmta('bare'), vmta('own', [own])], smtpSourceHosts: [global] }),
  );
  const nine = { localAddress: '192.0.2.9', ehloName: 'nine.example' };
  expect(withGlobal.nextSourceHost('bare')).toEqual(nine);
  expect(withGlobal.nextSourceHost('{default}')).toEqual(nine);
  expect(withGlobal.nextSourceHost('own')).toEqual({ localAddress: '192.0.2.1', ehloName: 'own.example' });
  const without = compileRouting(configuration());
  expect(without.nextSourceHost('{default}')).toEqual({ localAddress: undefined, ehloName: 'main.example' });
});

test("the EHLO name is the source host's, else the virtual MTA's host-name, else the main host-name", () => {
  const nameless = { address: '192.0.2.1', hostName: '' };
  const routing = compileRouting(
    configuration({
      virtualMtas: [
        vmta('a', [{ address: '192.0.2.1', hostName: 'host.example' }], 'vmta.example'),
        vmta('b', [nameless], 'vmta.example'),
        vmta('c', [nameless]),
        vmta('d', [], 'vmta.example'),
      ],
    }),
  );
  const names = ['a', 'b', 'c', 'd'].map((name) => routing.nextSourceHost(name)?.ehloName);
  expect(names).toEqual(['host.example', 'vmta.example', 'main.example', 'vmta.example']);
});

test('a virtual MTA that is not configured has no source host, so that no other address is used for it', () => {
  expect(compileRouting(configuration()).nextSourceHost('gone')).toBeUndefined();
});

test('a block named {default} describes the default virtual MTA', () => {
  const own = { address: '192.0.2.1', hostName: 'own.example' };
  const routing = compileRouting(configuration({ virtualMtas: [vmta('{default}', [own])] }));
  expect(routing.nextSourceHost(routing.route(0, '').vmta)?.localAddress).toBe('192.0.2.1');
});

test('a name that nothing defines is noticed when the configuration is compiled, not when mail comes', () => {
  const noSuch = [
    configuration({ listeners: [listener('nowhere')] }),
    configuration({ pools: [pool('pool', 'nowhere')] }),
    configuration({
      injectionSources: [
        {
          origin,
          over: { kind: 'name', name: 'in' },
          settings: { defaultVirtualMta: setting('nowhere') },
        },
      ],
    }),
  ];
  for (const config of noSuch) expect(() => compileRouting(config)).toThrow('"nowhere"');
});
