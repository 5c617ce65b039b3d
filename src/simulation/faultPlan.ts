import type { Agenda } from './agenda.ts';
import type { Fault } from './diskFaults.ts';
import type { FaultClass, FaultMix, PainfulMoment } from './faultMix.ts';
import type { Machine } from './machine.ts';
import { engineName, spoolRoot } from './machineSetup.ts';
import type { WallTime } from './processClock.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedDisk } from './simulatedDisk.ts';
import type { SimulatedNet } from './simulatedNet.ts';
import { machineAddress, type WorldConfig } from './worldConfig.ts';

export interface FaultPlanSetup {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly mix: FaultMix;
  readonly machine: Machine;
  readonly disk: SimulatedDisk;
  readonly net: SimulatedNet;
  readonly wall: WallTime;
  readonly config: WorldConfig;
}

const diskFaults: readonly { readonly of: FaultClass; readonly faults: readonly Fault[] }[] = [
  { of: 'disk.write', faults: ['write'] },
  { of: 'disk.sync', faults: ['sync', 'sync', 'sync'] },
  { of: 'disk.folder', faults: ['syncFolder', 'list'] },
  { of: 'disk.open', faults: ['open', 'unlink'] },
  { of: 'disk.read', faults: ['read'] },
];

/** What happens to disk, machine and clock in the phase of faults, and when. */
export class FaultPlan {
  readonly #setup: FaultPlanSetup;
  readonly #faults: readonly Fault[];
  readonly #painfulLeft: Record<PainfulMoment, number>;
  #isOver = false;
  /** Stuck or full disks, partitions, steps of the clock. */
  spells = 0;
  /** Of the wall clock, all added up without their signs. */
  wallStepsMs = 0;

  constructor(setup: FaultPlanSetup) {
    const { on, painfulCrashes } = setup.mix;
    this.#setup = setup;
    this.#faults = diskFaults.flatMap(({ of, faults }) => (on.has(of) ? faults : []));
    this.#painfulLeft = { ...painfulCrashes };
  }

  begin(): void {
    const { mix, random, disk } = this.#setup;
    const { on, faultsMs, diskFaultEveryMs } = mix;
    if (on.has('disk.slow')) disk.pace = { usualMs: mix.diskMs, slowOneIn: 20, slowMs: 200 };
    if (this.#faults.length > 0) this.#every(diskFaultEveryMs, () => this.#failDisk());
    if (on.has('disk.stuck')) this.#every(faultsMs / 3, () => this.#stick());
    if (on.has('disk.full')) this.#every(faultsMs / 3, () => this.#fill());
    if (on.has('partition')) this.#every(faultsMs / 4, () => this.#partition());
    if (on.has('wall')) this.#every(faultsMs / 3, () => this.#stepWall());
    if (on.has('operator')) this.#every(faultsMs / 6, () => this.#operate());
    for (let crash = 0; crash < mix.crashes; crash++) {
      this.#at(random.below(faultsMs), () => this.#crash());
    }
  }

  /** Nothing begins any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Crashes come most often where they hurt. */
  sawDisk(kind: string, path: string, result: string): void {
    if (this.#isOver) return;
    const moment = momentOf(kind, path, result);
    const { mix, random } = this.#setup;
    if (moment === undefined || this.#painfulLeft[moment] === 0 || !random.chance(mix.painRate)) return;
    this.#painfulLeft[moment] -= 1;
    const delayMs = random.oneIn(2) ? random.below(1000) / 1000 : random.below(200);
    this.#at(delayMs, () => this.#crash());
  }

  #crash(): void {
    const { mix, random, machine } = this.#setup;
    const kinds = (['crash.engine', 'crash.supervisor', 'crash.power'] as const).filter((kind) =>
      mix.on.has(kind),
    );
    const kind = kinds.length === 0 ? 'crash.engine' : random.pick(kinds);
    if (kind === 'crash.engine') machine.killEngine();
    else if (kind === 'crash.supervisor') machine.killSupervisor();
    else machine.losePower();
    // What starts again meets a disk that is still not well, or the next crash.
    if (this.#faults.length > 0 && random.chance(mix.sickStartRate)) this.#failDisk();
    if (random.chance(mix.pairRate)) this.#at(random.below(5000), () => this.#crash());
  }

  #failDisk(): void {
    const { mix, random, disk } = this.#setup;
    const under = random.chance(mix.spoolFaultRate) ? `${spoolRoot}/${engineName}` : '/';
    disk.fail(random.pick(this.#faults), random.oneIn(4) ? 1 + random.below(10) : 1, under);
  }

  #stick(): void {
    const { agenda, random, disk } = this.#setup;
    this.spells += 1;
    disk.stickUntil(agenda.nowMs + random.below(12_000));
  }

  #fill(): void {
    const { random, disk } = this.#setup;
    this.spells += 1;
    disk.capacityBytes = disk.usedBytes + random.below(40_000);
    this.#at(random.below(30_000), () => {
      disk.capacityBytes = Number.POSITIVE_INFINITY;
    });
  }

  #partition(): void {
    const { random, net, config } = this.#setup;
    const { vmtas, domains } = config;
    this.spells += 1;
    if (random.oneIn(3)) net.partition('10.9.0.1', machineAddress);
    else net.partition(random.pick(vmtas).address, random.pick(random.pick(domains).addresses));
    this.#at(random.below(120_000), () => net.heal());
  }

  #stepWall(): void {
    const { random, wall } = this.#setup;
    this.spells += 1;
    const byMs = random.below(20_000) - 10_000;
    wall.steppedMs += byMs;
    this.wallStepsMs += Math.abs(byMs);
  }

  /** Pauses, resumes and deletes, all of a queue or what is some seconds old. */
  #operate(): void {
    const { random, machine, config } = this.#setup;
    const operations = machine.engine?.operations;
    const selector = random.oneIn(4) ? '*' : `${random.pick(config.domains).name}/*`;
    const command = random.pick(['pause', 'resume', 'delete'] as const);
    if (operations === undefined) return;
    this.spells += 1;
    if (command !== 'delete') {
      void operations.setPause(selector, command === 'pause');
      return;
    }
    const rcpt = random.oneIn(2) ? '*1@*' : undefined;
    const olderThanMs = random.below(2) * 5000;
    void operations.delete({ selector, olderThanMs, rcpt, orig: undefined, job: undefined, isTrial: false });
  }

  #every(meanMs: number, run: () => void): void {
    const { random } = this.#setup;
    this.#at(random.below(2 * meanMs), () => {
      run();
      this.#every(meanMs, run);
    });
  }

  #at(delayMs: number, run: () => void): void {
    this.#setup.agenda.after(delayMs, () => {
      if (!this.#isOver) run();
    });
  }
}

function momentOf(kind: string, path: string, result: string): PainfulMoment | undefined {
  if (result !== '') return result === 'ENOENT' ? undefined : 'failure';
  if (kind === 'makeFolder') return path === '/spool' ? undefined : 'recovery';
  if (kind === 'open' || kind === 'writeSynced') return path.endsWith('1.segment') ? 'segment' : undefined;
  if (kind === 'unlink') return path.endsWith('.segment') ? 'unlink' : undefined;
  return kind === 'rename' ? 'cursor' : undefined;
}
