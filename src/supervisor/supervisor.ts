import { resolve } from 'node:path';
import { ensureFolder } from '../accounting/acctCursor.ts';
import { systemClock } from '../base/node/clock.ts';
import { systemDigest } from '../base/node/digest.ts';
import { systemDisk } from '../base/node/disk.ts';
import { openLog, type SystemLog } from '../base/node/log.ts';
import type { Disk } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import { askControl } from '../control/client.ts';
import { controlSocketPath } from '../control/controlSocket.ts';
import type { QuarantineListReport, QuarantineReleaseReport, StatusReport } from '../control/reports.ts';
import { type ControlHandler, type ControlServer, serveControl } from '../control/server.ts';
import { ControlRefusal } from '../control/wire.ts';
import { Recording } from '../engine/recording.ts';
import { parseMessageId } from '../message/messageId.ts';
import { statusReport } from './daemonReports.ts';
import type { Answers, Question } from './engineMessages.ts';
import { operatingHandlers } from './operating.ts';
import { type EngineAnswer, quarantineListReport, quarantineReleaseReport } from './quarantineReports.ts';
import { SupervisedEngine } from './supervisedEngine.ts';

export interface SupervisorOptions {
  readonly config: Config;
  /** undefined: the embedded default. */
  readonly configFile: string | undefined;
  readonly version: string;
  /** For who watches the start. */
  notice(text: string): void;
}

/** Another daemon has this spool. */
export interface AlreadyRunning {
  readonly kind: 'alreadyRunning';
  readonly socket: string;
  /** undefined: it did not say. */
  readonly pid: number | undefined;
}

/** Of messages that are held: a list is read by people. */
const listedMax = 1000;

/** How long another daemon may take to tell its pid. */
const pidAnswerMaxMs = 6000;

/** Claims control, then starts everything; ends it all when told, at whatever point it is. */
export class Supervisor {
  /** The exit code, once everything has ended after `stop`. */
  readonly finished: Promise<number>;
  readonly #options: SupervisorOptions;
  readonly #clock = systemClock();
  readonly #disk = systemDisk();
  readonly #spool: string;
  readonly #startedMs = this.#clock.wallMs();
  readonly #engines: SupervisedEngine[] = [];
  #log: SystemLog | undefined;
  #recording: Recording | undefined;
  #control: ControlServer | undefined;
  #finish!: (code: number) => void;
  #isStopping = false;
  #ending: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#spool = resolve(options.config.spools[0]!.value);
    this.finished = new Promise((resolveFinished) => {
      this.#finish = resolveFinished;
    });
  }

  /**
   * Takes the control socket. First of all: a second supervisor of the same spool ends here, before it
   * touches anything. Rejects with the system's code when the socket cannot be made.
   */
  async claim(): Promise<AlreadyRunning | undefined> {
    const socket = controlSocketPath(this.#options.config).path;
    await ensureFolder(this.#disk, this.#spool);
    try {
      this.#control = await serveControl(socket, this.#handlers());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      const answer = await askControl(socket, 'status', {}, pidAnswerMaxMs);
      const pid = answer.kind === 'answered' ? (answer.result as Partial<StatusReport>).pid : undefined;
      return { kind: 'alreadyRunning', socket, pid };
    }
    if (this.#isStopping) await this.#control.close();
    return undefined;
  }

  /** True once mail is accepted, false when a stop came first; rejects with the system's code when it cannot. */
  async start(): Promise<boolean> {
    try {
      await this.#startAll();
    } catch (error) {
      await this.abandon();
      // What ends because it was told to has not failed.
      if (!this.#isStopping) throw error;
    }
    return !this.#isStopping;
  }

  /** Stops engines, then the recorder, then control. */
  async stop(reason: string): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#log?.write('info', 'supervisor.stopping', { reason });
    await this.abandon();
    this.#log?.write('info', 'supervisor.stopped');
    this.#log?.flush();
    this.#finish(0);
  }

  /** Ends what was started. Once, whoever asks for it: a stop may come while the start fails. */
  abandon(): Promise<void> {
    this.#ending ??= this.#endAll();
    return this.#ending;
  }

  async #startAll(): Promise<void> {
    const { config, notice } = this.#options;
    const log = await openLog({ file: config.logFile.value, level: 'info' });
    if ('kind' in log) throw Object.assign(new Error(`the log: ${log.message}`), { code: log.code });
    this.#log = log;
    if (this.#isStopping) return;
    const ports = { disk: this.#disk, clock: this.#clock, digest: systemDigest(), log };
    const recording = await Recording.open(ports, config, `${this.#spool}/cursors`, (positions) => {
      for (const engine of this.#engines) engine.recorded(positions.get(engine.name));
    });
    if (this.#isStopping) return recording.close();
    this.#recording = recording;
    const around = { config, recording, clock: this.#clock, log, notice };
    const configured = config.engines.value;
    for (const number of await engineNumbers(this.#disk, this.#spool, configured)) {
      this.#engines.push(new SupervisedEngine(number, this.#spool, number <= configured, around));
    }
    for (const engine of this.#engines) {
      if (this.#isStopping) return;
      await engine.start();
    }
    log.write('info', 'supervisor.started', { config: config.file, pid: process.pid });
  }

  async #endAll(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.stop()));
    await this.#recording?.close();
    await this.#control?.close();
  }

  #handlers(): ReadonlyMap<string, ControlHandler> {
    return new Map<string, ControlHandler>([
      ['status', () => this.#status()],
      ...operatingHandlers({
        config: this.#options.config,
        clock: this.#clock,
        askEngines: (question) => this.#askEngines(question),
      }),
      ['quarantine.list', () => this.#quarantineList()],
      ['quarantine.release', ({ id, all }) => this.#quarantineRelease(id, all === true)],
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
    const { config, configFile, version } = this.#options;
    const views = await Promise.all(this.#engines.map((engine) => engine.view()));
    const nowMs = this.#clock.wallMs();
    const facts = { config, configFile, version, pid: process.pid, startedMs: this.#startedMs, nowMs };
    return statusReport(facts, views);
  }

  async #quarantineList(): Promise<QuarantineListReport | ControlRefusal> {
    const asked = await this.#askEngines({ about: 'quarantined', messagesMax: listedMax });
    return asked instanceof ControlRefusal ? asked : quarantineListReport(asked, listedMax);
  }

  async #quarantineRelease(text: unknown, all: boolean): Promise<QuarantineReleaseReport | ControlRefusal> {
    const id = typeof text === 'string' ? parseMessageId(text) : undefined;
    if ((id === undefined) !== all) return new ControlRefusal('BAD_OPTIONS', 'it takes a message id, or all');
    const asked = await this.#askEngines({ about: 'release', id });
    if (asked instanceof ControlRefusal) return asked;
    for (const { state, answer } of asked) {
      if (answer === undefined || answer.messages === 0) continue;
      this.#log?.write('info', 'quarantine.released', { engine: state.name, id: text, ...answer });
    }
    return quarantineReleaseReport(asked);
  }

  /** Each engine's answer; undefined where it gave none. */
  async #askEngines<Q extends Question>(
    question: Q,
  ): Promise<readonly EngineAnswer<Answers[Q['about']]>[] | ControlRefusal> {
    if (this.#engines.length === 0) return new ControlRefusal('STARTING', 'it has no engine yet');
    return Promise.all(
      this.#engines.map(async (engine) => {
        const answer = await engine.ask(question);
        return { answer, state: (await engine.view()).state };
      }),
    );
  }
}

/** The configured engines, and those whose folders still hold mail of a larger configuration. */
async function engineNumbers(disk: Disk, spool: string, configured: number): Promise<readonly number[]> {
  const numbers = new Set(Array.from({ length: configured }, (_, i) => i + 1));
  for (const name of await disk.list(spool)) {
    const match = /^engine-(\d+)$/.exec(name);
    if (match !== null) numbers.add(Number(match[1]));
  }
  return [...numbers].sort((a, b) => a - b);
}
