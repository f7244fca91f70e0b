/** A version is made: bare and to be built where there are many events, whole where there are few; and indexes that come later. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AnyProjection } from '../../../src/domain/projection.js';
import { PostgresEventStore } from '../../../src/event-store/store.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { changeLogOf, indexName } from '../../../src/projections/names.js';
import { ensureReadModel } from '../../../src/projections/read-model.js';
import { move } from '../../../src/projections/states.js';
import { Accounts, bank, Owners, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append } from '../../support/projecting.js';

let pg: FreshDatabase;
let db: Database;

beforeAll(async () => {
  pg = await freshDatabase();
  db = new Database({
    connectionString: pg.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
    max: 6,
    // A transaction of these tests stands still on purpose.
    idleInTransactionTimeoutMs: 0,
  });
});
afterAll(async () => {
  await db.end();
  await pg.drop();
});
beforeEach(async () => {
  await db.query('DROP SCHEMA IF EXISTS tidemark CASCADE');
  await migrate(db);
});

const appOf = (...views: AnyProjection[]): typeof bank =>
  ({ ...bank, projections: views, views }) as unknown as typeof bank;

async function appendSome(count: number): Promise<void> {
  const store = new PostgresEventStore({
    database: db,
    categories: ['account'],
    shards: SHARDS,
    announcer: new Wakeups(),
    logger: silentLogger,
  });
  await store.start();
  for (let n = 0; n < count; n++) {
    await append(store, 'account', `a-${n}`, [{ type: 'Opened', data: { owner: 'o' } }]);
  }
  await store.stop();
}

const versions = () =>
  db.query<[string, number, string, boolean, boolean]>(
    'SELECT name, version, state, loaded, ready_at IS NOT NULL FROM tidemark.projections ORDER BY 1, 2',
  );

const indexes = async (table: string): Promise<string[]> => {
  const rows = await db.query<[string]>(
    `SELECT indexname FROM pg_indexes WHERE schemaname = 'tidemark' AND tablename = $1 ORDER BY 1`,
    [table],
  );
  return rows.map(([name]) => name);
};

test('the first version of a quiet log follows at once', async () => {
  await appendSome(3);
  await ensureReadModel(db, bank, { rebuildFrom: 3 });
  expect(await versions()).toEqual([
    ['accounts', 1, 'catching_up', true, false],
    ['owners', 1, 'catching_up', true, false],
  ]);
  expect(await indexes('accounts__v1')).toEqual(['_ix_accounts__v1__owner_id', '_pk_accounts__v1']);
});

test('with more events than told it is to be built: its table is bare, and it is not served', async () => {
  await appendSome(4);
  await ensureReadModel(db, bank, { rebuildFrom: 3 });
  expect(await versions()).toEqual([
    ['accounts', 1, 'building', false, false],
    ['owners', 1, 'building', false, false],
  ]);
  expect(await indexes('accounts__v1')).toEqual([]);
  // Rows of many streams are looked up while they are loaded.
  expect(await indexes('owners__v1')).toEqual(['_pk_owners__v1']);
  // A second start changes nothing.
  await ensureReadModel(db, bank, { rebuildFrom: 3 });
  expect(await indexes('accounts__v1')).toEqual([]);
});

test('a version beside another is not served until it was told to be ready', async () => {
  await ensureReadModel(db, bank);
  await ensureReadModel(db, appOf({ ...Accounts, version: 2 }, Owners));
  expect(await versions()).toEqual([
    ['accounts', 1, 'catching_up', true, false],
    ['accounts', 2, 'catching_up', true, false],
    ['owners', 1, 'catching_up', true, false],
  ]);
});

test('a retired version comes back from its beginning, in another epoch', async () => {
  await ensureReadModel(db, bank);
  await db.query(`UPDATE tidemark.checkpoints SET seq = 7`);
  await db.query(`UPDATE tidemark.shards SET low = 5 WHERE log = $1`, [changeLogOf(Accounts)]);
  const epochOf = async (): Promise<unknown> =>
    db.query(
      `SELECT DISTINCT s.epoch, s.low, p.epoch = s.epoch FROM tidemark.shards s, tidemark.projections p
       WHERE s.log = $1 AND p.name = 'accounts'`,
      [changeLogOf(Accounts)],
    );
  const before = await epochOf();
  await move(db, Accounts, 'retire');
  await db.query('DROP TABLE tidemark.accounts__v1 CASCADE');
  await ensureReadModel(db, bank);
  expect(await versions()).toEqual([
    ['accounts', 1, 'catching_up', true, false],
    ['owners', 1, 'catching_up', true, false],
  ]);
  const after = await epochOf();
  expect(after).toEqual([[expect.any(String), 0, true]]);
  expect(after).not.toEqual(before);
  const points = await db.query<[string, number]>(
    'SELECT projection, max(seq) FROM tidemark.checkpoints GROUP BY 1 ORDER BY 1',
  );
  expect(points).toEqual([
    ['accounts', 0],
    ['owners', 7],
  ]);
});

test('an index that was added is made while a writer is in a transaction, and replaces what a start left broken', async () => {
  await ensureReadModel(db, bank);
  const more = { ...Accounts, indexes: [...Accounts.indexes, ['cents']] };
  const name = indexName(more, ['cents', 'id']);
  // What a CREATE INDEX CONCURRENTLY leaves that was cut off.
  await db.query(`CREATE INDEX "${name}" ON tidemark.accounts__v1 (owner)`);
  await db.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tidemark."${name}"'::regclass`);
  let made: Promise<void> | undefined;
  await db.transaction(async (tx) => {
    await tx.query(
      `INSERT INTO tidemark.accounts__v1 (id, owner, cents, payments, log, _rev) VALUES ('a', 'o', 1, 1, '[]', 1)`,
    );
    made = ensureReadModel(db, appOf(more, Owners));
    // It waits for this transaction, and nobody waits for it: another writer goes on.
    await expect
      .poll(() =>
        db.query(
          `SELECT FROM pg_stat_activity
           WHERE datname = current_database() AND query ~ '^(DROP|CREATE) INDEX CONCURRENTLY' AND wait_event_type = 'Lock'`,
        ),
      )
      .toHaveLength(1);
    await db.query(
      `INSERT INTO tidemark.accounts__v1 (id, owner, cents, payments, log, _rev) VALUES ('b', 'o', 1, 1, '[]', 1)`,
    );
  });
  await made;
  const [row] = await db.query<[string, boolean]>(
    `SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indexrelid = 'tidemark."${name}"'::regclass`,
  );
  expect(row?.[0]).toMatch(/\(cents, id\)$/);
  expect(row?.[1]).toBe(true);
});

test('two starts at once that both miss an index make it once', async () => {
  await ensureReadModel(db, bank);
  const more = appOf({ ...Accounts, indexes: [...Accounts.indexes, ['payments']] }, Owners);
  await Promise.all([ensureReadModel(db, more), ensureReadModel(db, more), ensureReadModel(db, more)]);
  expect(await indexes('accounts__v1')).toContain('_ix_accounts__v1__payments_id');
});
