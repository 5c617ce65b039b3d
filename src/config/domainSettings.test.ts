import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Config } from './config.ts';
import { domainDefaults } from './config.ts';
import { memoryConfigFiles } from './configFiles.ts';
import { compileDomainSettings, effectiveDomainSettings } from './domainSettings.ts';
import { readConfig } from './readConfig.ts';

function configOf(text: string): Config {
  return readConfig('/c', memoryConfigFiles(new Map([['/c', text]]), 'h.test')).config!;
}

/** max-smtp-out as a label: which block decided. */
function deciding(text: string): (domain: string, vmta?: string) => number {
  const lookup = compileDomainSettings(configOf(text));
  return (domain, vmta = 'v') => lookup(domain, vmta).maxSmtpOut.value;
}

const block = (pattern: string, maxSmtpOut: number): string =>
  `<domain ${pattern}>\nmax-smtp-out ${maxSmtpOut}\n</domain>\n`;

test('with no block at all, everything is at its default and has no line', () => {
  const settings = effectiveDomainSettings(configOf(''), 'a.b', 'v');
  for (const [key, setting] of Object.entries(settings)) {
    expect(setting, key).toEqual({
      value: domainDefaults[key as keyof typeof domainDefaults],
      origin: undefined,
    });
  }
});

test('an exact name beats a wildcard, more labels beat fewer, any beats *; file order does not matter', () => {
  const blocks = [block('a.b.c', 5), block('*.b.c', 4), block('[*.]b.c', 3), block('*.c', 2), block('*', 1)];
  for (const order of [blocks, blocks.toReversed()]) {
    const value = deciding(order.join(''));
    expect(value('a.b.c')).toBe(5);
    expect(value('x')).toBe(1);
    expect(value('x.c')).toBe(2);
    expect(value('b.c')).toBe(3);
  }
});

test('allow-loopback-mx outside of any <domain> holds for all of them, and every <domain> overrides it', () => {
  const text = '<domain *>\nmax-smtp-out 3\n</domain>\n<domain a.b>\nallow-loopback-mx no\n</domain>\n';
  const lookup = compileDomainSettings(configOf(`${text}allow-loopback-mx yes\n`));
  expect(lookup('c.d', 'v').allowLoopbackMx).toMatchObject({ value: true, origin: { line: 7 } });
  expect(lookup('a.b', 'v').allowLoopbackMx).toMatchObject({ value: false, origin: { line: 5 } });
});

test('*.d is subdomains only, [*.]d is both, at any depth', () => {
  const value = deciding(block('*.d.e', 2) + block('[*.]f.g', 3));
  expect([value('d.e'), value('x.d.e'), value('x.y.d.e'), value('xd.e')]).toEqual([20, 2, 2, 20]);
  expect([value('f.g'), value('x.y.f.g'), value('xf.g')]).toEqual([3, 3, 20]);
});

test('address literals match ranges, the narrower winning', () => {
  const value = deciding(block('[0/0]', 2) + block('[10.1/16]', 3) + block('[10/8]', 4) + block('*', 1));
  expect([value('[192.0.2.1]'), value('[10.1.2.3]'), value('[10.2.0.1]')]).toEqual([2, 3, 4]);
  expect([value('[IPv6:2001:db8::1]'), value('10.1.2.3')]).toEqual([2, 1]);
});

test('within one pattern the later block wins, setting by setting', () => {
  const lookup = compileDomainSettings(
    configOf(`${block('*', 1)}<domain *>\nretry-after 1m\n</domain>${'\n'}${block('*', 2)}`),
  );
  const { maxSmtpOut, retryAfterMs } = lookup('a.b', 'v');
  expect([maxSmtpOut.value, retryAfterMs.value]).toEqual([2, [60_000]]);
  expect(maxSmtpOut.origin!.line).toBe(8);
});

test('a literally listed domain beats a macro-expanded one, wherever they stand', () => {
  const macro = 'domain-macro m a.b, c.d\n';
  expect(deciding(macro + block('a.b', 1) + block('$m', 2))('a.b')).toBe(1);
  expect(deciding(macro + block('$m', 2) + block('a.b', 1))('a.b')).toBe(1);
  expect(deciding(macro + block('a.b', 1) + block('$m', 2))('c.d')).toBe(2);
});

const scoped = `${block('a.b', 1)}${block('*', 2)}<virtual-mta v>\n${block('*', 3)}</virtual-mta>
<virtual-mta w>\n</virtual-mta>
<virtual-mta-pool p>\nvirtual-mta v\nvirtual-mta w\n${block('*', 4)}${block('*.b', 5)}</virtual-mta-pool>\n`;

test('specificity first: an exact global block beats a virtual MTA that says *', () => {
  const value = deciding(scoped);
  expect([value('a.b', 'v'), value('x.b', 'v'), value('y', 'v')]).toEqual([1, 5, 3]);
  expect([value('a.b', 'w'), value('x.b', 'w'), value('y', 'w')]).toEqual([1, 5, 4]);
  expect([value('a.b', 'other'), value('y', 'other')]).toEqual([1, 2]);
});

test('scope first: the virtual MTA beats its pool, the pool the global blocks', () => {
  const value = deciding(`domain-precedence scope\n${scoped}`);
  expect([value('a.b', 'v'), value('x.b', 'v'), value('y', 'v')]).toEqual([3, 3, 3]);
  expect([value('a.b', 'w'), value('x.b', 'w'), value('y', 'w')]).toEqual([5, 5, 4]);
});

test('the compiled lookup agrees with going through all blocks one by one', () => {
  const label = fc.constantFrom('a', 'b', 'c');
  const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
  const pattern = fc.tuple(fc.constantFrom('', '*.', '[*.]'), name).map((parts) => parts.join(''));
  const patterns = fc.uniqueArray(fc.oneof(pattern, fc.constant('*')), { maxLength: 8 });
  fc.assert(
    fc.property(patterns, name, (all, domain) => {
      const rank = (text: string): number => {
        const bare = text.replace(/^(\*\.|\[\*\.\])/, '');
        if (text === '*') return 0;
        if (text === bare) return bare === domain ? 100 : -1;
        const matches = domain.endsWith(`.${bare}`) || (text.startsWith('[') && bare === domain);
        return matches ? bare.split('.').length : -1;
      };
      let best = { rank: -1, value: 20 };
      for (const [at, text] of all.entries()) {
        if (rank(text) >= 0 && rank(text) >= best.rank) best = { rank: rank(text), value: at + 1 };
      }
      expect(deciding(all.map((text, at) => block(text, at + 1)).join(''))(domain)).toBe(best.value);
    }),
  );
});

test('source-ip limits of one block add up, each with its range; a block nearer replaces them', () => {
  const lookup = compileDomainSettings(
    configOf(
      '<domain *>\nsource-ip-max-smtp-out 10/8 2\nsource-ip-max-smtp-out 192.0.2.1 unlimited\n' +
        'source-ip-max-msg-rate 0/0 100/15m\nsource-ip-max-data-volume-rate 10/8 10M/m\n</domain>\n' +
        '<domain a.b>\nsource-ip-max-smtp-out 10.1/16 1\n</domain>\n',
    ),
  );
  const any = lookup('x.y', 'v');
  const ten = [{ address: '10.0.0.0', bits: 8 }];
  expect(any.sourceIpMaxSmtpOut.value).toEqual([
    { ranges: ten, value: 2 },
    { ranges: [{ address: '192.0.2.1', bits: 32 }], value: 0 },
  ]);
  expect(any.sourceIpMaxSmtpOut.origin?.line).toBe(2);
  expect(any.sourceIpMaxMsgRate.value).toEqual([
    {
      ranges: [
        { address: '0.0.0.0', bits: 0 },
        { address: '::', bits: 0 },
      ],
      value: { count: 100, perMs: 900_000 },
    },
  ]);
  expect(any.sourceIpMaxDataVolumeRate.value).toEqual([
    { ranges: ten, value: { count: 10_485_760, perMs: 60_000 } },
  ]);
  expect(lookup('a.b', 'v').sourceIpMaxSmtpOut.value).toEqual([
    { ranges: [{ address: '10.1.0.0', bits: 16 }], value: 1 },
  ]);
});

test.each([
  ['source-ip-max-smtp-out 3', 'E-BAD-VALUE'],
  ['source-ip-max-msg-rate 10/8 often', 'E-BAD-VALUE'],
  ['source-ip-max-msg-rate 10/h 10/8', 'E-BAD-VALUE'],
  ['source-ip-max-connect-rate 10/8 5/s 6/s', 'E-BAD-VALUE'],
])('%s is an error', (line, code) => {
  const text = `<domain *>\n${line}\n</domain>\n`;
  const { findings } = readConfig('/c', memoryConfigFiles(new Map([['/c', text]]), 'h.test'));
  expect(findings.map((one) => one.code)).toContain(code);
});
