import type { ConnectOptions, Digest, Log } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import type { Engine } from '../engine/engine.ts';
import type { SpoolSizes } from '../spool/frame.ts';
import type { Agenda } from './agenda.ts';
import type { Mistake } from './mistake.ts';
import type { WallTime } from './processClock.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedDisk } from './simulatedDisk.ts';
import type { SimulatedDns } from './simulatedDns.ts';
import type { SimulatedNet } from './simulatedNet.ts';
import type { Trace } from './trace.ts';

/** One life of the engine's process, as others see it. */
export interface EngineLife {
  /** While it serves, and while it stops. */
  readonly engine: Engine | undefined;
}

/** What the processes of a machine need of it. */
export interface MachineHost {
  readonly setup: MachineSetup;
  /** The one that lives; another may be ending, its supervisor dead. */
  readonly engines: Set<EngineLife>;
  /** Who holds the spool's lock. */
  lockedBy: EngineLife | undefined;
  log(name: string): Log;
  /** The supervisor is gone, and will be started again. */
  supervisorGone(gone: object): void;
}

export interface MachineSetup {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  readonly net: SimulatedNet;
  readonly dns: SimulatedDns;
  readonly digest: Digest;
  readonly trace: Trace;
  readonly config: Config;
  readonly spoolSizes: SpoolSizes;
  readonly wall: WallTime;
  /** The machine's own addresses. */
  readonly addresses: readonly string[];
  readonly mistake: Mistake;
  readonly watch: MachineWatch;
}

/** What the judge hears of the machine. */
export interface MachineWatch {
  /** A process met a broken promise of our own code. */
  bug(error: unknown): void;
  /** Before anything of it is gone. An orderly end is one, too. */
  dying(life: EngineLife): void;
  /** A connection to a remote is tried; it came to nothing. */
  connecting(options: ConnectOptions): void;
  connectFailed(options: ConnectOptions): void;
}

export const spoolRoot = '/spool';
export const engineName = 'engine-1';
