import type { Log } from '../base/ports.ts';
import type { Engine } from '../engine/engine.ts';
import type { EngineLife, MachineHost, MachineSetup } from './machineSetup.ts';
import type { EngineProcess } from './simulatedEngine.ts';
import { SupervisorProcess } from './simulatedSupervisor.ts';

/** How long the service manager waits before it starts the supervisor again. */
const serviceDelayMs = 1000;
const bootMs = 20_000;

/** The host Penstock runs on: its processes, who starts them again, and the ways they die. */
export class Machine implements MachineHost {
  readonly setup: MachineSetup;
  supervisor: SupervisorProcess | undefined;
  /** The one that lives; another may be ending, its supervisor dead. */
  readonly engines = new Set<EngineProcess>();
  /** Who holds the spool's lock. */
  lockedBy: EngineLife | undefined;
  crashes = 0;
  starts = 0;
  #isOff = false;

  constructor(setup: MachineSetup) {
    this.setup = setup;
  }

  /** The engine that serves, if any does. */
  get engine(): Engine | undefined {
    for (const { engine } of this.engines) if (engine !== undefined) return engine;
    return undefined;
  }

  start(): void {
    if (this.#isOff || this.supervisor !== undefined) return;
    this.starts += 1;
    this.setup.trace.note('supervisor.begin');
    const supervisor = new SupervisorProcess(this);
    this.supervisor = supervisor;
    supervisor.start();
  }

  /** An orderly stop, as by the service manager. */
  async stop(): Promise<void> {
    this.#isOff = true;
    await this.supervisor?.stop();
  }

  /** The engine process is killed alone. */
  killEngine(): boolean {
    const [engine] = this.engines;
    if (engine === undefined) return false;
    this.crashes += 1;
    this.setup.trace.note('crash.engine');
    engine.die();
    return true;
  }

  /** The supervisor is killed alone: the engine notices and ends. */
  killSupervisor(): boolean {
    const { supervisor } = this;
    if (supervisor === undefined) return false;
    this.crashes += 1;
    this.setup.trace.note('crash.supervisor');
    supervisor.die();
    return true;
  }

  /** Power goes, for everything, and comes again. */
  losePower(): void {
    this.crashes += 1;
    this.setup.trace.note('crash.power');
    this.#isOff = true;
    this.supervisor?.die();
    for (const engine of [...this.engines]) engine.die('powerLoss');
    this.setup.disk.powerLoss();
    this.setup.agenda.after(serviceDelayMs + this.setup.random.below(bootMs), () => {
      this.#isOff = false;
      this.start();
    });
  }

  /** For the supervisor: it is gone, and will be started again. */
  supervisorGone(gone: object): void {
    if (this.supervisor !== gone) return;
    this.supervisor = undefined;
    this.setup.agenda.after(serviceDelayMs + this.setup.random.below(2000), () => this.start());
  }

  log(name: string): Log {
    const { trace } = this.setup;
    return {
      write: (_level, event, fields) => trace.note('log', `${name} ${event} ${JSON.stringify(fields)}`),
    };
  }
}
