import { systemDigest } from '../../src/base/node/digest.ts';
import { plantedMistakes } from '../../src/simulation/mistakes.ts';
import { runSeed, type SeedOptions, type SeedReport } from '../../src/simulation/world.ts';
import type { StrayErrors } from './strayErrors.ts';

export const digest = systemDigest();

export const mistakes = plantedMistakes(digest);

export type SeedOrder = Omit<SeedOptions, 'digest' | 'mistake'> & {
  /** A name of `mistakes`. */
  readonly mistake?: string;
  /** Runs it a second time: the hashes must agree. */
  readonly isTwice?: boolean;
};

/** Runs one seed on this machine's digest; what it left unhandled counts as broken, too. */
export async function oneSeed(
  { mistake, isTwice, ...order }: SeedOrder,
  stray: StrayErrors,
): Promise<SeedReport> {
  const planted = mistake === undefined ? {} : mistakes[mistake]!;
  const options: SeedOptions = { ...order, ...planted, digest };
  const report = await runSeed(options);
  const errors = await stray.take();
  const violations = [...report.violations, ...errors.map(strayViolation)];
  if (isTwice === true && violations.length === 0) {
    const { hash } = await runSeed(options);
    await stray.take();
    if (hash !== report.hash) {
      const detail = `${report.hash.toString(16)}, then ${hash.toString(16)}`;
      violations.push({ promise: 'a seed runs the same each time', detail });
    }
  }
  return { ...report, violations };
}

function strayViolation(error: unknown): SeedReport['violations'][number] {
  return { promise: 'no bug of our own', detail: error instanceof Error ? `${error.stack}` : String(error) };
}
