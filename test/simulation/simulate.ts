/**
 * Seeds of the whole engine in simulation, on all cores. See docs/simulation.md.
 * The last line is "N passed, N failed".
 */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { faultClasses, mixText } from '../../src/simulation/faultMix.ts';
import type { SeedReport } from '../../src/simulation/world.ts';
import { mistakes, oneSeed, type SeedOrder } from './oneSeed.ts';
import { StrayErrors } from './strayErrors.ts';

const workerWord = 'seeds';
const eventsShown = 60;

/** What crosses to the parent. */
interface SeedLine
  extends Pick<SeedReport, 'seed' | 'events' | 'faults' | 'crashes' | 'recipients' | 'virtualMs'> {
  readonly failure: string | undefined;
}

interface Sums {
  seeds: number;
  recipients: number;
  faults: number;
  events: number;
  virtualMs: number;
  failed: number;
}

/** `--seeds N` (200), `--seed S` (from there on; alone: that one), `--shrink`, `--mistake NAME`. */
export async function simulate(args: readonly string[]): Promise<{ passed: number; failed: number }> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      shrink: { type: 'boolean', default: false },
      mistake: { type: 'string' },
      events: { type: 'string', default: String(eventsShown) },
    },
  });
  if (values.mistake !== undefined && mistakes[values.mistake] === undefined) {
    console.log(`mistakes:\n  ${Object.keys(mistakes).join('\n  ')}`);
    return { passed: 0, failed: 1 };
  }
  const first = Number(values.seed ?? 1);
  const count = Number(values.seeds ?? (values.seed === undefined ? 200 : 1));
  const named = values.mistake === undefined ? {} : { mistake: values.mistake };
  const failures: SeedLine[] = [];
  const sums = await runAll(first, count, named, failures);
  failures.sort((a, b) => a.seed - b.seed);
  const [worst] = failures;
  if (worst !== undefined) {
    const stray = new StrayErrors();
    stray.listen();
    const order: SeedOrder = { seed: worst.seed, ...named };
    const smallest = values.shrink ? await shrink(order, stray) : order;
    explain(await oneSeed({ ...smallest, keepsTrace: true }, stray), Number(values.events));
  }
  return { passed: sums.seeds - sums.failed, failed: sums.failed };
}

/** Every worker takes the next seed when it is done with one. */
async function runAll(
  first: number,
  count: number,
  named: Pick<SeedOrder, 'mistake'>,
  failures: SeedLine[],
): Promise<Sums> {
  const sums: Sums = { seeds: 0, recipients: 0, faults: 0, events: 0, virtualMs: 0, failed: 0 };
  let next = first;
  const startedMs = performance.now();
  const shown = setInterval(() => console.log(progress(sums, startedMs)), 5000);
  const give = (worker: ChildProcess): void => {
    if (next < first + count) worker.send({ seed: next++, isTwice: true, ...named } satisfies SeedOrder);
    else worker.disconnect();
  };
  const workers = Array.from({ length: Math.min(count, availableParallelism()) }, () => {
    const worker = fork(fileURLToPath(import.meta.url), [workerWord]);
    worker.on('message', (line: SeedLine) => {
      sums.seeds += 1;
      for (const key of ['recipients', 'faults', 'events', 'virtualMs'] as const) sums[key] += line[key];
      if (line.failure !== undefined) {
        sums.failed += 1;
        failures.push(line);
        console.log(`seed ${line.seed}: ${line.failure}`);
      }
      give(worker);
    });
    give(worker);
    return new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  });
  await Promise.all(workers);
  clearInterval(shown);
  // A worker that died took its seed along.
  sums.failed += count - sums.seeds;
  sums.seeds = count;
  console.log(progress(sums, startedMs));
  return sums;
}

function progress({ seeds, recipients, faults, events, virtualMs }: Sums, startedMs: number): string {
  const seconds = (performance.now() - startedMs) / 1000;
  const perSecond = (value: number): string => Math.round(value / seconds).toLocaleString('en');
  return (
    `${seeds} seeds, ${(virtualMs / 3_600_000).toFixed(0)} h simulated; a second: ` +
    `${(seeds / seconds).toFixed(1)} seeds, ${perSecond(recipients)} recipients, ` +
    `${perSecond(faults)} faults, ${perSecond(events)} events`
  );
}

/** Less and less of everything while the seed still fails. */
async function shrink(order: SeedOrder, stray: StrayErrors): Promise<SeedOrder> {
  let smallest = order;
  const stillFails = async (tried: SeedOrder): Promise<boolean> => {
    const fails = (await oneSeed(tried, stray)).violations.length > 0;
    if (fails) smallest = tried;
    return fails;
  };
  for (const one of faultClasses) {
    await stillFails({ ...smallest, off: new Set([...(smallest.off ?? []), one]) });
  }
  for (let messages = 100; messages >= 1; messages = Math.floor(messages / 2)) {
    if (!(await stillFails({ ...smallest, messages }))) break;
  }
  return smallest;
}

function explain(report: SeedReport, eventsMost: number): void {
  console.log(`seed ${report.seed} drew ${mixText(report.mix)}`);
  console.log(report.configText);
  console.log(report.lastLines.slice(report.lastLines.length - eventsMost).join('\n'));
  for (const { promise, detail } of report.violations) console.log(`broken: ${promise}: ${detail}`);
}

async function work(): Promise<void> {
  const stray = new StrayErrors();
  stray.listen();
  process.on('message', async (order: SeedOrder) => {
    const { violations, ...report } = await oneSeed(order, stray);
    const [first] = violations;
    const failure = first && `${first.promise}: ${first.detail.slice(0, 300)}`;
    const { seed, events, faults, crashes, recipients, virtualMs } = report;
    process.send?.({ seed, events, faults, crashes, recipients, virtualMs, failure } satisfies SeedLine);
  });
}

if (process.argv[2] === workerWord) await work();
