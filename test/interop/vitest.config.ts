import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** One file after the other: the suites install packages and use fixed ports. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/interop/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
