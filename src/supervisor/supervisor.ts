import { resolve } from 'node:path';
import { systemClock } from '../base/node/clock.ts';
import { systemDigest } from '../base/node/digest.ts';
import { systemDisk } from '../base/node/disk.ts';
import { systemLog } from '../base/node/log.ts';
import type { Log } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import { compileDomainSettings } from '../config/domainSettings.ts';
import { controlSocketPath } from '../control/controlSocket.ts';
import type { QueueListReport, StatusReport } from '../control/reports.ts';
import { type ControlHandler, type ControlServer, serveControl } from '../control/server.ts';
import type { BatchPosition } from '../message/batchPosition.ts';
import { splitQueueName } from '../message/names.ts';
import { EngineChild } from './engineChild.ts';
import { Recording } from './recording.ts';

export interface SupervisorOptions {
  readonly config: Config;
  /** undefined: the embedded default. */
  readonly configFile: string | undefined;
  readonly version: string;
}

export interface Supervisor {
  /** Stops engines, then the recorder, then control. */
  stop(reason: string): Promise<void>;
  /** The exit code, once everything has ended. */
  readonly finished: Promise<number>;
}

/** How long an engine may take to finish; then it is killed and its spool recovered at the next start. */
const engineStopMaxMs = 20_000;
const restartDelayMs = { first: 1000, last: 30_000 };
/** An engine that lived this long starts the delays over. */
const healthyMs = 60_000;

/** Starts everything and resolves once mail is accepted; rejects with the system's code when it cannot. */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const supervisor = new RunningSupervisor(options);
  await supervisor.start();
  return supervisor;
}

class RunningSupervisor implements Supervisor {
  readonly finished: Promise<number>;
  readonly #options: SupervisorOptions;
  readonly #log: Log & { flush(): void };
  readonly #clock = systemClock();
  readonly #startedMs = this.#clock.wallMs();
  readonly #engines: SupervisedEngine[] = [];
  #recording!: Recording;
  #control: ControlServer | undefined;
  #finish!: (code: number) => void;
  #isStopping = false;
  #ending: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#log = systemLog({ file: options.config.logFile.value, level: 'info' });
    this.finished = new Promise((resolveFinished) => {
      this.#finish = resolveFinished;
    });
  }

  async start(): Promise<void> {
    const { config } = this.#options;
    const disk = systemDisk();
    const spool = resolve(config.spools[0]!.value);
    const ports = { disk, clock: this.#clock, digest: systemDigest(), log: this.#log };
    try {
      await disk.makeFolder(spool);
      // First of all: a second supervisor of the same spool ends here, before it touches anything.
      this.#control = await serveControl(controlSocketPath(config).path, this.#handlers());
      this.#recording = await Recording.open(ports, config, `${spool}/cursors`, (positions) => {
        for (const engine of this.#engines) engine.recorded(positions.get(engine.name));
      });
      for (const number of await engineNumbers(disk, spool, config.engines.value)) {
        const engine = new SupervisedEngine(number, spool, this.#options, this.#recording, this.#log);
        if (this.#isStopping) throw new Error('stopped while it started');
        this.#engines.push(engine);
        await engine.start();
      }
    } catch (error) {
      await this.#end();
      throw error;
    }
    this.#log.write('info', 'supervisor.started', { config: config.file, pid: process.pid });
  }

  async stop(reason: string): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#log.write('info', 'supervisor.stopping', { reason });
    await this.#end();
    this.#log.write('info', 'supervisor.stopped');
    this.#log.flush();
    this.#finish(0);
  }

  /** Once, whoever asks for it: a stop may come while the start fails. */
  #end(): Promise<void> {
    this.#ending ??= this.#endAll();
    return this.#ending;
  }

  async #endAll(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.stop()));
    await this.#recording?.close();
    await this.#control?.close();
  }

  #handlers(): ReadonlyMap<string, ControlHandler> {
    return new Map<string, ControlHandler>([
      ['status', () => this.#status()],
      ['queue.list', () => this.#queueList()],
      [
        'stop',
        () => {
          void this.stop('control');
          return { schema: 'penstock.stop/1', stopping: true, pid: process.pid };
        },
      ],
    ]);
  }

  async #status(): Promise<StatusReport> {
    const { config, version } = this.#options;
    const reports = (await Promise.all(this.#engines.map((engine) => engine.report()))).filter(
      (report) => report !== undefined,
    );
    const sum = (of: (report: (typeof reports)[number]) => number): number =>
      reports.reduce((total, report) => total + of(report), 0);
    return {
      schema: 'penstock.status/1',
      version,
      pid: process.pid,
      startedMs: this.#startedMs,
      uptimeMs: this.#clock.wallMs() - this.#startedMs,
      configFile: config.file,
      durability: config.durability.value,
      listeners: config.listeners.map(({ address, port }, index) => ({
        address,
        port,
        connections: sum((report) => report.listeners[index]?.connections ?? 0),
        acceptedTotal: sum((report) => report.listeners[index]?.acceptedTotal ?? 0),
        refusedTotal: sum((report) => report.listeners[index]?.refusedTotal ?? 0),
        messagesTotal: sum((report) => report.listeners[index]?.messagesTotal ?? 0),
      })),
      spool: {
        folder: resolve(config.spools[0]!.value),
        messages: sum(({ messages }) => messages),
        recipients: sum(({ recipients }) => recipients),
        segments: sum(({ segments }) => segments),
        unsyncedOutcomes: sum(({ unsyncedOutcomes }) => unsyncedOutcomes),
      },
      queues: {
        queues: sum(({ queues }) => queues),
        recipients: sum(({ recipients }) => recipients),
        deliveredTotal: sum(({ outcomes }) => outcomes.deliveredTotal),
        failedTotal: sum(({ outcomes }) => outcomes.failedTotal),
        deferredTotal: sum(({ outcomes }) => outcomes.deferredTotal),
      },
      outgoingConnections: sum(({ outgoingConnections }) => outgoingConnections),
      acctFiles: config.acctFiles.map(({ path }) => ({ path: resolve(path) })),
    };
  }

  async #queueList(): Promise<QueueListReport> {
    const settingsFor = compileDomainSettings(this.#options.config);
    const nowMs = this.#clock.wallMs();
    const all = (await Promise.all(this.#engines.map((engine) => engine.queues()))).flat();
    return {
      schema: 'penstock.queueList/1',
      queues: all.map(({ name, recipients, inDelivery, connections, retryInMs, lastError }) => {
        const { domain, vmta } = splitQueueName(name);
        return {
          name,
          recipients,
          inDelivery,
          connections,
          connectionsMax: settingsFor(domain, vmta).maxSmtpOut.value,
          nextTryMs: retryInMs > 0 ? nowMs + retryInMs : undefined,
          lastError,
        };
      }),
    };
  }
}

/** The configured engines, and those whose folders still hold mail of a larger configuration. */
async function engineNumbers(
  disk: { list(folder: string): Promise<readonly string[]> },
  spool: string,
  configured: number,
): Promise<readonly number[]> {
  const numbers = new Set(Array.from({ length: configured }, (_, i) => i + 1));
  for (const name of await disk.list(spool)) {
    const match = /^engine-(\d+)$/.exec(name);
    if (match !== null) numbers.add(Number(match[1]));
  }
  return [...numbers].sort((a, b) => a - b);
}

/** One engine over its lives: started again when it dies, with growing delays. */
class SupervisedEngine {
  readonly name: string;
  readonly #folder: string;
  readonly #accepts: boolean;
  readonly #options: SupervisorOptions;
  readonly #recording: Recording;
  readonly #log: Log;
  #child: EngineChild | undefined;
  #restart: NodeJS.Timeout | undefined;
  #delayMs = restartDelayMs.first;
  #hasStarted = false;
  #isStopping = false;

  constructor(number: number, spool: string, options: SupervisorOptions, recording: Recording, log: Log) {
    this.name = `engine-${number}`;
    this.#folder = `${spool}/${this.name}`;
    this.#accepts = number <= options.config.engines.value;
    this.#options = options;
    this.#recording = recording;
    this.#log = log;
    recording.feed(this.name, this.#folder);
  }

  async start(): Promise<void> {
    const startedMs = performance.now();
    const child = new EngineChild({
      published: (watermark) => this.#recording.published(this.name, watermark),
      exited: (expected) => {
        // What it published before an orderly end is all there is, and is recorded yet.
        if (!expected) this.#recording.engineGone(this.name);
        this.#child = undefined;
        if (this.#isStopping || !this.#hasStarted) return;
        if (performance.now() - startedMs > healthyMs) this.#delayMs = restartDelayMs.first;
        this.#log.write('error', 'engine.died', { engine: this.name, expected, restartInMs: this.#delayMs });
        this.#restart = setTimeout(() => {
          this.start().catch(({ code, message }) =>
            this.#log.write('error', 'engine.notStarted', { engine: this.name, code, message }),
          );
        }, this.#delayMs);
        this.#delayMs = Math.min(this.#delayMs * 2, restartDelayMs.last);
      },
    });
    this.#child = child;
    await child.start({
      config: this.#options.config,
      spoolFolder: this.#folder,
      recorded: this.#recording.readThrough(this.name),
      accepts: this.#accepts,
    });
    this.#hasStarted = true;
    this.#log.write('info', 'engine.started', { engine: this.name, pid: child.pid });
  }

  recorded(position: BatchPosition | undefined): void {
    if (position !== undefined) this.#child?.tell({ kind: 'recorded', position });
  }

  report(): ReturnType<EngineChild['report']> {
    return this.#child?.report() ?? Promise.resolve(undefined);
  }

  queues(): ReturnType<EngineChild['queues']> {
    return this.#child?.queues() ?? Promise.resolve([]);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    await this.#child?.stop(engineStopMaxMs);
  }
}
