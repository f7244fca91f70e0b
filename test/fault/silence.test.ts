/** A server that stands still, or a network that swallows packets: whoever waits is told, and the pool recovers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import { isUnavailable } from '../../src/platform/postgres/sqlstate.js';
import { startFlakyProxy, type FlakyProxy } from '../support/flaky-proxy.js';
import { freshDatabase, type FreshDatabase } from '../support/postgres.js';

let pg: FreshDatabase;
let proxy: FlakyProxy;
let db: Database;

beforeAll(async () => {
  pg = await freshDatabase();
  proxy = await startFlakyProxy(pg.url);
  const logger = silentLogger;
  // The grace of five seconds comes on top.
  db = new Database({
    connectionString: proxy.url,
    schema: 'tidemark',
    role: 'test',
    logger,
    max: 1,
    statementTimeoutMs: 100,
  });
});
afterAll(async () => {
  proxy.mode = 'pass';
  await db.end();
  await proxy.stop();
  await pg.drop();
});

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a statement without an answer fails, as an outage, and the next has a new connection', async () => {
  await db.query('SELECT 1');
  proxy.mode = 'hold-answers';
  expect(isUnavailable(await failureOf(db.query('SELECT 1')))).toBe(true);
  proxy.mode = 'pass';
  expect(await db.query('SELECT 2')).toEqual([[2]]);
});

test('so does a transaction, which gives its connection up', async () => {
  proxy.mode = 'pass';
  const failed = failureOf(
    db.transaction(async (tx) => {
      proxy.mode = 'hold-answers';
      await tx.query('SELECT 1');
    }),
  );
  expect(isUnavailable(await failed)).toBe(true);
  proxy.mode = 'pass';
  expect(await db.query('SELECT 2')).toEqual([[2]]);
}, 60_000);

test('a change of the schema may take longer', async () => {
  const slow = db.transaction((tx) => tx.query<[number]>('SELECT 3 FROM pg_sleep(0.2)'), { unbounded: true });
  expect(await slow).toEqual([[3]]);
});
