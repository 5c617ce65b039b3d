import { afterAll, beforeAll, expect, test } from 'vitest';
import { faultClasses } from '../../src/simulation/faultMix.ts';
import { overFiles } from '../../src/simulation/overDisk.ts';
import { runSeed } from '../../src/simulation/world.ts';
import { digest, oneSeed } from './oneSeed.ts';
import { StrayErrors } from './strayErrors.ts';

const stray = new StrayErrors();
beforeAll(() => stray.listen());
afterAll(() => stray.unlisten());

const seeds = Number(process.env.SIM_SEEDS ?? 200);
/** Every so many seeds is run a second time. */
const twiceEvery = 10;

test(`every promise is kept over ${seeds} seeds, each with its own mix of faults`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const report = await oneSeed({ seed, isTwice: seed % twiceEvery === 0 }, stray);
    expect(report.violations, `npm run sim -- --seed ${seed}`).toEqual([]);
    expect(report.faults, `seed ${seed}`).toBeGreaterThanOrEqual(20);
    expect(report.crashes, `seed ${seed}`).toBeGreaterThan(0);
    expect(report.stored, `seed ${seed}`).toBeGreaterThanOrEqual(200);
  }
}, 600_000);

test('two seeds are two stories', async () => {
  const [one, other] = [await oneSeed({ seed: 1 }, stray), await oneSeed({ seed: 2 }, stray)];
  expect(one.hash).not.toBe(other.hash);
});

test('what has expired is told although the disk cannot be read for a while', async () => {
  const mistake = {
    engineDisk: (disk: Parameters<typeof overFiles>[0], isRecovering: () => boolean) => {
      let reads = 0;
      return overFiles(disk, (file) => ({
        async read(position: number, lengthBytes: number) {
          reads += 1;
          if (isRecovering() || reads % 5 !== 0) return file.read(position, lengthBytes);
          throw Object.assign(new Error('EIO'), { code: 'EIO' });
        },
      }));
    },
  };
  const off = new Set(faultClasses.filter((one) => one !== 'crash.engine'));
  let expired = 0;
  for (let seed = 1; seed <= 3; seed++) {
    const report = await runSeed({ seed, digest, mistake, off, mix: { crashes: 1 } });
    // Late is what it may be here.
    const broken = report.violations.filter(({ promise }) => promise !== 'bounce-after is kept');
    expect(broken, `seed ${seed}`).toEqual([]);
    expired += report.expired;
  }
  expect(expired).toBeGreaterThan(0);
});
