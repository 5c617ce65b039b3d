import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { StatusReport } from '../../src/control/reports.ts';
import {
  accountingCount,
  accountingOf,
  accountingRecords,
  type CommandResult,
  Daemon,
  type LaunchOptions,
  makeSite,
  runPenstock,
  type Site,
  type SiteOptions,
  waitUntil,
} from '../ledger/daemon.ts';
import { Injector, type InjectorOptions } from '../ledger/injector.ts';
import { type Allowed, Ledger, nothingAllowed, type Violation } from '../ledger/ledger.ts';
import { Sink, type SinkOptions } from '../ledger/sink.ts';

export interface SceneOptions extends Omit<SiteOptions, 'sinkPort'> {
  readonly judge?: SinkOptions['judge'];
  /** Keep what arrives, byte for byte. */
  readonly keepsContents?: boolean;
  /** Where all mail goes instead of to the scene's sink. */
  readonly sinkPort?: number;
}

const drainMaxMs = 20_000;

/** Daemon, sink and ledger of one test; they end with it, whatever becomes of it. */
export class Scene {
  readonly ledger = new Ledger();
  /** As they arrived at the sink, by recipient. */
  readonly contents = new Map<string, Buffer[]>();
  readonly site: Site;
  readonly sink: Sink;
  daemon!: Daemon;
  readonly #started: Daemon[] = [];

  private constructor(site: Site, sink: Sink, ledger: Ledger, contents: Map<string, Buffer[]>) {
    this.site = site;
    this.sink = sink;
    this.ledger = ledger;
    this.contents = contents;
  }

  /** With the daemon not yet running. */
  static async set(options: SceneOptions = {}): Promise<Scene> {
    const ledger = new Ledger();
    const contents = new Map<string, Buffer[]>();
    const sink = await Sink.start({
      receptions: ledger.receptions,
      ...(options.keepsContents && { contents }),
      ...(options.judge && { judge: options.judge }),
    });
    onTestFinished(() => sink.stop());
    const site = await makeSite({ ...options, sinkPort: options.sinkPort ?? sink.port });
    const scene = new Scene(site, sink, ledger, contents);
    onTestFinished(() => scene.#end());
    return scene;
  }

  static async begin(options: SceneOptions = {}): Promise<Scene> {
    const scene = await Scene.set(options);
    await scene.start();
    return scene;
  }

  async start(options: LaunchOptions = {}): Promise<void> {
    await this.launch(options).greeted();
  }

  /** Starts it without waiting for anything. */
  launch(options: LaunchOptions = {}): Daemon {
    this.daemon = Daemon.launch(this.site, options);
    this.#started.push(this.daemon);
    return this.daemon;
  }

  get port(): number {
    return this.site.ports[0]!;
  }

  /** Sends to its end; without a limit of messages until `stop`. */
  inject(options: Partial<Omit<InjectorOptions, 'submissions'>> = {}): Injector {
    const injector = new Injector({
      submissions: this.ledger.submissions,
      port: this.port,
      connections: 5,
      ...options,
    });
    onTestFinished(() => injector.stop(0));
    return injector;
  }

  /** Waits until every stored recipient has its terminal row. */
  async drained(maxMs = drainMaxMs): Promise<boolean> {
    const { submissions } = this.ledger;
    return waitUntil(async () => {
      const stored = submissions.reduce((count, { told }) => count + (told === 'stored' ? 1 : 0), 0);
      if ((await accountingCount(this.site)) < stored) return false;
      this.ledger.accounting = await accountingOf(this.site);
      return this.ledger
        .violations({ owed: 0, repeated: Number.POSITIVE_INFINITY })
        .every(({ promise }) => promise !== 'stored mail ends in a terminal row');
    }, maxMs);
  }

  /** Drains, stops the daemon and compares the three sides: what is said of a promise not kept. */
  async settle(allowed: Allowed = nothingAllowed): Promise<readonly Violation[]> {
    await this.drained();
    const code = await this.daemon.stop();
    if (code !== 0) throw new Error(`the daemon ended with ${code}; it said:\n${this.daemon.said}`);
    this.ledger.accounting = await accountingOf(this.site);
    return this.ledger.violations(allowed);
  }

  rows(): Promise<Record<string, string | undefined>[]> {
    return accountingRecords(this.site);
  }

  /** The rows of one recipient, in the order they were written. */
  async rowsOf(recipient: string): Promise<Record<string, string | undefined>[]> {
    return (await this.rows()).filter(({ rcpt }) => rcpt === recipient);
  }

  penstock(...args: string[]): Promise<CommandResult> {
    return runPenstock([...args, '--config', this.site.configFile], this.site.folder);
  }

  async status(): Promise<StatusReport> {
    const { stdout } = await this.penstock('status', '--json');
    return JSON.parse(stdout) as StatusReport;
  }

  /** The service log so far, of the events named, or of all. */
  async log(event?: string): Promise<Record<string, unknown>[]> {
    const text = await readFile(join(this.site.folder, 'penstock.log'), 'utf8').catch(() => '');
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    const entries = lines.filter((line) => line !== '').map((line) => JSON.parse(line));
    return entries.filter((entry) => event === undefined || entry.event === event);
  }

  /** The process ids of all engines that were started, oldest first. */
  async enginePids(): Promise<number[]> {
    return (await this.log('engine.started')).map(({ pid }) => pid as number);
  }

  async #end(): Promise<void> {
    // An engine whose supervisor was killed is in the same process group.
    for (const daemon of this.#started) await daemon.kill();
    await this.site.remove();
  }
}
