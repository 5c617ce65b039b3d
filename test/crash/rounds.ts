/**
 * Real crashes and real faults under load, again and again: the daemon is killed at the points where a
 * promise could break, or its disk, descriptors or clock fail, and at the end of each round what clients
 * were told, what the receiver got and what accounting says must agree. `--seed` repeats what is drawn,
 * not the machine's scheduling. A kill leaves the kernel's cache alone, so no round shows that a sync was
 * made: the simulated disk of src/spool/spool.crash.test.ts does.
 */
import { parseArgs } from 'node:util';
import { faultNames, playFault } from './faultRounds.ts';
import { playPoint, pointOf, pointSteps } from './pointRounds.ts';
import { mulberry32 } from './random.ts';
import { Stage, type StageOptions } from './stage.ts';

export interface RoundCounts {
  passed: number;
  failed: number;
}

interface Tally extends RoundCounts {
  kills: number;
  faults: number;
  repeated: number;
  skipped: number;
}

interface Plan {
  /** The point, or the fault. */
  readonly name: string;
  readonly step: string | undefined;
}

/**
 * `--rounds N` (60), `--points P4,P9` and `--faults eio,full` for those alone, `--minutes N`: begin no
 * round after that, `--seed N`.
 */
export async function runCrashRounds(args: readonly string[]): Promise<RoundCounts> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '60' },
      points: { type: 'string' },
      faults: { type: 'string' },
      minutes: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    },
  });
  const random = mulberry32(Number(values.seed));
  const endMs = Date.now() + Number(values.minutes) * 60_000;
  const plans = plansOf(values.points, values.faults, random);
  const tallies = new Map<string, Tally>();
  const rounds = Number(values.rounds);
  console.log(`crash rounds, seed ${values.seed}`);
  for (let round = 1; round <= rounds; round++) {
    if (Date.now() > endMs) {
      console.log(`the time is up: ${rounds - round + 1} rounds were not begun`);
      break;
    }
    const plan = plans[(round - 1) % plans.length]!;
    const tally = tallies.get(plan.name) ?? newTally();
    tallies.set(plan.name, tally);
    await oneRound(round, plan, random, tally);
  }
  return summed(tallies);
}

/** Every point and fault once before any comes again, then each point with another of its steps. */
function plansOf(
  points: string | undefined,
  faults: string | undefined,
  random: () => number,
): readonly Plan[] {
  const isAll = points === undefined && faults === undefined;
  const pointNames = isAll ? [...new Set(pointSteps.map(pointOf))] : listed(points);
  const wantedFaults = isAll ? faultNames : listed(faults);
  const stepsOf = new Map(
    pointNames.map((name) => [
      name,
      shuffled(
        pointSteps.filter((step) => pointOf(step) === name),
        random,
      ),
    ]),
  );
  for (const [name, steps] of stepsOf) if (steps.length === 0) throw new Error(`no point ${name}`);
  for (const name of wantedFaults) if (!faultNames.includes(name)) throw new Error(`no fault ${name}`);
  const most = Math.max(1, ...[...stepsOf.values()].map((steps) => steps.length));
  return Array.from({ length: most }, (_, turn) => [
    ...[...stepsOf].map(([name, steps]) => ({ name, step: steps[turn % steps.length] })),
    ...wantedFaults.map((name) => ({ name, step: undefined })),
  ]).flat();
}

async function oneRound(
  round: number,
  { name, step }: Plan,
  random: () => number,
  tally: Tally,
): Promise<void> {
  let stage: Stage | undefined;
  const stageOf = async (options: StageOptions): Promise<Stage> => {
    stage = await Stage.set(options);
    return stage;
  };
  // The daemon is in a process group of its own: nobody else would end it, or unmount its disk.
  const leave = (): void => void stage?.end(false).finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, leave);
  const began = performance.now();
  let problems: readonly string[] | 'skipped';
  try {
    problems =
      step === undefined ? await playFault(name, random, stageOf) : await playPoint(step, random, stageOf);
  } catch (error) {
    problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
  const isClean = problems === 'skipped' || problems.length === 0;
  if (stage !== undefined) {
    tally.kills += stage.kills;
    tally.faults += stage.faults;
    tally.repeated += stage.repeated;
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(
      `round ${String(round).padStart(3)} ${(step ?? name).padEnd(14)} ${isClean ? 'ok' : 'FAILED'}: ` +
        `${counted(stage)}; ${seconds} s; ${stage.notes.join(', ')}`,
    );
  }
  if (problems === 'skipped') tally.skipped += 1;
  else if (isClean) tally.passed += 1;
  else {
    tally.failed += 1;
    for (const problem of problems.slice(0, 10)) console.log(`    ${problem}`);
    if (problems.length > 10) console.log(`    and ${problems.length - 10} more`);
    console.log(`    kept for a look: ${stage?.site.folder}`);
  }
  await stage?.end(!isClean);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, leave);
}

function counted(stage: Stage): string {
  return (
    `${stage.kills} kills, ${stage.faults} faults; recipients ${stage.stored} stored ` +
    `${stage.toldCount('unanswered')} unanswered ${stage.toldCount('refused')} refused ${stage.repeated} repeated`
  );
}

function summed(tallies: ReadonlyMap<string, Tally>): RoundCounts {
  const columns = ['passed', 'failed', 'skipped', 'kills', 'faults', 'repeated'] as const;
  const line = (name: string, cells: readonly (string | number)[]): string =>
    `${name.padEnd(10)}${cells.map((cell) => String(cell).padStart(10)).join('')}`;
  const all = newTally();
  console.log(line('', columns));
  for (const [name, tally] of tallies) {
    console.log(
      line(
        name,
        columns.map((column) => tally[column]),
      ),
    );
    for (const column of columns) all[column] += tally[column];
  }
  console.log(
    line(
      'all',
      columns.map((column) => all[column]),
    ),
  );
  return { passed: all.passed, failed: all.failed };
}

function newTally(): Tally {
  return { passed: 0, failed: 0, skipped: 0, kills: 0, faults: 0, repeated: 0 };
}

function listed(names: string | undefined): readonly string[] {
  return names === undefined || names === '' ? [] : names.split(',');
}

function shuffled<T>(all: readonly T[], random: () => number): readonly T[] {
  return all
    .map((one) => ({ one, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}
