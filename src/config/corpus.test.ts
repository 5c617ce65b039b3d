import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type ConfigFiles, memoryConfigFiles } from './configFiles.ts';
import type { Finding } from './finding.ts';
import { diskConfigFiles } from './node/load.ts';
import { readConfig } from './readConfig.ts';

/** Public configurations as operators wrote them; they live outside the project. */
const corpus = '../shared/corpus/pmta-configs';
const present = existsSync(corpus);
if (!present) console.warn(`SKIPPED: ${corpus} is absent, the corpus of public configurations is not tested`);
const withCorpus = test.skipIf(!present);

const files: ConfigFiles = { ...diskConfigFiles, systemName: 'h.test', exists: () => true };
const read = (name: string, more?: Partial<ConfigFiles>) =>
  readConfig(`${corpus}/${name}`, { ...files, ...more });
const of = (level: Finding['level'], findings: readonly Finding[]) =>
  findings.filter((one) => one.level === level);
const refusing = (findings: readonly Finding[]) =>
  findings
    .filter((finding) => finding.refusesRun)
    .map((finding) => finding.origin!.text.replace(/#.*/, '').trim());

withCorpus('02 is read whole, and run names the lines it cannot ignore', () => {
  const { config, findings } = read('02-sparkpost-bouncy-sink/config');
  expect(of('error', findings)).toEqual([]);
  expect(new Set(of('warning', findings).map((finding) => finding.code))).toEqual(new Set(['W-NOT-YET']));
  expect(refusing(findings)).toEqual([
    'check-mfrom-inbound yes',
    'pickup /etc/pmta/pickup /etc/pmta/badmail',
    'type file',
  ]);
  expect(config).toMatchObject({
    totalMaxSmtpIn: { value: 400 },
    relayDomains: [{ value: { kind: 'domainAndSubdomains', domain: 'bouncy-sink.trymsys.net' } }],
    listeners: [{ address: '172.31.4.82', port: 25, blockForm: false }],
    acctFiles: [{ path: '/var/log/pmta/acct.csv', deleteAfterMs: { value: 691_200_000 } }],
  });
});

withCorpus('02 without its certificate is refused on that line', () => {
  const { findings } = read('02-sparkpost-bouncy-sink/config', { exists: () => false });
  expect(of('error', findings)).toMatchObject([{ code: 'E-FILE-MISSING', origin: { line: 19 } }]);
});

withCorpus('13 is read; that it is an open relay is judged elsewhere', () => {
  const { config } = read('13-sparkpost-bouncy-sink-first/config');
  const everyone = config!.injectionSources.filter(
    ({ over }) => over.kind === 'cidr' && over.cidr.bits === 0,
  );
  expect(everyone.map(({ settings }) => settings.alwaysAllowRelaying?.value)).toEqual([true, true]);
});

withCorpus('22 is refused for exactly its three faults', () => {
  const { config, findings } = read('22-reversed-source-host/config');
  expect(config).toBeUndefined();
  expect(of('error', findings).map(({ code, origin }) => [code, origin!.line])).toEqual([
    ['E-REVERSED-SOURCE-HOST', 4],
    ['E-DOMAIN-KEY-FIELDS', 5],
    ['E-SEVERAL-DOMAINS', 13],
  ]);
});

withCorpus('20: the listeners of the seed dialect load once their pools and certificate exist', () => {
  const listeners = readFileSync(`${corpus}/20-seed-dialect/listeners.conf`, 'utf8');
  const pools = ['default-pool', 'transactional-pool'].map(
    (pool) => `<virtual-mta-pool ${pool}>\nvirtual-mta v1\n</virtual-mta-pool>\n`,
  );
  const text = `${listeners}\n<virtual-mta v1>\n</virtual-mta>\n${pools.join('')}`;
  const { config, findings } = readConfig('/c', {
    ...memoryConfigFiles(new Map([['/c', text]]), 'h.test'),
    exists: () => true,
  });
  expect(of('error', findings)).toEqual([]);
  expect(refusing(findings).map((line) => line.split(' ')[0])).toEqual([
    'require-auth',
    'starttls',
    'tls-certificate',
    'tls-key',
  ]);
  expect(config!.listeners).toMatchObject([
    { address: '127.0.0.1', port: 25, blockForm: true },
    { address: '0.0.0.0', port: 587, defaultVirtualMta: { value: 'default-pool' } },
    { port: 2525, defaultVirtualMta: { value: 'transactional-pool' } },
    { address: '10.0.0.1', allowedHosts: { value: [{ address: '10.0.1.50' }, { address: '10.0.1.51' }] } },
  ]);
});

withCorpus('20: the dialect that never was PowerMTA is answered with how PowerMTA writes it', () => {
  const accounting = of('error', read('20-seed-dialect/accounting.conf').findings);
  expect(accounting).toMatchObject([
    { code: 'E-UNKNOWN-SECTION', fix: expect.stringContaining('<acct-file') },
  ]);
  const braces = of('error', read('20-seed-dialect/domains-braces.conf').findings);
  const fixes = braces.map((finding) => finding.fix).join('\n');
  expect(fixes).toContain('write <domain gmail.com>, then its directives on their own lines, then </domain>');
  expect(fixes).toContain('the directive is max-connect-rate');
  expect(fixes).toContain('<mx-rollup-list>');
  expect(braces.map((finding) => finding.code)).toContain('E-BACKSLASH');
});

/** What is wrong with these files themselves, by code; every directive in them is known. */
withCorpus.each([
  ['03-tuck1s-sparkypmtatracking/config', ['E-MISSING-VALUE']],
  ['07-viniciusklaos-vesta/config', ['E-BAD-VALUE']],
  ['12-kira41-first/config', []],
  ['18-php-generator-hotmail-queue/config', []],
  ['23-acct-only/config', []],
])('%s has no unknown directive; its faults are %j', (name, codes) => {
  const errors = of('error', read(name).findings);
  expect([...new Set(errors.map((finding) => finding.code))]).toEqual(codes);
});

withCorpus(
  '08 with its includes has unfilled placeholders, broken patterns and a missing file, nothing unknown',
  () => {
    const { findings } = readConfig('/etc/pmta/config', {
      ...files,
      read: (path) => diskConfigFiles.read(path.replace('/etc/pmta', `${corpus}/08-macrob-clibuild`)),
    });
    const codes = new Set(of('error', findings).map((finding) => finding.code));
    expect([...codes].sort()).toEqual(['E-BAD-VALUE', 'E-FILE-MISSING', 'E-PLACEHOLDER', 'E-POOL-EMPTY']);
  },
);

withCorpus('18: a list on the line after its macro, and names without case, are understood', () => {
  const { config } = read('18-php-generator-hotmail-queue/config');
  const exact = config!.domains.flatMap(({ pattern }) => (pattern.kind === 'exact' ? [pattern.domain] : []));
  expect(exact).toEqual(expect.arrayContaining(['orange.fr', 'wanadoo.fr', 'ymail.com', 'hotmail.be']));
});
