import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NameServer, zoneSays } from '../../test/ledger/nameServer.ts';
import { Sink } from '../../test/ledger/sink.ts';
import { runProgram } from './program.ts';

let server: NameServer;
let sink: Sink;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-resolve-'));
  sink = await Sink.start({ receptions: [] });
  server = await NameServer.start(
    zoneSays({
      'r.test MX': ['20 mx2.r.test', '10 mx1.r.test', '5 gone.r.test', '30 inner.r.test'],
      'mx1.r.test A': ['192.0.2.1'],
      'mx1.r.test AAAA': ['2001:db8::1'],
      'mx2.r.test A': ['192.0.2.2'],
      'inner.r.test A': ['10.0.0.1'],
      'null.test MX': ['0 .'],
      'bad.test MX': 'SERVFAIL',
      'bare.test A': ['127.0.0.1'],
    }),
  );
});
afterAll(async () => {
  server.stop();
  await sink.stop();
  await rm(folder, { recursive: true });
});

async function resolve(...args: string[]): Promise<{ code: number; out: string[]; err: string[] }> {
  const [out, err]: [string[], string[]] = [[], []];
  const io = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    dim: (text: string) => text,
  };
  const code = await runProgram(['resolve', ...args, '--server', `127.0.0.1:${server.port}`], io, '0');
  return { code, out, err };
}

async function configFile(text: string): Promise<string> {
  const path = join(folder, 'c.conf');
  await writeFile(path, text);
  return path;
}

test('says what DNS says, what is not tried and why, and the endpoints in their order', async () => {
  const { code, out } = await resolve('R.test');
  expect(code).toBe(0);
  expect(out.join(' ')).toMatch(
    /MX of r.test: +5 gone.r.test, 10 mx1.r.test, 20 mx2.r.test, 30 inner.r.test;/,
  );
  expect(out.slice(-11)).toEqual([
    'pref  host                  address',
    '   5  gone.r.test (1m 0s)                no such name',
    '  10  mx1.r.test (5m 0s)    192.0.2.1',
    '                            2001:db8::1',
    '  20  mx2.r.test (1m 0s)    192.0.2.2',
    '  30  inner.r.test (1m 0s)  10.0.0.1     not tried: private (see allow-loopback-mx)',
    '',
    'try  host        endpoint',
    '  1  mx1.r.test  192.0.2.1:25',
    '  2  mx1.r.test  [2001:db8::1]:25',
    '  3  mx2.r.test  192.0.2.2:25',
  ]);
});

test.each([
  ['null.test', 1, '5.1.10 null.test takes no mail (null MX)', 'its mail bounces at once'],
  ['gone.test', 1, '5.1.2 no such domain: gone.test', 'its mail bounces at once'],
  [
    'bad.test',
    3,
    '4.4.3 looking up the MX of bad.test failed (SERVFAIL)',
    'its mail waits, and name servers are asked again',
  ],
  [
    'bare.test',
    3,
    '4.4.4 bare.test is at 127.0.0.1, which is loopback: see allow-loopback-mx',
    'its mail waits, as for a host that does not answer',
  ],
])('for %s says why it has no route, and ends with %i', async (domain, exit, why, so) => {
  const { code, out } = await resolve(domain);
  expect(code).toBe(exit);
  expect(out.join(' ').replace(/ +/g, ' ')).toMatch(`no route: ${why} so: ${so}`);
});

test('reads a configuration: virtual MTA, smtp-hosts, and the settings of the domain', async () => {
  const path = await configFile(`
    smtp-listener 192.0.2.200:25
    <virtual-mta V6>
      smtp-source-host 2001:db8::99 v6.own.test
    </virtual-mta>
    <domain relayed.test>
      smtp-hosts [192.0.2.50]:26
    </domain>
    <domain bare.test>
      allow-loopback-mx yes
      bounce-upon-no-mx 1h
    </domain>`);
  const byVmta = await resolve('r.test', '--config', path, '--vmta', 'v6', '--json');
  const report = JSON.parse(byVmta.out.join());
  expect(report).toMatchObject({
    schema: 'penstock.resolve/1',
    queue: 'r.test/V6',
    from: '2001:db8::99',
    ehloName: 'v6.own.test',
    by: 'mx',
    endpoints: [{ host: 'mx1.r.test', address: '2001:db8::1', port: 25 }],
    cause: null,
  });
  expect((await resolve('relayed.test', '--config', path, '--json')).out.join()).toContain(
    '"endpoints":[{"host":"192.0.2.50","address":"192.0.2.50","port":26}]',
  );
  const bare = await resolve('bare.test', '--config', path);
  expect(bare.code).toBe(0);
  expect(bare.out).toContain('Who has waited 1h 0m for it bounces: bounce-upon-no-mx.');
  expect((await resolve('r.test', '--config', path, '--vmta', 'none')).code).toBe(64);
});

test('with --connect hears the greeting of each endpoint, and ends with 4 when none greets', async () => {
  const path = await configFile(`<domain *>
    smtp-hosts 127.0.0.1:${sink.port};127.7.7.7:1
  </domain>`);
  const { code, out } = await resolve('r.test', '--config', path, '--connect');
  expect(code).toBe(0);
  expect(out.at(-2)).toMatch(/^ {2}1 {2}127\.0\.0\.1 {2}127\.0\.0\.1:\d+ +220 /);
  const closed = await configFile('<domain *>\nsmtp-hosts 127.7.7.7:1\n</domain>');
  const refused = await resolve('r.test', '--config', closed, '--connect');
  expect(refused.code).toBe(4);
  expect(refused.out.at(-1)).toMatch(/127\.7\.7\.7:1 +ECONNREFUSED$/);
});

test.each([['-x'], ['a..b'], ['192.0.2.1']])('%s is no domain', async (argument) => {
  expect((await resolve(argument)).code).toBe(64);
});
