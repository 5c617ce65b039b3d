import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  accountingCount,
  accountingOf,
  Daemon,
  type LaunchOptions,
  makeSite,
  type Site,
  waitUntil,
} from '../ledger/daemon.ts';
import { Injector, type InjectorOptions } from '../ledger/injector.ts';
import { Ledger, repeatedCount, type Submission, type Violation } from '../ledger/ledger.ts';
import { Sink, type SinkOptions } from '../ledger/sink.ts';
import { type CrashOrder, faultsFile, faultyFile, firedFile, orderVariable } from './order.ts';

/** Built from preload.ts by scripts/test.mjs; rounds run in the project's root. */
const preload = pathToFileURL(resolve('dist/crashPreload.js')).href;

/** Outcomes that may wait for their sync (architecture 1, promise 2), and deliveries whose reply was on its way. */
const unsyncedOutcomes = 256;
const connectionsOut = 20;
const drainMaxMs = 120_000;
/** More than an engine is given to finish. */
const stopMaxMs = 40_000;
export const reachMaxMs = 60_000;

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

export interface StageOptions {
  readonly judge?: SinkOptions['judge'];
  readonly acctLines?: readonly string[];
  readonly domainLines?: readonly string[];
  readonly parentFolder?: string;
}

/** Daemon, sink, load and ledger of one round, over all its deaths. */
export class Stage {
  readonly ledger = new Ledger();
  readonly site: Site;
  /** For orders and what comes of them; never on the disk under test. */
  readonly #folder: string;
  readonly #sink: Sink;
  readonly #launched: Daemon[] = [];
  #injector: Injector | undefined;
  #isOver = false;
  /** Deaths by our hand, of one process or of all. */
  kills = 0;
  /** What else is to be said of the round. */
  readonly notes: string[] = [];
  /** What is to be cleared away when everything has ended. */
  readonly afterEnd: (() => void)[] = [];

  private constructor(site: Site, sink: Sink, folder: string, ledger: Ledger) {
    this.site = site;
    this.#sink = sink;
    this.#folder = folder;
    this.ledger = ledger;
  }

  static async set(options: StageOptions = {}): Promise<Stage> {
    const ledger = new Ledger();
    const sink = await Sink.start({ receptions: ledger.receptions, judge: options.judge ?? someTrouble });
    const domainLines = [`max-smtp-out ${connectionsOut}`, ...(options.domainLines ?? [])];
    const site = await makeSite({ ...options, sinkPort: sink.port, domainLines });
    const folder = await mkdtemp(join(tmpdir(), 'penstock-crash-'));
    return new Stage(site, sink, folder, ledger);
  }

  get daemon(): Daemon {
    return this.#launched.at(-1)!;
  }

  /** Of terminal rows. */
  async rows(): Promise<number> {
    return (await accountingOf(this.site)).filter(({ type }) => type !== 't').length;
  }

  get stored(): number {
    return this.toldCount('stored');
  }

  toldCount(what: Submission['told']): number {
    return this.ledger.submissions.filter(({ told }) => told === what).length;
  }

  /** Operations of the daemon's that failed, by our hand or the disk's own. */
  get faults(): number {
    return statSync(join(this.#folder, faultsFile), { throwIfNoEntry: false })?.size ?? 0;
  }

  launch(order: Omit<CrashOrder, 'folder'> = {}, through: LaunchOptions['through'] = []): Daemon {
    if (this.#isOver) throw new Error('the round was ended');
    rmSync(join(this.#folder, firedFile), { force: true });
    const environment = {
      NODE_OPTIONS: `--import=${preload}`,
      [orderVariable]: JSON.stringify({ ...order, folder: this.#folder } satisfies CrashOrder),
    };
    const daemon = Daemon.launch(this.site, { environment, through });
    this.#launched.push(daemon);
    return daemon;
  }

  async start(order: Omit<CrashOrder, 'folder'> = {}, through: LaunchOptions['through'] = []): Promise<void> {
    await this.launch(order, through).greeted();
  }

  async kill(): Promise<void> {
    this.kills += 1;
    await this.daemon.kill();
  }

  /** From the sink's side; the daemon's processes see the order of kills as fulfilled. */
  strike(who: 'group' | 'supervisor'): void {
    writeFileSync(join(this.#folder, firedFile), '');
    process.kill(who === 'group' ? -this.daemon.pid : this.daemon.pid, 'SIGKILL');
  }

  get hasFired(): boolean {
    return existsSync(join(this.#folder, firedFile));
  }

  setFaulty(isFaulty: boolean): void {
    if (isFaulty) writeFileSync(join(this.#folder, faultyFile), '');
    else rmSync(join(this.#folder, faultyFile), { force: true });
  }

  /** Until it is ended; what is under way goes on. */
  load(options: Partial<InjectorOptions> = {}): void {
    this.#injector ??= new Injector({
      submissions: this.ledger.submissions,
      port: this.site.ports[0]!,
      connections: 20,
      recipientsPerMessage: 2,
      ...options,
    });
  }

  async endLoad(): Promise<void> {
    await this.#injector?.stop();
    this.#injector = undefined;
  }

  /** Ends the load, waits until all is accounted for, stops, compares. Everything found wrong, one line each. */
  async settle(): Promise<readonly string[]> {
    await this.endLoad();
    const { ledger, site } = this;
    const began = performance.now();
    const isDrained = await waitUntil(async () => {
      try {
        if ((await accountingCount(site)) < this.stored) return false;
        ledger.accounting = await accountingOf(site);
      } catch {
        // A file was moved between being listed and being read.
        return false;
      }
      const open = ledger.violations({ owed: 0, repeated: Number.POSITIVE_INFINITY });
      return !open.some(({ promise }) => promise === 'stored mail ends in a terminal row');
    }, drainMaxMs);
    this.notes.push(`drained in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    const exitCode = await Promise.race([this.daemon.stop(), sleep(stopMaxMs).then(() => 'not at all')]);
    ledger.accounting = await accountingOf(site);
    const violations = this.violations();
    const log = await readFile(join(site.folder, 'penstock.log'), 'utf8').catch(() => '');
    // An engine whose supervisor dies while it begins to listen ends in EPIPE: it would have ended anyway.
    const crashes = log
      .split('\n')
      .filter((line) => line.includes('"engine.crashed"') && !line.includes('"write EPIPE"'));
    return [
      ...(isDrained ? [] : [`not drained within ${drainMaxMs / 1000} s`]),
      ...(exitCode === 0 ? [] : [`the daemon stopped with ${exitCode}; it said: ${this.daemon.said}`]),
      ...violations.map(({ promise, recipient, detail }) => `${recipient}: not kept: ${promise} (${detail})`),
      ...crashes.map((line) => `an engine crashed: ${line.slice(0, 500)}`),
    ];
  }

  /** Recipients stored and not accounted for by now. */
  async lost(): Promise<number> {
    this.ledger.accounting = await accountingOf(this.site);
    const lost = 'stored mail ends in a terminal row';
    return this.violations().filter(({ promise }) => promise === lost).length;
  }

  violations(): readonly Violation[] {
    const repeated = this.kills * (unsyncedOutcomes + connectionsOut * 2);
    return this.ledger.violations({ owed: 0, repeated });
  }

  get repeated(): number {
    return repeatedCount(this.ledger);
  }

  /** Leaves nothing running; the site goes unless it is wanted. */
  async end(keepsSite: boolean): Promise<void> {
    this.#isOver = true;
    await this.#injector?.stop(0);
    // Also those that are dead: an engine may have outlived its supervisor.
    for (const daemon of this.#launched) await daemon.kill();
    await this.#sink.stop();
    if (!keepsSite) await this.site.remove();
    for (const after of this.afterEnd) after();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Some deferrals and refusals, so that a crash finds recipients in every state. */
export function someTrouble(stage: 'mail' | 'rcpt' | 'dot', recipient: string, nth: number) {
  const kind = Number(/\d+/.exec(recipient)?.[0] ?? 0) % 50;
  if (stage === 'dot' && kind === 7 && nth === 0) return { reply: '451 4.7.1 later' };
  if (stage === 'rcpt' && kind === 13) return { reply: '550 5.1.1 no such user' };
  return undefined;
}
