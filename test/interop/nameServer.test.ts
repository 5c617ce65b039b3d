import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ResolveReport } from '../../src/cli/resolveReport.ts';
import { submit } from '../e2e/letter.ts';
import { accountingRecords, Daemon, makeSite, runPenstock, waitUntil } from '../ledger/daemon.ts';
import type { Submission } from '../ledger/ledger.ts';
import { Sink } from '../ledger/sink.ts';
import { missingUnbound, PrivateUnbound, unboundAddress } from './privateUnbound.ts';

const missing = missingUnbound();

const many = Array.from({ length: 90 }, (_, i) => i);
const records = [
  'mx IN MX 20 b.mx',
  'mx IN MX 10 a.mx',
  'a.mx IN A 192.0.2.1',
  'a.mx IN AAAA 2001:db8::1',
  'b.mx IN A 192.0.2.2',
  'b.mx IN A 192.0.2.3',
  'implicit IN A 192.0.2.4',
  'implicit6 IN AAAA 2001:db8::6',
  'null IN MX 0 .',
  'alias IN CNAME mx',
  'mxtoalias IN MX 5 toa',
  'toa IN CNAME a.mx',
  'dangling IN MX 5 nowhere',
  'empty IN TXT "nothing here"',
  'lost IN CNAME nowhere',
  'round1 IN CNAME round2',
  'round2 IN CNAME round1',
  'inner IN MX 5 here',
  'here IN A 127.0.0.1',
  // Nobody listens there.
  'bare IN A 127.77.0.2',
  // Some 2.5 KB: by TCP alone.
  ...many.map((i) => `big IN MX ${i + 1} host-number-${i}.a-long-label-that-takes-room`),
  ...many.map((i) => `host-number-${i}.a-long-label-that-takes-room IN A 198.51.100.${i}`),
];

interface Resolved {
  readonly code: number | null;
  readonly report: ResolveReport;
}

async function resolve(domain: string): Promise<Resolved> {
  const { code, stdout } = await runPenstock(
    ['resolve', domain, '--server', unboundAddress, '--json'],
    tmpdir(),
    60_000,
  );
  return { code, report: JSON.parse(stdout) as ResolveReport };
}

/** What `dig +short` says, sorted; lines that are not of the type (aliases) left out. */
function dig(name: string, type: 'A' | 'AAAA' | 'MX'): string[] {
  const ran = spawnSync('dig', ['+short', `@${unboundAddress}`, name, type], { encoding: 'utf8' });
  const isOfType = { A: /^[\d.]+$/, AAAA: /:/, MX: /^\d+ / }[type];
  return ran.stdout
    .split('\n')
    .filter((line) => isOfType.test(line))
    .map((line) => (type === 'MX' ? line.replace(/(?<=[^ ])\.$/, '') : line))
    .sort();
}

describe.skipIf(missing !== undefined)('name servers', () => {
  let unbound: PrivateUnbound;
  beforeAll(async () => {
    unbound = await PrivateUnbound.start(records);
  });
  afterAll(() => unbound?.stop());

  test.each([
    'mx',
    'implicit',
    'implicit6',
    'null',
    'alias',
    'mxtoalias',
    'dangling',
    'empty',
    'big',
  ])('resolve finds for %s.zone.test what dig finds', async (label) => {
    const domain = `${label}.zone.test`;
    const { report } = await resolve(domain);
    const found = report.mx.flatMap((one) => one.records).map((one) => `${one.preference} ${one.exchange}`);
    expect(found.sort()).toEqual(dig(domain, 'MX'));
    for (const { host, addresses } of report.hosts) {
      const expected = [...dig(host, 'A'), ...dig(host, 'AAAA')].sort();
      expect(addresses.map(({ address }) => address).sort(), host).toEqual(expected);
    }
  });

  test.each([
    ['mx', 0, null],
    ['implicit6', 0, null],
    ['alias', 0, null],
    ['mxtoalias', 0, null],
    ['big', 0, null],
    ['null', 1, '5.1.10'],
    ['nowhere', 1, '5.1.2'],
    ['lost', 1, '5.1.2'],
    ['dangling', 1, '5.4.4'],
    ['empty', 3, '4.4.4'],
    ['inner', 3, '4.4.4'],
    ['round1', 3, '4.4.3'],
  ])('%s.zone.test ends with %i and status %s', async (label, exit, status) => {
    const { code, report } = await resolve(`${label}.zone.test`);
    expect(report.cause?.status ?? null, JSON.stringify(report)).toBe(status);
    expect(code).toBe(exit);
  });

  test('a zone nobody answers for is SERVFAIL, and its mail waits', async () => {
    const { code, report } = await resolve('any.broken.test');
    expect(report.cause).toMatchObject({ status: '4.4.3', means: 'dnsError' });
    expect(code).toBe(3);
  });

  test('negative answers hold as long as the zone says', async () => {
    const { report } = await resolve('nowhere.zone.test');
    expect(report.mx[0]).toMatchObject({ answer: 'noName', ttlS: 60 });
  });

  test('mail goes where the MX says, and bounces where there is nobody, through the daemon', async () => {
    const sink = await Sink.start({ receptions: [] });
    const site = await makeSite({
      extra: `name-server ${unboundAddress}\nallow-loopback-mx yes`,
      domainLines: [`default-smtp-port ${sink.port}`, 'log-resolution yes', 'bounce-upon-no-mx 3s'],
    });
    const daemon = await Daemon.start(site);
    try {
      const submissions: Submission[] = [];
      const to = ['inner', 'null', 'nowhere', 'bare'].map((label) => `someone@${label}.zone.test`);
      for (const address of to) await submit(submissions, site.ports[0]!, { to: [address] });
      expect(submissions.map(({ told }) => told)).toEqual(to.map(() => 'stored'));
      await waitUntil(async () => (await accountingRecords(site)).length >= to.length, 20_000);
      const rows = new Map((await accountingRecords(site)).map((row) => [row.rcpt, row]));
      expect(rows.get(to[0])).toMatchObject({
        type: 'd',
        dsnMta: 'here.zone.test (127.0.0.1)',
        dlvDestinationIp: '127.0.0.1',
      });
      expect(rows.get(to[1])).toMatchObject({
        type: 'b',
        dsnStatus: '5.1.10 (recipient address has null MX)',
        dsnMta: '',
        bounceCat: 'bad-domain',
      });
      expect(rows.get(to[2])).toMatchObject({ type: 'b', bounceCat: 'bad-domain' });
      expect(rows.get(to[2])?.dsnStatus).toMatch(/^5\.1\.2 /);
      // Its address was tried until it had waited long enough: bounce-upon-no-mx.
      const bare = rows.get(to[3])!;
      expect(bare).toMatchObject({ type: 'b', dsnDiag: 'smtp;bare.zone.test has no MX' });
      expect(Date.parse(bare.timeLogged!) - Date.parse(bare.timeQueued!)).toBeGreaterThanOrEqual(2000);
    } finally {
      await daemon.stop();
      await site.remove();
      await sink.stop();
    }
  });
});
