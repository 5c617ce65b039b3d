import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { AccountingRow } from './ledger.ts';

/** Tests run in the project's root; where this file lies depends on who bundled it. */
const penstock = resolve('bin/penstock');
const startMaxMs = 30_000;

/** A folder of its own with configuration, spool and accounting, that outlives the daemon's deaths. */
export interface Site {
  readonly folder: string;
  readonly configFile: string;
  /** One a listener, all on 127.0.0.1. */
  readonly ports: readonly number[];
  remove(): Promise<void>;
}

export interface SiteOptions {
  /** Where all mail goes. */
  readonly sinkPort: number;
  readonly listeners?: number;
  /** More configuration, behind the rest. */
  readonly extra?: string;
  /** More lines for the `<domain *>` block. */
  readonly domainLines?: readonly string[];
}

/** The least configuration that relays from this machine to a sink and accounts for it. */
export async function makeSite(options: SiteOptions): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-site-'));
  const ports = await freePorts(options.listeners ?? 1);
  const configFile = join(folder, 'config');
  await mkdir(join(folder, 'acct'));
  await writeFile(
    configFile,
    [
      'postmaster postmaster@penstock.test',
      'host-name penstock.test',
      ...ports.map((port) => `smtp-listener 127.0.0.1:${port}`),
      `spool ${join(folder, 'spool')}`,
      `log-file ${join(folder, 'penstock.log')}`,
      '<source 127.0.0.1>',
      '  always-allow-relaying yes',
      '  smtp-service yes',
      '</source>',
      `<acct-file ${join(folder, 'acct', 'acct.csv')}>`,
      '  records d,b,t',
      '</acct-file>',
      '<virtual-mta vmta1>',
      '  smtp-source-host 127.0.0.1 vmta1.penstock.test',
      '</virtual-mta>',
      '<domain *>',
      `  smtp-hosts [127.0.0.1]:${options.sinkPort}`,
      '  retry-after 1s',
      '  retry-recipients-after 1s',
      ...(options.domainLines ?? []).map((line) => `  ${line}`),
      '</domain>',
      options.extra ?? '',
      '',
    ].join('\n'),
  );
  return { folder, configFile, ports, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Every row of every accounting file of the site, read by a parser that is not ours. */
export async function accountingOf(site: Site): Promise<AccountingRow[]> {
  return (await accountingRecords(site)).map((record) => ({ type: record.type!, recipient: record.rcpt! }));
}

export async function accountingRecords(site: Site): Promise<Record<string, string | undefined>[]> {
  const folder = join(site.folder, 'acct');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.csv')).sort();
  const all = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8');
      // The last line may be half written while the daemon runs.
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      return parse(whole, { columns: true }) as Record<string, string>[];
    }),
  );
  return all.flat();
}

/** A running Penstock, in a process group of its own. */
export class Daemon {
  readonly #child: ChildProcess;
  /** Its standard output and error, for messages. */
  said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    }
  }

  /** Resolves once every listener of the site greets. */
  static async start(site: Site): Promise<Daemon> {
    const child = spawn(process.execPath, [penstock, 'run', '--config', site.configFile], {
      cwd: site.folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const daemon = new Daemon(child);
    const endMs = Date.now() + startMaxMs;
    for (const port of site.ports) {
      while (!(await greets(port))) {
        if (child.exitCode !== null || child.signalCode !== null) throw daemon.#failure('ended at once');
        if (Date.now() > endMs) {
          await daemon.kill();
          throw daemon.#failure(`no greeting within ${startMaxMs} ms`);
        }
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
    return daemon;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** SIGTERM, and its exit code; undefined when a signal ended it. */
  stop(): Promise<number | undefined> {
    this.#child.kill('SIGTERM');
    return this.#ended();
  }

  /** kill -9 for supervisor and engines alike: nobody gets to say goodbye. */
  async kill(): Promise<void> {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
    await this.#ended();
  }

  async #ended(): Promise<number | undefined> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode ?? undefined;
  }

  #failure(what: string): Error {
    return new Error(`the daemon ${what}; it said:\n${this.said}`);
  }
}

/** Polls `isTrue` until it holds; false when the time is up. */
export async function waitUntil(isTrue: () => boolean | Promise<boolean>, maxMs: number): Promise<boolean> {
  for (const endMs = Date.now() + maxMs; ; ) {
    if (await isTrue()) return true;
    if (Date.now() > endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    const answer = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('data', (data) => answer(String(data).startsWith('220')));
    socket.once('error', () => answer(false));
    socket.once('close', () => answer(false));
  });
}

/** Ports nobody listens on at this moment, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const at = server.address();
    return at !== null && typeof at === 'object' ? at.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
