/** One run of all suites: real Postgres from the global setup, a process per test file, as many files at once as the small machines have cores. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^tidemark\/testing$/, replacement: source('src/testing/index.ts') },
      { find: /^tidemark\/client$/, replacement: source('src/client/index.ts') },
      { find: /^tidemark\/react$/, replacement: source('src/client/react/index.ts') },
      { find: /^tidemark$/, replacement: source('src/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
