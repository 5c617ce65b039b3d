import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect, onTestFinished, test } from 'vitest';
import { runPenstock, waitUntil } from '../ledger/daemon.ts';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'penstock-demo-e2e-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

type Row = Readonly<Record<string, string>>;

/** Of mail to the ISPs; reports to the senders have rows, too. */
async function rowsIn(path: string): Promise<readonly Row[]> {
  const rows = parse(await readFile(path, 'utf8'), { columns: true }) as Row[];
  return rows.filter(({ rcpt }) => !rcpt!.startsWith('bounces@'));
}

test('it ends by itself, with a table, and with both planted faults in the accounting file', async () => {
  const cwd = await folder();
  const { code, stdout, stderr } = await runPenstock(['demo', '--messages', '60', '--keep'], cwd, 25_000);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^ 1 s {2}\d+ of 60 in, \d+ delivered, /m);
  expect(stdout).toMatch(/^isp +address +sent +dlvd +bncd +dfrd +1st% /m);
  for (const isp of ['gmail', 'microsoft', 'yahoo']) {
    expect(stdout).toMatch(new RegExp(`^${isp} +127\\.0\\.0\\.22 +\\d+ `, 'm'));
  }
  expect(stdout).toMatch(/^60 sent, \d+ delivered, \d+ bounced, \d+ still waiting after \d+ s\.$/m);
  expect(stdout + stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
  expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  const made = (await readdir(join(cwd, 'var', 'demo'))).sort();
  expect(made).toEqual([expect.stringMatching(/^acct.*\.csv$/), 'demo.conf', 'penstock.log', 'spool']);

  const rows = await rowsIn(join(cwd, 'var', 'demo', made[0]!));
  expect(new Set(rows.map(({ type }) => type))).toEqual(new Set(['d', 'b', 't']));
  const first = new Map<string, Row>();
  for (const row of rows) if (!first.has(row.rcpt!)) first.set(row.rcpt!, row);
  expect(first.size).toBe(60);
  // Greylisting meets every address once, and most of so short a demo is over by then.
  const attempts = [...first.values()].filter(({ dsnDiag }) => !/Greylisted/.test(dsnDiag!));
  const rateOf = (of: readonly Row[]): number => of.filter(({ type }) => type === 't').length / of.length;
  const isBad = ({ dlvSourceIp }: Row): boolean => dlvSourceIp === '127.0.0.22';
  expect(rateOf(attempts.filter(isBad))).toBeGreaterThan(0.2);
  expect(rateOf(attempts.filter((row) => !isBad(row)))).toBeLessThan(0.1);

  const refused = rows.filter(({ dsnDiag }) => /5\.7\.26|5\.7\.515/.test(dsnDiag!));
  expect(refused.length).toBeGreaterThan(0);
  for (const row of refused) {
    expect(row).toMatchObject({ type: 'b', orig: 'bounces@deals.test', jobId: 'offers-48' });
  }
  expect(refused.every(({ dsnDiag }) => dsnDiag!.includes('deals.test'))).toBe(true);
});

test('it takes other ports and another folder where its own are in use', async () => {
  const cwd = await folder();
  const theirs = join(cwd, 'var', 'demo', 'spool');
  await mkdir(theirs, { recursive: true });
  for (const [port, host] of [
    [2526, '127.0.0.1'],
    [2600, '127.0.0.101'],
  ] as const) {
    const server = createServer();
    // In use by somebody else already: as good.
    server.on('error', () => undefined).listen(port, host);
    onTestFinished(() => void server.close());
  }
  const { code, stdout } = await runPenstock(['demo', '--messages', '5', '--json'], cwd, 25_000);
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ schema: 'penstock.demo/1', messages: 5, sent: 5, recipients: 5 });
  expect(report.delivered + report.bounced + report.waiting).toBe(5);
  expect(await rowsIn(report.acctFiles[0])).toHaveLength(5 + report.deferrals - report.waiting);
  expect(await readdir(theirs)).toEqual([]);
  onTestFinished(() => rm(dirname(report.configFile), { recursive: true }));
  const config = await readFile(report.configFile, 'utf8');
  expect(config).toMatch(/<smtp-listener 127\.0\.0\.1:\d+>/);
  expect(config).not.toMatch(/127\.0\.0\.1:2526|127\.0\.0\.101\]:2600/);
});

test('the configuration is shown without anything being made', async () => {
  const cwd = await folder();
  const { stdout } = await runPenstock(['demo', '--show-config'], cwd);
  expect(stdout).toContain('smtp-hosts [127.0.0.101]:2600');
  expect(await readdir(cwd)).toEqual([]);
});

test('interrupted, it ends with 130 and leaves nothing running', async () => {
  const cwd = await folder();
  const demo = spawn(process.execPath, [resolve('bin/penstock'), 'demo'], { cwd, stdio: 'pipe' });
  onTestFinished(() => void demo.kill('SIGKILL'));
  const ports = await portsOf(demo);
  demo.kill('SIGINT');
  const [code] = await once(demo, 'exit');
  expect(code).toBe(130);
  for (const port of ports) expect(await isAnswered(port)).toBe(false);
});

test('killed outright, its engine ends by itself', async () => {
  const cwd = await folder();
  const demo = spawn(process.execPath, [resolve('bin/penstock'), 'demo'], { cwd, stdio: 'pipe' });
  onTestFinished(() => void demo.kill('SIGKILL'));
  const [port] = await portsOf(demo);
  demo.kill('SIGKILL');
  expect(await waitUntil(async () => !(await isAnswered(port!)), 10_000)).toBe(true);
});

/** Said once it accepts mail. */
async function portsOf(demo: ChildProcess): Promise<readonly number[]> {
  let said = '';
  demo.stdout!.on('data', (data) => (said += data));
  await waitUntil(() => said.includes('meanwhile'), 20_000);
  const [, ports = ''] = /ports ([\d, ]+)/.exec(said) ?? [];
  return ports.split(', ').filter(Boolean).map(Number);
}

function isAnswered(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      answer(true);
    });
    socket.once('error', () => answer(false));
  });
}
