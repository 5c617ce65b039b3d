import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: [
      '**/node_modules/**',
      'test/interop/**',
      'test/crash/**',
      'test/long/**',
      // Minutes: npm run test:long.
      'test/simulation/mistakes.test.ts',
    ],
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 30_000,
  },
});
