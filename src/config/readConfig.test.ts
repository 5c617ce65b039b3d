import { expect, test } from 'vitest';
import { type ConfigFiles, memoryConfigFiles } from './configFiles.ts';
import { readConfig, readEmbeddedConfig } from './readConfig.ts';

/** Enough to keep the notices about missing lines away. */
const base = 'smtp-listener 127.0.0.1:25\nspool /s\nlog-file /l\n';

function read(text: string, more?: Partial<ConfigFiles>) {
  return readConfig('/c', { ...memoryConfigFiles(new Map([['/c', base + text]]), 'h.test'), ...more });
}

const codes = (text: string) => read(text).findings.map((finding) => finding.code);

function configOf(text: string) {
  const { config, findings } = read(text);
  expect(findings.filter((finding) => finding.level === 'error')).toEqual([]);
  return config!;
}

test('the embedded configuration resolves without a word', () => {
  const { config, findings } = readEmbeddedConfig('h.test');
  expect(findings).toEqual([]);
  expect(config!.listeners.map((listener) => [listener.port, listener.defaultVirtualMta?.value])).toEqual([
    [2525, 'transactional-pool'],
    [2526, 'marketing-pool'],
    [2527, 'cold-outreach-pool'],
  ]);
  expect(config!.pools.map((pool) => pool.members.map((member) => member.value))).toEqual([
    ['mta1'],
    ['mta2'],
    ['mta3'],
  ]);
  expect(config!.acctFiles[0]!.records.value).toEqual(['d', 'b', 't', 'r']);
  expect(config!.totalMaxSmtpIn.value).toBe(2000);
});

test('without a line for them, listener, spool, log and host name have defaults, and it is said', () => {
  const { config, findings } = readConfig(
    '/etc/pmta/config',
    memoryConfigFiles(new Map([['/etc/pmta/config', '']]), 'h.test'),
  );
  expect(findings.map(({ level, code }) => `${level} ${code}`)).toEqual([
    'warning W-IMPLICIT-LISTENER',
    'notice I-DEFAULT-SPOOL',
    'notice I-DEFAULT-LOG',
  ]);
  expect(config).toMatchObject({
    hostNames: { value: ['h.test'], origin: undefined },
    listeners: [{ address: '127.0.0.1', port: 25, origin: undefined, blockForm: false }],
    spools: [{ value: '/etc/pmta/var/spool' }],
    logFile: { value: '/etc/pmta/var/log/penstock.log' },
    totalMaxSmtpIn: { value: 100 },
    totalMaxSmtpOut: { value: 1200 },
    durability: { value: 'sync' },
    domainPrecedence: { value: 'specificity' },
  });
});

test("the space to keep free is the spool block's, else the older line's, which counts megabytes", () => {
  const readBlock = (text: string) =>
    readConfig(
      '/c',
      memoryConfigFiles(new Map([['/c', `smtp-listener 127.0.0.1:25\nlog-file /l\n${text}`]]), 'h.test'),
    ).config!.minFreeSpaceBytes.value;
  expect(readBlock('spool /s\n')).toBe(0);
  expect(readBlock('spool /s\nspool-min-free-space 200\n')).toBe(200 * 1024 * 1024);
  expect(readBlock('spool-min-free-space 200\n<spool /s>\nmin-free-space 1G\n</spool>\n')).toBe(2 ** 30);
});

test('what a broken line was meant to set is not called missing', () => {
  const { findings } = readConfig('/c', memoryConfigFiles(new Map([['/c', 'smtp-listener 0/0']]), 'h.test'));
  expect(findings.map((finding) => finding.code)).toEqual(['E-BAD-VALUE']);
});

test('every value knows its line', () => {
  const config = configOf('postmaster a@b.c\npostmaster d@e.f\nengines 2');
  expect(config.postmaster).toMatchObject({ value: ['a@b.c', 'd@e.f'], origin: { line: 4, column: 1 } });
  expect(config.engines).toMatchObject({ value: 2, origin: { file: '/c', line: 6, text: 'engines 2' } });
});

test('a listener block keeps its hosts, pool and durability', () => {
  const config = configOf(
    '<virtual-mta V1>\n</virtual-mta>\n<smtp-listener 10.0.0.1:2525>\nallowed-hosts 10.0.1.50 10.0.1.51\nallowed-hosts 10.2/16\n' +
      'default-virtual-mta-pool v1\ndurability os\n</smtp-listener>',
  );
  expect(config.listeners[1]).toMatchObject({
    address: '10.0.0.1',
    blockForm: true,
    allowedHosts: { value: [{ address: '10.0.1.50' }, { address: '10.0.1.51' }, { bits: 16 }] },
    defaultVirtualMta: { value: 'V1' },
    durability: { value: 'os' },
  });
});

test('a source for 0/0 covers both families, and blocks for one range merge', () => {
  const config = configOf(
    '<source 0/0>\nlog-data yes\n</source>\n<source 10/8>\nlog-data yes\nadd-received-header no\n</source>\n' +
      '<source 10.0.0.0/8>\nlog-data no\n</source>',
  );
  expect(
    config.injectionSources.map(({ over, settings }) => [
      over,
      Object.keys(settings),
      settings.logData?.value,
    ]),
  ).toEqual([
    [{ kind: 'cidr', cidr: { address: '0.0.0.0', bits: 0 } }, ['logData'], true],
    [{ kind: 'cidr', cidr: { address: '::', bits: 0 } }, ['logData'], true],
    [{ kind: 'cidr', cidr: { address: '10.0.0.0', bits: 8 } }, ['logData', 'addReceivedHeader'], false],
  ]);
});

test('names are compared without case and get the spelling they were declared with', () => {
  const config = configOf(
    '<virtual-mta MTA-a>\n</virtual-mta>\n<virtual-mta-pool P>\nvirtual-mta mta-A\n</virtual-mta-pool>\n' +
      '<source {In}>\ndefault-virtual-mta p\n</source>\nsmtp-listener 127.0.0.1:26 source={in}',
  );
  expect(config.pools[0]!.members[0]!.value).toBe('MTA-a');
  expect(config.injectionSources[0]!.settings.defaultVirtualMta?.value).toBe('P');
  expect(config.listeners[1]!.source?.value).toBe('{In}');
});

const v1 = '<virtual-mta v1>\n</virtual-mta>\n';
const poolWithDomain = (name: string) =>
  `<virtual-mta-pool ${name}>\nvirtual-mta v1\n<domain *>\n</domain>\n</virtual-mta-pool>\n`;

test.each([
  [
    'a pool with the name of a virtual MTA',
    `${v1}<virtual-mta-pool V1>\nvirtual-mta v1\n</virtual-mta-pool>`,
    'E-NAME-CLASH',
    6,
  ],
  [
    'a missing pool member',
    `${v1}<virtual-mta-pool p>\nvirtual-mta v2\n</virtual-mta-pool>`,
    'E-POOL-MISSING',
    7,
  ],
  ['an empty pool', '<virtual-mta-pool p>\n</virtual-mta-pool>', 'E-POOL-EMPTY', 4],
  [
    'a default-virtual-mta that names nothing',
    '<source 0/0>\ndefault-virtual-mta v9\n</source>',
    'E-VMTA-MISSING',
    5,
  ],
  ['a listener with an unknown source', 'smtp-listener 127.0.0.1:26 source=x', 'E-SOURCE-MISSING', 4],
  [
    'a second listener on one address and port',
    '<smtp-listener 127.0.0.1:25>\n</smtp-listener>',
    'E-DUPLICATE-LISTENER',
    4,
  ],
  [
    'a virtual MTA in two pools with domains',
    v1 + poolWithDomain('p1') + poolWithDomain('p2'),
    'E-POOL-DOMAINS',
    12,
  ],
  ['a macro that is not there', '<domain $x>\n</domain>', 'E-MACRO-MISSING', 4],
  [
    'a macro that uses itself',
    'domain-macro a $b\ndomain-macro b $a\n<domain $a>\n</domain>',
    'E-MACRO-LOOP',
    6,
  ],
  [
    'a macro that explodes',
    `${Array.from({ length: 25 }, (_, at) => `domain-macro m${at} $m${at + 1},$m${at + 1}\n`).join('')}domain-macro m25 a.b\n<domain $m0>\n</domain>`,
    'E-MACRO-LOOP',
    30,
  ],
  ['an item that is no domain', 'domain-macro a b..c\n<domain $a>\n</domain>', 'E-BAD-VALUE', 5],
  ['a certificate that is not there', 'smtp-server-tls-certificate /none.pem', 'E-FILE-MISSING', 4],
  [
    'authorities that are not there',
    '<domain *>\nsmtp-tls-ca-file /none.pem\n</domain>',
    'E-FILE-MISSING',
    5,
  ],
])('%s is one error, on its line', (_, text, code, line) => {
  const { config, findings } = read(text);
  const errors = findings.filter((finding) => finding.level === 'error');
  expect(errors).toMatchObject([{ code, origin: { line } }]);
  // A missing certificate leaves the meaning whole: access is judged all the same.
  expect(config === undefined).toBe(code !== 'E-FILE-MISSING');
});

test('macros expand, macros within macros and item by item', () => {
  const config = configOf('domain-macro tld $com, .org\ndomain-macro com com\n<domain a.$tld>\n</domain>');
  expect(config.domains.map((block) => block.pattern)).toEqual([
    { kind: 'exact', domain: 'a.com' },
    { kind: 'exact', domain: 'a.org' },
  ]);
});

test('harmless lines warn unless they stand at their default', () => {
  expect(read('http-access 127.0.0.1 admin\nsmtp-await-slot no\n').findings).toMatchObject([
    { code: 'W-NOT-YET', level: 'warning', refusesRun: false, origin: { line: 4 } },
  ]);
});

test('what is on by default and not done yet is always said, and refuses nothing', () => {
  expect(read('<domain *>\nuse-starttls yes\nuse-dane no\n</domain>').findings).toMatchObject([
    { code: 'W-NOT-YET', refusesRun: false },
  ]);
});

test.each([
  ['pickup /a /b', true],
  ['<domain *>\ndkim-sign yes\n</domain>', true],
  ['<domain *>\nmax-msg-rate 100/h\nmax-smtp-out 3\n</domain>', false],
  ['<domain *>\nqueue-to q.example\n</domain>', true],
  ['<domain *>\nsmtp-hosts lookup-mx:a.b\n</domain>', false],
  ['<source 0/0>\nrequire-auth yes\n</source>', true],
  ['<source {auth}>\nrequire-auth yes\n</source>', false],
  ['<source n>\nrequire-auth yes\n</source>', false],
  ['<source n>\nrequire-auth yes\n</source>\nsmtp-listener 127.0.0.1:26 source=N', true],
  ['<source n>\nrequire-auth yes\n</source>\n<smtp-listener 127.0.0.1:26>\nsource n\n</smtp-listener>', true],
  ['<source 0/0>\ndefault-virtual-mta by-smtp-source-ip\n</source>', true],
  ['<smtp-listener 127.0.0.1:26>\nstarttls required\n</smtp-listener>', true],
  ['<acct-file /a>\nprivacy-policy redact\n</acct-file>', true],
  ['<bounce-processor>\n</bounce-processor>', true],
  ['<virtual-mta v>\nsmtp-source-host 10.0.0.0/24 a.b\n</virtual-mta>', true],
  ['<domain *>\ntype smtp\ndkim-sign no\nrequire-starttls no\nmax-msg-rate unlimited\n</domain>', false],
  ['<source 0/0>\nrequire-auth false\nprocess-x-virtual-mta no\n</source>', false],
  ['<smtp-user u>\npassword p\n</smtp-user>', false],
])('%j passes check, and keeps run from starting: %s', (text, refuses) => {
  const { config, findings } = read(text);
  expect(config).toBeDefined();
  expect(findings.some((finding) => finding.refusesRun)).toBe(refuses);
});

test('lines that mean something else here get a notice of their own', () => {
  expect(codes('run-as-root no\nsync-msg-create false\nsmtp-server-tls-allow-tlsv1 yes')).toEqual([
    'I-RUN-AS-ROOT',
    'I-DURABILITY',
    'I-TLS-FLOOR',
  ]);
});

test('the contents of a section without effect need no warnings of their own, but are checked', () => {
  expect(codes('<smtp-user u>\npassword p\n</smtp-user>')).toEqual(['W-NOT-YET']);
  expect(codes('<smtp-user u>\npasswort p\n</smtp-user>')).toContain('E-UNKNOWN-DIRECTIVE');
});

test('accounting files have defaults, merge by path, and leave out what is not written yet', () => {
  const config = configOf(
    '<acct-file /a>\nmax-size 50M\n</acct-file>\n<acct-file /a>\ndelete-after never\n</acct-file>\n' +
      '<acct-file /f>\nrecords f\n</acct-file>\n<acct-file |/bin/x>\n</acct-file>',
  );
  expect(config.acctFiles).toMatchObject([
    {
      path: '/a',
      records: { value: ['d', 'b'], origin: undefined },
      maxSizeBytes: { value: 52_428_800 },
      moveTo: undefined,
      moveIntervalMs: { value: 86_400_000 },
      deleteAfterMs: { value: undefined, origin: { line: 8 } },
    },
  ]);
});

test('synonyms share one setting, and the last one written counts', () => {
  const config = configOf(
    '<domain *>\nmax-rcpt-per-message 5\nmax-rcpt-per-transaction 7\nroute [192.0.2.1]:26\n</domain>',
  );
  expect(config.domains[0]!.settings).toMatchObject({
    maxRcptPerMessage: { value: 7, origin: { line: 6 } },
    smtpHosts: { value: [[{ host: '192.0.2.1', isAddress: true, port: 26 }]] },
  });
});

test('where the two readings of precedence differ, a notice says which line counts', () => {
  const text =
    '<domain a.b>\nmax-smtp-out 1\n</domain>\n<virtual-mta v>\n<domain *>\nmax-smtp-out 9\n</domain>\n</virtual-mta>\n';
  expect(read(text).findings).toMatchObject([
    { code: 'I-DOMAIN-PRECEDENCE', level: 'notice', origin: { line: 8 } },
  ]);
  expect(read(text).findings[0]!.message).toContain('"max-smtp-out 1" in line 5 counts');
  expect(read(`${text}domain-precedence scope`).findings[0]!.message).toContain(
    '"max-smtp-out 9" in line 9 counts',
  );
  expect(codes(text.replace('9', '1'))).toEqual([]);
});

test('a file that everyone may change is warned of', () => {
  const { findings } = read('', { read: () => ({ kind: 'text', text: base, worldWritable: true }) });
  expect(findings).toMatchObject([{ code: 'W-WORLD-WRITABLE', level: 'warning' }]);
});

test('a password stands in no finding and nowhere in the configuration', () => {
  const { config, findings } = read('<domain *>\nauth-password swordfish\n</domain>\npasword swordfish');
  expect(JSON.stringify([config, findings]).replaceAll('pasword swordfish', '')).not.toContain('swordfish');
});
