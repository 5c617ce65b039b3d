import { ensureFolder } from '../accounting/acctCursor.ts';
import { Recording } from '../engine/recording.ts';
import type { BatchPosition, Watermark } from '../message/batchPosition.ts';
import { engineName, type MachineHost, spoolRoot } from './machineSetup.ts';
import { Pipe } from './pipe.ts';
import { ProcessClock } from './processClock.ts';
import type { ProcessDisk } from './simulatedDisk.ts';
import { EngineProcess, type EngineWord } from './simulatedEngine.ts';

// As the real supervisor's.
const restartDelayMs = { first: 1000, last: 30_000 };
const healthyMs = 60_000;

/** One life of the supervisor's process: it records, and keeps an engine running. */
export class SupervisorProcess {
  readonly clock: ProcessClock;
  readonly #machine: MachineHost;
  readonly #disk: ProcessDisk;
  #recording: Recording | undefined;
  #engine: EngineProcess | undefined;
  #fromEngine: Pipe<EngineWord> | undefined;
  #delayMs = restartDelayMs.first;
  #lastWatermark: Watermark | undefined;
  #hasStarted = false;
  #isStopping = false;
  #isDead = false;
  #engineGone: (() => void) | undefined;

  constructor(machine: MachineHost) {
    const { agenda, wall, disk } = machine.setup;
    this.#machine = machine;
    this.clock = new ProcessClock(agenda, wall);
    this.#disk = disk.process();
  }

  start(): void {
    this.#open().catch((error: Error & { code?: string }) => {
      if (this.#isDead) return;
      this.#machine.log('supervisor').write('error', 'supervisor.notStarted', { code: error.code });
      // What has no system's code is a bug of ours.
      if (error.code === undefined) this.#machine.setup.watch.bug(error);
      this.die();
    });
  }

  /** The engine first, then what it published is recorded. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#engine !== undefined) {
      const gone = new Promise<void>((resolve) => {
        this.#engineGone = resolve;
      });
      this.#engine.fromSupervisor.send({ kind: 'stop' });
      await gone;
    }
    await this.#recording?.close();
    this.die();
  }

  die(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.clock.kill();
    this.#disk.kill();
    this.#fromEngine?.cut();
    const engine = this.#engine;
    // It finds its pipe closed.
    if (engine !== undefined) engine.clock.soon(() => engine.orphaned());
    this.#machine.supervisorGone(this);
  }

  async #open(): Promise<void> {
    const { config, digest, mistake } = this.#machine.setup;
    const disk = mistake.recorderDisk?.(this.#disk) ?? this.#disk;
    const ports = {
      disk,
      clock: this.clock,
      digest: mistake.digest ?? digest,
      log: this.#machine.log('supervisor'),
    };
    await ensureFolder(disk, spoolRoot);
    this.#recording = await Recording.open(ports, config, `${spoolRoot}/cursors`, (positions) => {
      this.#recorded(positions.get(engineName));
    });
    this.#recording.feed(engineName, `${spoolRoot}/${engineName}`);
    this.#startEngine();
  }

  #recorded(position: BatchPosition | undefined): void {
    if (position === undefined) return;
    const told = this.#machine.setup.mistake.recorded?.(position) ?? position;
    this.#engine?.fromSupervisor.send({ kind: 'recorded', position: told });
  }

  #startEngine(): void {
    if (this.#isDead || this.#isStopping) return;
    const { agenda, random } = this.#machine.setup;
    const startedMs = this.clock.monotonicMs();
    let saidStopped = false;
    const fromEngine = new Pipe<EngineWord>(agenda, random, (word) => {
      if (word.kind === 'published') this.#published(word.watermark);
      else if (word.kind === 'started') this.#hasStarted = true;
      else if (word.kind === 'stopped') saidStopped = true;
    });
    const engine = new EngineProcess(this.#machine, fromEngine, () => {
      // What it wrote last is read before its end is noticed.
      this.clock.after(5, () => {
        fromEngine.cut();
        this.#exited(saidStopped, startedMs);
      });
    });
    this.#fromEngine = fromEngine;
    this.#engine = engine;
    engine.start(this.#recording!.readThrough(engineName)).catch((error: unknown) => {
      if (!engine.isDead) this.#machine.setup.watch.bug(error);
    });
  }

  #published(watermark: Watermark): void {
    const { mistake } = this.#machine.setup;
    this.#lastWatermark = watermark;
    this.#recording!.published(engineName, mistake.watermark?.(watermark) ?? watermark);
  }

  #exited(expected: boolean, startedMs: number): void {
    const { afterDeath } = this.#machine.setup.mistake;
    if (!expected) this.#recording!.engineGone(engineName);
    if (!expected && afterDeath !== undefined && this.#lastWatermark !== undefined) {
      this.#recording!.published(engineName, afterDeath(this.#lastWatermark));
    }
    this.#engine = undefined;
    this.#engineGone?.();
    if (this.#isStopping) return;
    // The first start of all decides whether the supervisor can start.
    if (!this.#hasStarted) {
      this.die();
      return;
    }
    if (this.clock.monotonicMs() - startedMs > healthyMs) this.#delayMs = restartDelayMs.first;
    this.clock.after(this.#delayMs, () => this.#startEngine());
    this.#delayMs = Math.min(this.#delayMs * 2, restartDelayMs.last);
  }
}
