import { afterAll, beforeAll, expect, test } from 'vitest';
import { mistakes, oneSeed } from './oneSeed.ts';
import { StrayErrors } from './strayErrors.ts';

const stray = new StrayErrors();
beforeAll(() => stray.listen());
afterAll(() => stray.unlisten());

const seeds = 200;

/** No mix meets them often enough yet; src/spool/spool.crash.test.ts, which has the spool alone, does. */
const rare = new Set([
  'recovery goes on after a failed sync',
  'V3: recovery does not write again',
  'A9: a content file goes with the batch that failed, before the 451',
]);
const names = Object.keys(mistakes).filter((name) => !rare.has(name));

test('there are at least 24 planted bugs', () => {
  expect(names.length).toBeGreaterThanOrEqual(24);
});

test.each(names)('the checkers notice: %s', async (mistake) => {
  let found = false;
  for (let seed = 1; seed <= seeds && !found; seed++) {
    found = (await oneSeed({ seed, mistake }, stray)).violations.length > 0;
  }
  expect(found, `not within ${seeds} seeds`).toBe(true);
}, 600_000);
