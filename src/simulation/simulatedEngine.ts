import type { Disk, Net } from '../base/ports.ts';
import { Engine, type EngineFailure } from '../engine/engine.ts';
import type { BatchPosition, Watermark } from '../message/batchPosition.ts';
import { recover } from '../spool/recovery.ts';
import { engineName, type MachineHost, spoolRoot } from './machineSetup.ts';
import { Pipe } from './pipe.ts';
import { ProcessClock } from './processClock.ts';
import { SeededRandom } from './seededRandom.ts';
import type { ProcessDisk } from './simulatedDisk.ts';
import type { SimulatedDnsHost } from './simulatedDns.ts';
import type { SimulatedHost } from './simulatedNet.ts';

/** What the engine's process tells the supervisor's. */
export type EngineWord =
  | { readonly kind: 'started' }
  | { readonly kind: 'failed'; readonly code: string }
  | { readonly kind: 'published'; readonly watermark: Watermark }
  | { readonly kind: 'stopped' };

/** And the other way. */
export type SupervisorWord =
  | { readonly kind: 'recorded'; readonly position: BatchPosition }
  | { readonly kind: 'stop' };

// As the real process' (supervisor/engineProcess.ts, spoolLock.ts).
const watermarkDelayMs = 20;
const orphanGraceMs = 2000;
const lockMaxMs = 15_000;
const lockLookMs = 20;

/** One life of the engine's process: what supervisor/engineProcess.ts does, on simulated ports. */
export class EngineProcess {
  /** While it serves, and while it stops. */
  engine: Engine | undefined;
  readonly clock: ProcessClock;
  readonly fromSupervisor: Pipe<SupervisorWord>;
  readonly #machine: MachineHost;
  readonly #disk: ProcessDisk;
  readonly #net: SimulatedHost;
  readonly #dns: SimulatedDnsHost;
  readonly #toSupervisor: Pipe<EngineWord>;
  readonly #exited: () => void;
  #watermark: Watermark | undefined;
  #isDead = false;
  #isEnding = false;

  constructor(machine: MachineHost, toSupervisor: Pipe<EngineWord>, exited: () => void) {
    const { agenda, random, wall, disk, net, dns, addresses } = machine.setup;
    this.#machine = machine;
    this.#toSupervisor = toSupervisor;
    this.#exited = exited;
    this.#disk = disk.process();
    this.#net = net.host('engine', addresses);
    this.#dns = dns.host();
    this.clock = new ProcessClock(agenda, wall);
    this.fromSupervisor = new Pipe(agenda, random, (word) => this.#obey(word));
    machine.engines.add(this);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  async start(recorded: BatchPosition): Promise<void> {
    const { config, spoolSizes, digest, random, mistake } = this.#machine.setup;
    if (!(await this.#lock())) return this.#fail('EBUSY');
    const ports = {
      clock: this.clock,
      random: new SeededRandom(random.u32()),
      disk: this.#seenDisk(),
      net: this.#watchedNet(mistake.engineNet?.(this.#net) ?? this.#net),
      dns: mistake.engineDns?.(this.#dns) ?? this.#dns,
      digest: mistake.digest ?? digest,
      log: this.#machine.log('engine'),
    };
    const started: Engine | EngineFailure = await Engine.start(ports, {
      config,
      spoolFolder: `${spoolRoot}/${engineName}`,
      recorded,
      accepts: true,
      spoolSizes,
      parts: { ...mistake.parts, recover: (...given) => this.#recover(...given) },
      published: (watermark) => this.#published(watermark),
    });
    if (this.#isEnding) return;
    if (!(started instanceof Engine)) {
      const isOurs = started.code === 'damaged' || started.code === 'version';
      if (isOurs) this.#machine.setup.watch.bug(new Error(started.message));
      return this.#fail(started.code);
    }
    this.engine = started;
    this.#toSupervisor.send({ kind: 'started' });
  }

  /** The supervisor is gone: stop accepting, publish what there is, leave. */
  orphaned(): void {
    void this.#end(orphanGraceMs);
  }

  /** At once: nothing of it is called any more, and its operations are torn. */
  die(how: 'killed' | 'powerLoss' = 'killed'): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#isEnding = true;
    this.#machine.setup.watch.dying(this);
    this.engine = undefined;
    this.clock.kill();
    this.fromSupervisor.cut();
    this.#net.crash(how);
    this.#dns.crash();
    this.#disk.kill();
    this.#machine.engines.delete(this);
    if (this.#machine.lockedBy === this) this.#machine.lockedBy = undefined;
    this.#exited();
  }

  #obey(word: SupervisorWord): void {
    if (word.kind === 'recorded') this.engine?.recorded(word.position);
    else void this.#end();
  }

  async #end(graceMs?: number): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    await this.engine?.stop(graceMs);
    this.#tellWatermark();
    this.#toSupervisor.send({ kind: 'stopped' });
    this.die();
  }

  /** This disk loses nothing that was synced: no recovery may find damage. */
  async #recover(...given: Parameters<typeof recover>): ReturnType<typeof recover> {
    const { mistake, watch } = this.#machine.setup;
    const recovered = await (mistake.parts?.recover ?? recover)(...given);
    if (recovered.kind === 'recovered' && (recovered.damages.length > 0 || recovered.isCutShort)) {
      const { damages, isCutShort } = recovered;
      watch.bug(new Error(`recovery found damage: ${JSON.stringify({ damages, isCutShort })}`));
    }
    return recovered;
  }

  /** Tells when connections are tried and fail: that is when a queue has to wait. */
  #watchedNet(net: Net): Net {
    const { watch } = this.#machine.setup;
    return {
      listen: (at, accept) => net.listen(at, accept),
      connect: (options, opened, events) => {
        let isOpen = false;
        watch.connecting(options);
        return net.connect(
          options,
          (connection) => {
            isOpen = true;
            opened(connection);
          },
          {
            received: (bytes) => events.received(bytes),
            ended: () => events.ended(),
            drained: () => events.drained(),
            closed: (error) => {
              if (!isOpen) watch.connectFailed(options);
              events.closed(error);
            },
          },
        );
      },
    };
  }

  #seenDisk(): Disk {
    const { engineDisk } = this.#machine.setup.mistake;
    if (engineDisk === undefined) return this.#disk;
    let isRecovering = true;
    const watched: Disk = {
      ...this.#disk,
      open: (path, how, mode) => {
        if (how === 'create') isRecovering = false;
        return this.#disk.open(path, how, mode);
      },
    };
    return engineDisk(watched, () => isRecovering);
  }

  /** flock(1) waits for a predecessor that is still ending. */
  async #lock(): Promise<boolean> {
    const untilMs = this.clock.monotonicMs() + lockMaxMs;
    while (this.#machine.lockedBy !== undefined) {
      if (this.clock.monotonicMs() > untilMs) return false;
      await new Promise<void>((resolve) => void this.clock.after(lockLookMs, resolve));
    }
    this.#machine.lockedBy = this;
    return true;
  }

  #fail(code: string): void {
    this.#toSupervisor.send({ kind: 'failed', code });
    this.die();
  }

  #published(watermark: Watermark): void {
    if (this.#watermark === undefined) this.clock.after(watermarkDelayMs, () => this.#tellWatermark());
    this.#watermark = watermark;
  }

  #tellWatermark(): void {
    if (this.#watermark !== undefined) {
      this.#toSupervisor.send({ kind: 'published', watermark: this.#watermark });
    }
    this.#watermark = undefined;
  }
}
