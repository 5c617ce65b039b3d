import { defineConfig } from 'vitest/config';

/** What takes minutes: every planted mistake under the simulation, one after the other on each core. */
export default defineConfig({
  test: {
    include: ['test/simulation/mistakes.test.ts'],
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 600_000,
  },
});
