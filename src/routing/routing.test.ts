import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Config,
  type InjectionSourceSettings,
  injectionSourceDefaults,
  type ListenerConfig,
  type Origin,
  type PatternListConfig,
  type PatternRule,
  type PoolConfig,
  type Setting,
  type SmtpSourceHost,
  type VirtualMtaConfig,
} from '../config/config.ts';
import type { EnvelopeRecipient } from '../message/envelope.ts';
import type { EffectiveSettings } from './headerControls.ts';
import { compileRouting, type Route, type Routing, type RoutingRules } from './routing.ts';

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
    patternLists: [],
    invalidVirtualMtaFallback: setting(''),
    domains: [],
    smtpPatternLists: [],
    bounceCategoryRules: [],
    acctFiles: [],
    nameServers: [],
    ednsUdpLength: setting(1232),
    spools: [setting('spool')],
    minFreeSpaceBytes: setting(0),
    logFile: setting('log'),
    totalMaxSmtpIn: setting(1),
    totalMaxSmtpOut: setting(1),
    durability: setting('sync'),
    engines: setting(1),
    domainPrecedence: setting('specificity'),
    customDsnFromHeader: setting(''),
    smtpSourceHosts: [],
    ...more,
  };
}

/** The effective settings of a source that says no more than this. */
function effective(settings: Partial<InjectionSourceSettings> = {}): EffectiveSettings {
  const all = { ...injectionSourceDefaults, ...settings };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, setting(value)])) as never;
}

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);
const recipients = (...paths: string[]): EnvelopeRecipient[] =>
  paths.map((forwardPath) => ({ forwardPath, domain: forwardPath.split('@')[1] ?? '', orcpt: '' }));

interface Mail {
  readonly from?: string;
  readonly to?: readonly string[];
  readonly header?: string;
}

/** How rules take a message with this header. */
function verdictOf(rules: RoutingRules, { from = 'a@s.test', to = ['b@r.test'], header = '' }: Mail) {
  const fields = rules.findFields([octets(`${header}\r\n\r\n`)], 'raw');
  return rules.route({ reversePath: from, recipients: recipients(...to), fields });
}

/** The route of a message with one recipient from a source with this default. */
function routeOf(routing: Routing, listenerIndex: number, defaultVirtualMta: string): Route {
  const verdict = verdictOf(routing.rulesFor(listenerIndex, effective({ defaultVirtualMta })), {});
  if (verdict.kind === 'refused') throw new Error(verdict.reply.lines.join());
  return verdict.groups[0]!.route;
}

test("the listener's default beats the injection source's, which beats {default}", () => {
  const routing = compileRouting(
    configuration({
      listeners: [listener('one'), listener(undefined)],
      virtualMtas: [vmta('one'), vmta('two')],
    }),
  );
  expect(routeOf(routing, 0, 'two')).toEqual({ vmta: 'one', vmtaPool: '' });
  expect(routeOf(routing, 1, 'two')).toEqual({ vmta: 'two', vmtaPool: '' });
  expect(routeOf(routing, 1, '')).toEqual({ vmta: '{default}', vmtaPool: '' });
});

test('a pool gives its members in turn, once a message, whoever asks', () => {
  const routing = compileRouting(
    configuration({
      listeners: [listener('pool'), listener(undefined)],
      virtualMtas: [vmta('one'), vmta('two'), vmta('three')],
      pools: [pool('pool', 'two', 'one', 'three')],
    }),
  );
  const picks = [0, 1, 0, 1].map((at) => routeOf(routing, at, 'pool'));
  expect(picks.map((route) => route.vmta)).toEqual(['two', 'one', 'three', 'two']);
  expect(new Set(picks.map((route) => route.vmtaPool))).toEqual(new Set(['pool']));
});

test('names compare without case, and routes carry the spelling of their blocks', () => {
  const routing = compileRouting(
    configuration({ virtualMtas: [vmta('MTA-One')], pools: [pool('Pool', 'mta-ONE')] }),
  );
  expect(routeOf(routing, 0, 'mta-one')).toEqual({ vmta: 'MTA-One', vmtaPool: '' });
  expect(routeOf(routing, 0, 'POOL')).toEqual({ vmta: 'MTA-One', vmtaPool: 'Pool' });
  expect(routing.sourceHosts('mta-one')).toHaveLength(1);
});

test('the source hosts of a virtual MTA stand in the order of its lines', () => {
  const hosts = ['192.0.2.1', '192.0.2.2'].map((address) => ({ address, hostName: `h${address}.example` }));
  const routing = compileRouting(configuration({ virtualMtas: [vmta('one', hosts), vmta('two', hosts)] }));
  for (const name of ['one', 'two']) {
    const addresses = routing.sourceHosts(name).map(({ localAddress }) => localAddress);
    expect(addresses).toEqual(['192.0.2.1', '192.0.2.2']);
  }
});

test('a virtual MTA without source hosts uses the global ones, and without those the choice of the system', () => {
  const global = setting({ address: '192.0.2.9', hostName: 'nine.example' });
  const own = { address: '192.0.2.1', hostName: 'own.example' };
  const withGlobal = compileRouting(
    configuration({ virtualMtas: [vmta('bare'), vmta('own', [own])], smtpSourceHosts: [global] }),
  );
  const nine = { localAddress: '192.0.2.9', ehloName: 'nine.example' };
  expect(withGlobal.sourceHosts('bare')).toEqual([nine]);
  expect(withGlobal.sourceHosts('{default}')).toEqual([nine]);
  expect(withGlobal.sourceHosts('own')).toEqual([{ localAddress: '192.0.2.1', ehloName: 'own.example' }]);
  const without = compileRouting(configuration());
  expect(without.sourceHosts('{default}')).toEqual([{ localAddress: undefined, ehloName: 'main.example' }]);
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
  const names = ['a', 'b', 'c', 'd'].map((name) => routing.sourceHosts(name)[0]?.ehloName);
  expect(names).toEqual(['host.example', 'vmta.example', 'main.example', 'vmta.example']);
});

test('a virtual MTA that is not configured has no source host, so that no other address is used for it', () => {
  expect(compileRouting(configuration()).sourceHosts('gone')).toEqual([]);
});

test('a block named {default} describes the default virtual MTA', () => {
  const own = { address: '192.0.2.1', hostName: 'own.example' };
  const routing = compileRouting(configuration({ virtualMtas: [vmta('{default}', [own])] }));
  expect(routing.sourceHosts(routeOf(routing, 0, '').vmta)[0]?.localAddress).toBe('192.0.2.1');
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
    configuration({ invalidVirtualMtaFallback: setting('nowhere') }),
    configuration({
      patternLists: [{ name: 'l', origin, rules: [rule({ kind: 'everything' }, to('nowhere'))] }],
    }),
  ];
  for (const config of noSuch) expect(() => compileRouting(config)).toThrow('"nowhere"');
});

// X-Virtual-MTA

const two = { virtualMtas: [vmta('one'), vmta('two')], pools: [pool('pool', 'two', 'one')] };
const obeys = { processXVirtualMta: true, defaultVirtualMta: 'one' };

/** The names a message with this header is queued under, or the reply that refuses it. */
function asked(
  header: string,
  settings: Partial<InjectionSourceSettings>,
  config: Partial<Config> = {},
): string {
  const rules = compileRouting(configuration({ ...two, ...config })).rulesFor(0, effective(settings));
  const verdict = verdictOf(rules, { header });
  if (verdict.kind === 'refused')
    return `${verdict.reply.code} ${verdict.reply.enhanced} ${verdict.reply.lines}`;
  return verdict.groups.map(({ route }) => `${route.vmtaPool}/${route.vmta}`).join(' ');
}

test('X-Virtual-MTA chooses a virtual MTA or a pool where the source obeys it, above every default', () => {
  expect(asked('X-Virtual-MTA: two', obeys)).toBe('/two');
  expect(asked('x-virtual-mta:\r\n\tPOOL ', obeys)).toBe('pool/two');
  expect(asked('X-Virtual-MTA: {default}', obeys)).toBe('/{default}');
  expect(asked('X-Virtual-MTA: two', obeys, { listeners: [listener('one')] })).toBe('/two');
  expect(asked('Subject: none', obeys)).toBe('/one');
});

test('X-Virtual-MTA has no effect where the source does not obey it, whatever else the source says of it', () => {
  for (const more of [
    {},
    { retainXVirtualMta: true, allowedVirtualMtas: ['two'], allowEmptyXVirtualMta: true },
  ]) {
    const settings = { defaultVirtualMta: 'one', ...more };
    for (const name of ['two', 'nowhere', '']) expect(asked(`X-Virtual-MTA: ${name}`, settings)).toBe('/one');
  }
});

test('the first X-Virtual-MTA of several counts', () => {
  expect(asked('X-Virtual-MTA: two\r\nX-Virtual-MTA: one\r\nX-Virtual-MTA: nowhere', obeys)).toBe('/two');
});

test('a name that does not exist is refused at submission, and so is none', () => {
  expect(asked('X-Virtual-MTA: no\u00e9where', obeys)).toBe(
    '550 5.3.5 there is no virtual MTA no?where (X-Virtual-MTA)',
  );
  expect(asked('X-Virtual-MTA:  ', obeys)).toBe('550 5.7.1 X-Virtual-MTA is empty');
  expect(asked('X-Virtual-MTA:', { ...obeys, allowEmptyXVirtualMta: true })).toBe('/{default}');
});

test('X-Virtual-MTA chooses among what the source allows, and is not told what else exists', () => {
  const settings = { ...obeys, allowedVirtualMtas: ['POOL'] };
  expect(asked('X-Virtual-MTA: pool', settings)).toBe('pool/two');
  const refusal = (name: string): string => `550 5.7.1 X-Virtual-MTA may not choose ${name} here`;
  for (const name of ['one', 'two', 'nowhere', '{default}']) {
    expect(asked(`X-Virtual-MTA: ${name}`, settings)).toBe(refusal(name));
  }
  expect(asked('X-Virtual-MTA:', { ...settings, allowEmptyXVirtualMta: true })).toBe(refusal('{default}'));
});

test('what is not refused goes to the fallback, and without one under a name that nothing can send', () => {
  const lenient = { ...obeys, rejectInvalidVirtualMta: false, allowedVirtualMtas: ['one'] };
  for (const name of ['two', 'nowhere']) {
    expect(asked(`X-Virtual-MTA: ${name}`, lenient, { invalidVirtualMtaFallback: setting('pool') })).toBe(
      'pool/two',
    );
    expect(asked(`X-Virtual-MTA: ${name}`, lenient)).toBe(`/{invalid:${name}}`);
  }
  expect(asked('X-Virtual-MTA: a/b c', lenient)).toBe('/{invalid:a?b?c}');
  expect(compileRouting(configuration(two)).sourceHosts('{invalid:one}')).toEqual([]);
});

// Pattern lists

function rule(matches: PatternRule['matches'], result: PatternRule['result']): PatternRule {
  return { origin, matches, result };
}
const to = (name: string): PatternRule['result'] => ({ kind: 'virtualMta', name });
const list = (name: string, ...rules: PatternRule[]): PatternListConfig => ({ name, origin, rules });
const lists = (...patternLists: PatternListConfig[]): RoutingRules =>
  compileRouting(configuration({ ...two, patternLists, listeners: [listener('one')] })).rulesFor(
    0,
    effective({ patternList: patternLists[0]!.name.toUpperCase(), processXVirtualMta: true }),
  );

/** `one: a@x b@x; two: c@x` */
function groupsOf(rules: RoutingRules, mail: Mail): string {
  const verdict = verdictOf(rules, mail);
  if (verdict.kind === 'refused') return 'refused';
  return verdict.groups
    .map(
      ({ route, recipients: group }) =>
        `${route.vmtaPool}/${route.vmta}: ${group.map(({ forwardPath }) => forwardPath).join(' ')}`,
    )
    .join('; ');
}

test('the recipients of one message go the ways their patterns say, each way once', () => {
  const rules = lists(
    list(
      'l',
      rule({ kind: 'rcptTo', expression: '@b\\.test$' }, to('pool')),
      rule({ kind: 'rcptTo', expression: '^special@' }, to('ONE')),
      rule({ kind: 'rcptTo', expression: 'nothing' }, to('two')),
    ),
  );
  const mail = { to: ['x@a.test', 'x@b.test', 'special@c.test', 'y@B.test', 'y@a.test'] };
  // What the listener says anyway is the same way.
  expect(groupsOf(rules, mail)).toBe('/one: x@a.test special@c.test y@a.test; pool/two: x@b.test y@B.test');
  expect(groupsOf(rules, mail)).toBe('/one: x@a.test special@c.test y@a.test; pool/one: x@b.test y@B.test');
});

test('a header is matched with its blanks and unfolded, the first of its name; X-Virtual-MTA beats the list', () => {
  const rules = lists(
    list('l', rule({ kind: 'header', header: 'x-class', expression: '^ a\\t b$' }, to('two'))),
  );
  expect(groupsOf(rules, { header: 'X-Class: a\r\n\t b\r\nX-Class: c' })).toBe('/two: b@r.test');
  expect(groupsOf(rules, { header: 'X-Class: c\r\nX-Class: a\t b' })).toBe('/one: b@r.test');
  expect(groupsOf(rules, { header: 'X-Class: a\t b\r\nX-Virtual-MTA: pool' })).toBe('pool/two: b@r.test');
});

test('the first rule that matches decides, even for no virtual MTA', () => {
  const rules = lists(
    list('l', rule({ kind: 'mailFrom', expression: '^$' }, to('')), rule({ kind: 'everything' }, to('two'))),
  );
  expect(groupsOf(rules, { from: '' })).toBe('/one: b@r.test');
  expect(groupsOf(rules, {})).toBe('/two: b@r.test');
});

const names = ['one', 'two', 'pool', ''];
const subject: fc.Arbitrary<PatternRule['matches']> = fc.oneof(
  fc.constant({ kind: 'everything' as const }),
  fc.record({
    kind: fc.constantFrom('mailFrom' as const, 'rcptTo' as const),
    expression: fc.constantFrom('a', 'b', '^c', ''),
  }),
  fc.record({
    kind: fc.constant('header' as const),
    header: fc.constantFrom('h', 'i'),
    expression: fc.constantFrom('a', '^ b$'),
  }),
);
/** Calls lead to lists behind: there are no circles. */
function someRules(from: number, depth = 0): fc.Arbitrary<readonly PatternRule[]> {
  const results: fc.Arbitrary<PatternRule['result']>[] = [fc.constantFrom(...names).map(to)];
  if (from < 3)
    results.push(fc.integer({ min: from + 1, max: 3 }).map((i) => ({ kind: 'call', list: `L${i}` })));
  if (depth < 2) results.push(someRules(from, depth + 1).map((rules) => ({ kind: 'rules', rules })));
  return fc.array(
    fc.tuple(subject, fc.oneof(...results)).map(([matches, result]) => rule(matches, result)),
    { maxLength: 4 },
  );
}

/** powermta (c) and (b.9), read word by word: undefined where no rule matches. */
function naive(
  rules: readonly PatternRule[],
  all: readonly PatternListConfig[],
  mail: Required<Mail>,
  rcpt: string,
): string | undefined {
  for (const { matches, result } of rules) {
    const header = (name: string): string | undefined =>
      mail.header
        .split('\r\n')
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1);
    const text =
      matches.kind === 'mailFrom'
        ? mail.from
        : matches.kind === 'rcptTo'
          ? rcpt
          : matches.kind === 'header'
            ? header(matches.header)
            : '';
    if (
      text === undefined ||
      (matches.kind !== 'everything' && !new RegExp(matches.expression, 'i').test(text))
    )
      continue;
    if (result.kind === 'virtualMta') return result.name;
    const inner =
      result.kind === 'rules'
        ? result.rules
        : all.find(({ name }) => name === result.list.toLowerCase())!.rules;
    const said = naive(inner, all, mail, rcpt);
    if (said !== undefined) return said;
  }
  return undefined;
}

test('every message goes where a naive reading of the selection order sends it', () => {
  const mails = fc.record({
    from: fc.constantFrom('', 'a@b', 'c'),
    to: fc.array(fc.constantFrom('a@x', 'b@x', 'c@x', 'x'), { minLength: 1, maxLength: 4 }),
    header: fc
      .subarray(['h: a', 'h: b', 'i: b', 'X-Virtual-MTA: two', 'X-Virtual-MTA: pool', 'h: c'])
      .map((lines) => lines.join('\r\n')),
  });
  const sources = fc.record({
    processXVirtualMta: fc.boolean(),
    defaultVirtualMta: fc.constantFrom(...names),
    patternList: fc.constantFrom('', 'l0'),
  });
  fc.assert(
    fc.property(
      fc.tuple(someRules(0), someRules(1), someRules(2), someRules(3)),
      mails,
      sources,
      fc.constantFrom(undefined, 'one', 'pool'),
      (rules, mail, source, listenerDefault) => {
        const patternLists = rules.map((some, i) => list(`l${i}`, ...some));
        const routing = compileRouting(
          configuration({ ...two, patternLists, listeners: [listener(listenerDefault)] }),
        );
        const verdict = verdictOf(routing.rulesFor(0, effective(source)), mail);
        if (verdict.kind === 'refused') throw new Error('nothing here is to be refused');
        const went = verdict.groups.flatMap(({ route, recipients: group }) =>
          group.map(({ forwardPath }) => [forwardPath, route.vmtaPool || route.vmta]),
        );
        const byHeader = source.processXVirtualMta
          ? /X-Virtual-MTA: (\w+)/.exec(mail.header)?.[1]
          : undefined;
        const wanted = mail.to.map((rcpt) => [
          rcpt,
          byHeader ||
            (source.patternList && naive(rules[0], patternLists, mail, rcpt)) ||
            listenerDefault ||
            source.defaultVirtualMta ||
            '{default}',
        ]);
        expect(went.sort()).toEqual(wanted.sort());
        expect(new Set(verdict.groups.map(({ route }) => route.vmtaPool || route.vmta)).size).toBe(
          verdict.groups.length,
        );
      },
    ),
    { numRuns: 1000 },
  );
});
