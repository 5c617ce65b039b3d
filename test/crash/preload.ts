/** Loaded into the daemon and its engines by `--import`: carries out the round's order. */
import cluster from 'node:cluster';
import { existsSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Passing, type Verdict, type Watcher, watchDoors, writeHalf } from './doors.ts';
import { type Moment, type Step, steps, type Victim, Watched } from './failpoints.ts';
import { faultsOf } from './faults.ts';
import { type CrashOrder, faultsFile, faultyFile, firedFile, orderVariable } from './order.ts';

/** Ours and those of the real disk alike. */
const faultCodes = new Set(['EIO', 'ENOSPC', 'EMFILE', 'ENFILE']);

const role = cluster.isWorker ? 'engine' : 'supervisor';

class Orders implements Watcher {
  readonly #order: CrashOrder;
  readonly #watched = new Watched();
  readonly #step: Step | undefined;
  #passings = 0;
  /** Opened now: there may be no descriptor left when it is wanted. */
  readonly #faults: number;
  readonly #verdictOn: ((passing: Passing) => Verdict | undefined) | undefined;

  constructor(order: CrashOrder) {
    this.#order = order;
    this.#faults = openSync(join(order.folder, faultsFile), 'a');
    const { kill, fault } = order;
    if (kill !== undefined && !existsSync(join(order.folder, firedFile))) {
      const step = steps[kill.step];
      if (step === undefined) throw new Error(`no step ${kill.step}`);
      if (step.role === role) this.#step = step;
    }
    if (fault !== undefined) this.#verdictOn = faultsOf(fault);
  }

  before(passing: Passing): Verdict | undefined {
    this.#watched.begun(passing);
    if (this.#step?.moment === 'before' || this.#step?.moment === 'torn') this.#strike(passing);
    return this.#fault(passing);
  }

  during(passing: Passing): void {
    if (this.#step?.moment === 'during') this.#strike(passing);
  }

  after(passing: Passing, code: string | undefined): void {
    if (code !== undefined && faultCodes.has(code)) {
      writeSync(this.#faults, '.');
    }
    if (code !== undefined) return;
    if (this.#step?.moment === 'after') this.#strike(passing);
    this.#watched.done(passing);
  }

  #strike(passing: Passing): void {
    const { kill, folder } = this.#order;
    const step = this.#step!;
    if (step.door !== passing.door || !step.isAt(passing, this.#watched.at(passing))) return;
    this.#passings += 1;
    if (this.#passings !== kill!.nth) return;
    if (step.moment === ('torn' satisfies Moment)) writeHalf(passing);
    writeFileSync(join(folder, firedFile), kill!.step);
    strikeDown(kill!.victim);
  }

  #fault(passing: Passing): Verdict | undefined {
    const { folder } = this.#order;
    if (this.#verdictOn === undefined || passing.socket !== undefined) return undefined;
    if (!existsSync(join(folder, faultyFile))) return undefined;
    return this.#verdictOn(passing);
  }
}

function strikeDown(victim: Victim): void {
  if (victim === 'group') process.kill(0, 'SIGKILL');
  else if (victim === role) process.kill(process.pid, 'SIGKILL');
  else if (role === 'engine') process.kill(process.ppid, 'SIGKILL');
  else for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
}

function bendClock(jumps: NonNullable<CrashOrder['clock']>): void {
  const trueNow = Date.now;
  const offsetMs = (): number => jumps.findLast(({ afterMs }) => performance.now() >= afterMs)?.offsetMs ?? 0;
  Date.now = () => trueNow() + offsetMs();
}

const order = JSON.parse(process.env[orderVariable]!) as CrashOrder;
if (order.clock !== undefined) bendClock(order.clock);
await watchDoors(new Orders(order));
