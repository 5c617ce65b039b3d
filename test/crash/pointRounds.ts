import { waitUntil } from '../ledger/daemon.ts';
import type { SinkOptions } from '../ledger/sink.ts';
import { steps, type Victim } from './failpoints.ts';
import { reachMaxMs, type Stage, type StageOptions, sleep, someTrouble } from './stage.ts';

/** Every step of every point, and the moment that nobody chose. */
export const pointSteps: readonly string[] = ['random.moment', ...Object.keys(steps), 'P9.arrived'];

interface Setting {
  /** A first life without orders, killed at a random moment: what follows has something to recover. */
  readonly killsBefore?: true;
  readonly sizeBytes?: number;
  readonly acctLines?: readonly string[];
}

const large = { sizeBytes: 400_000 };
const killsBefore = true;
/** What a point, or one step of it, needs to be reached. */
const settings: Readonly<Record<string, Setting>> = {
  P2: { sizeBytes: 200_000 },
  // The least that PowerMTA's language allows.
  P13: { acctLines: ['max-size 1M', 'move-to acct/moved'] },
  // So that segments of 64 MiB fill within seconds.
  'P14.unmade': large,
  'P14.made': large,
  P14: { killsBefore },
  P17: { killsBefore },
};

export function pointOf(step: string): string {
  return step.slice(0, step.indexOf('.'));
}

/** Kills at this step, once or twice, with load and a restart behind each; what went wrong, one line each. */
export async function playPoint(
  step: string,
  random: () => number,
  stageOf: (options: StageOptions) => Promise<Stage>,
): Promise<readonly string[]> {
  const setting = settings[step] ?? settings[pointOf(step)] ?? {};
  const arrivals = new Arrivals();
  const stage = await stageOf({
    ...(setting.acctLines !== undefined && { acctLines: setting.acctLines }),
    ...(step === 'P9.arrived' && { judge: arrivals.judge }),
  });
  const load = (): void =>
    stage.load(setting.sizeBytes === undefined ? {} : { sizeBytes: setting.sizeBytes });
  if (setting.killsBefore) {
    await stage.start();
    load();
    await waitUntil(() => stage.stored > 50, reachMaxMs);
    await sleep(random() * 500);
    await stage.kill();
  }
  // P17: killed while it recovers, and again while it recovers from that.
  const kills = pointOf(step) === 'P17' ? 2 : 1 + Math.floor(random() * 2);
  for (let kill = 0; kill < kills; kill++) {
    if (kill > 0 && !stage.daemon.hasEnded) await stage.kill();
    const victim = step === 'random.moment' ? 'group' : victimOf(random());
    const nth = 1 + Math.floor(random() * (steps[step]?.nthMax ?? 60));
    stage.notes.push(`${victim} at ${nth}`);
    if (step === 'random.moment') {
      await stage.start();
      load();
      await sleep(100 + random() * 1500);
      await stage.kill();
    } else if (step === 'P9.arrived') {
      await stage.start();
      arrivals.await(nth, () => stage.strike(victim === 'supervisor' ? victim : 'group'));
    } else stage.launch({ kill: { step, nth, victim } });
    load();
    const problem = step === 'random.moment' ? undefined : await deathOf(stage, victim);
    if (problem !== undefined) return [problem];
  }
  if (stage.daemon.hasEnded) await stage.start();
  await sleep(200);
  return stage.settle();
}

/** Waits for the kill and for what follows it; the problem, if it does not come. */
async function deathOf(stage: Stage, victim: Victim): Promise<string | undefined> {
  const { daemon } = stage;
  await waitUntil(() => stage.hasFired || daemon.hasEnded, reachMaxMs);
  if (!stage.hasFired) return `the step was not reached; the daemon said: ${daemon.said}`;
  stage.kills += 1;
  // An engine is started again; when it died during the daemon's own start, the daemon gives up.
  if (victim === 'engine') await daemon.greeted().catch(() => daemon.kill());
  else await daemon.ended();
  return undefined;
}

function victimOf(chance: number): Victim {
  if (chance < 0.6) return 'group';
  return chance < 0.8 ? 'engine' : 'supervisor';
}

/** Counts the contents that arrive at the sink, for what is to happen at one of them. */
class Arrivals {
  #left = 0;
  #then: () => void = () => {};

  await(nth: number, then: () => void): void {
    this.#left = nth;
    this.#then = then;
  }

  readonly judge: NonNullable<SinkOptions['judge']> = (stage, recipient, nth) => {
    if (stage === 'dot' && this.#left > 0) {
      this.#left -= 1;
      if (this.#left === 0) this.#then();
    }
    return someTrouble(stage, recipient, nth);
  };
}
