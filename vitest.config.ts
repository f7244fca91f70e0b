/**
 * One run of all suites: real Postgres and Kafka from the global setup. Three files at once on the two cores of the small machines:
 * what starts programs and kills them waits for a third of its time. Most suites share a process, which spares
 * each file the second that it takes to load Tidemark; those of whole programs, of brokers and of faults have one each.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const ALL = ['test/**/*.test.ts', 'examples/**/*.test.ts'];
const TOGETHER = [
  'test/unit/**/*.test.ts',
  'test/contract/**/*.test.ts',
  'test/browser/**/*.test.ts',
  'test/integration/{app,commands,event-store,outbox,platform,projections,queries,realtime,rights,testing,client}/**/*.test.ts',
  'examples/**/*.test.ts',
];
/** No measure of anything: how long what is waited for may take on a machine that others use too. */
const PATIENCE = { testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 60_000 } } };

const source = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const SHARED = {
  resolve: {
    alias: [
      { find: /^tidemark\/testing$/, replacement: source('src/testing/index.ts') },
      { find: /^tidemark\/client$/, replacement: source('src/client/index.ts') },
      { find: /^tidemark\/client\/sse$/, replacement: source('src/client/sse/index.ts') },
      { find: /^tidemark\/react$/, replacement: source('src/client/react/index.ts') },
      { find: /^tidemark$/, replacement: source('src/index.ts') },
    ],
  },
};

export default defineConfig({
  test: {
    // Of the whole run, so that no project may extend this.
    globalSetup: ['test/support/global-setup.ts'],
    maxWorkers: 3,
    projects: [
      {
        ...SHARED,
        test: { name: 'apart', include: ALL, exclude: TOGETHER, pool: 'forks', isolate: true, ...PATIENCE },
      },
      {
        ...SHARED,
        test: { name: 'together', include: TOGETHER, pool: 'forks', isolate: false, ...PATIENCE },
      },
    ],
  },
});
