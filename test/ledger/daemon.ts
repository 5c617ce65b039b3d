import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
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
  /** Where all mail goes; undefined: where DNS says. */
  readonly sinkPort?: number;
  readonly listeners?: number;
  /** How each is written; default: PowerMTA's line. */
  readonly listener?: (port: number, index: number) => string;
  /** More configuration, behind the rest. */
  readonly extra?: string;
  /** Senders are told of failures; otherwise only submitted mail comes to the sink. */
  readonly tellsSenders?: boolean;
  /** Where its folder is made; default: the system's folder for such. */
  readonly parentFolder?: string;
  /** More lines for the `<source 127.0.0.1>`, the `<domain *>` and the `<acct-file>` block. */
  readonly sourceLines?: readonly string[];
  readonly domainLines?: readonly string[];
  readonly acctLines?: readonly string[];
}

/** The least configuration that relays from this machine to a sink and accounts for it. */
export async function makeSite(options: SiteOptions): Promise<Site> {
  const folder = await mkdtemp(join(options.parentFolder ?? tmpdir(), 'penstock-site-'));
  const ports = await freePorts(options.listeners ?? 1);
  const configFile = join(folder, 'config');
  await mkdir(join(folder, 'acct'));
  await writeFile(
    configFile,
    [
      'postmaster postmaster@penstock.test',
      'host-name penstock.test',
      ...ports.map(options.listener ?? ((port) => `smtp-listener 127.0.0.1:${port}`)),
      `spool ${join(folder, 'spool')}`,
      `log-file ${join(folder, 'penstock.log')}`,
      '<source 127.0.0.1>',
      '  always-allow-relaying yes',
      '  smtp-service yes',
      `  suppress-local-dsn ${options.tellsSenders === true ? 'no' : 'yes'}`,
      ...indented(options.sourceLines),
      '</source>',
      `<acct-file ${join(folder, 'acct', 'acct.csv')}>`,
      '  records d,b,t',
      ...indented(options.acctLines),
      '</acct-file>',
      '<virtual-mta vmta1>',
      '  smtp-source-host 127.0.0.1 vmta1.penstock.test',
      '</virtual-mta>',
      '<domain *>',
      ...indented(options.sinkPort === undefined ? [] : [`smtp-hosts [127.0.0.1]:${options.sinkPort}`]),
      '  retry-after 1s',
      '  retry-recipients-after 1s',
      ...indented(options.domainLines),
      '</domain>',
      options.extra ?? '',
      '',
    ].join('\n'),
  );
  return { folder, configFile, ports, remove: () => rm(folder, { recursive: true, force: true }) };
}

function indented(lines: readonly string[] = []): string[] {
  return lines.map((line) => `  ${line}`);
}

/** Every row of every accounting file of the site, read by a parser that is not ours. */
export async function accountingOf(site: Site): Promise<AccountingRow[]> {
  return (await accountingRecords(site)).map((record) => ({ type: record.type!, recipient: record.rcpt! }));
}

export async function accountingRecords(site: Site): Promise<Record<string, string | undefined>[]> {
  const texts = await accountingTexts(site);
  return texts.flatMap((text) => parse(text, { columns: true }) as Record<string, string>[]);
}

/** How many rows there are; far cheaper than to read them. */
export async function accountingCount(site: Site): Promise<number> {
  let lines = 0;
  for (const text of await accountingTexts(site)) {
    lines -= 1;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
  }
  return lines;
}

/** Each file's whole lines: the last one may be half written while the daemon runs. */
async function accountingTexts(site: Site): Promise<string[]> {
  const folder = join(site.folder, 'acct');
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.csv')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.map((text) => text.slice(0, text.lastIndexOf('\n') + 1)).filter((text) => text !== '');
}

export interface LaunchOptions {
  /** More variables than ours. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A command that becomes or runs the one behind it. */
  readonly through?: readonly string[];
}

/** A running Penstock, in a process group of its own. */
export class Daemon {
  readonly #child: ChildProcess;
  readonly #site: Site;
  /** Its standard output and error, for messages. */
  said = '';

  private constructor(child: ChildProcess, site: Site) {
    this.#child = child;
    this.#site = site;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    }
  }

  /** Resolves once every listener of the site greets. */
  static async start(site: Site): Promise<Daemon> {
    const daemon = Daemon.launch(site);
    await daemon.greeted();
    return daemon;
  }

  /** Just started: nothing works yet. */
  static launch(site: Site, { environment = {}, through = [] }: LaunchOptions = {}): Daemon {
    const [program, ...args] = [...through, process.execPath, penstock, 'run', '--config', site.configFile];
    const child = spawn(program!, args, {
      cwd: site.folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    return new Daemon(child, site);
  }

  /** Resolves once every listener of the site greets; rejects when it ends before. */
  async greeted(): Promise<void> {
    const endMs = Date.now() + startMaxMs;
    for (const port of this.#site.ports) {
      while (!(await greets(port))) {
        if (this.hasEnded) throw this.#failure('ended at once');
        if (Date.now() > endMs) {
          await this.kill();
          throw this.#failure(`no greeting within ${startMaxMs} ms`);
        }
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** From now on nobody reads what it says. */
  deafen(): void {
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  /** SIGTERM, and its exit code; undefined when a signal ended it. */
  stop(): Promise<number | undefined> {
    this.#child.kill('SIGTERM');
    return this.ended();
  }

  /** kill -9 for supervisor and engines alike: nobody gets to say goodbye. */
  async kill(): Promise<void> {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
    await this.ended();
  }

  /** kill -9 for the supervisor alone. */
  async killSupervisor(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  /** Its exit code once it has ended; undefined when a signal did it. */
  async ended(): Promise<number | undefined> {
    if (!this.hasEnded) await once(this.#child, 'exit');
    return this.#child.exitCode ?? undefined;
  }

  #failure(what: string): Error {
    return new Error(`the daemon ${what}; it said:\n${this.said}`);
  }
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `penstock` with these arguments to its end; it is killed after `maxMs`, and the code is null. */
export async function runPenstock(
  args: readonly string[],
  cwd: string,
  maxMs = 20_000,
): Promise<CommandResult> {
  const child = spawn(process.execPath, [penstock, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: maxMs,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code, stdout, stderr };
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

/**
 * Ports nobody listens on at this moment, all different. Below the range from which the kernel takes
 * the local ports of connections, so that none of those has one when the daemon comes back to it.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
