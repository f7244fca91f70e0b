/** The SQL view moves to another version: what it keeps, what it refuses, and whom it waits for. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TidemarkError } from '../../../../src/platform/errors.js';
import { silentLogger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { migrate } from '../../../../src/platform/postgres/migrate.js';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { swapView } from '../../../../src/projections/versions/swap-view.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { bankWith, HoldersV1, HoldersV2, HoldersV3 } from '../../../support/versions.js';

let postgres: FreshDatabase;
let db: Database;
const reader = `reader_${process.pid}`;
const owner = `owner "${process.pid}"`;

beforeAll(async () => {
  postgres = await freshDatabase();
  const logger = silentLogger;
  db = new Database({ connectionString: postgres.url, schema: 'tidemark', role: 'test', logger, max: 4 });
  await db.query(`CREATE ROLE ${reader}`);
  await db.query(`CREATE ROLE ${pg.escapeIdentifier(owner)}`);
});
afterAll(async () => {
  await db.query('DROP SCHEMA IF EXISTS tidemark CASCADE');
  await db.query('DROP SCHEMA IF EXISTS reports CASCADE');
  await db.query(`DROP OWNED BY ${reader}, ${pg.escapeIdentifier(owner)}`);
  await db.query(`DROP ROLE ${reader}, ${pg.escapeIdentifier(owner)}`);
  await db.end();
  await postgres.drop();
});
beforeEach(async () => {
  await db.query('DROP SCHEMA IF EXISTS tidemark CASCADE');
  await db.query('DROP SCHEMA IF EXISTS reports CASCADE');
  await migrate(db);
  for (const holders of [HoldersV1, HoldersV2, HoldersV3]) await ensureReadModel(db, bankWith(holders));
  await db.query('UPDATE tidemark.projections SET ready_at = now()');
  await db.query(`INSERT INTO tidemark.holders__v1 VALUES ('a-1', 'ann', 1)`);
  await db.query(`INSERT INTO tidemark.holders__v2 VALUES ('private', 'a-1', 'ann', 1)`);
  await db.query(`INSERT INTO tidemark.holders__v3 VALUES ('a-1', 3, 1)`);
});

const shown = () => db.query('SELECT * FROM tidemark.holders');
const to = (version: number) => ({ name: 'holders', version });
const failure = (work: Promise<unknown>): Promise<TidemarkError> =>
  work.then(
    () => expect.fail('nothing was thrown'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(TidemarkError);
      return error as TidemarkError;
    },
  );

describe('where no column goes', () => {
  it('replaces the view: columns keep their places, and what depends on it goes on', async () => {
    await db.query('CREATE SCHEMA reports');
    await db.query('CREATE VIEW reports.names AS SELECT owner FROM tidemark.holders');
    expect(await shown()).toEqual([['a-1', 'ann']]);
    expect(await swapView(db, to(2))).toEqual([{ view: 'holders', from: 1, how: 'replaced' }]);
    expect(await shown()).toEqual([['a-1', 'ann', 'private']]);
    await db.query(`UPDATE tidemark.holders__v2 SET owner = 'bob'`);
    expect(await db.query('SELECT * FROM reports.names')).toEqual([['bob']]);
    expect(await swapView(db, to(2))).toEqual([{ view: 'holders', from: 2, how: 'unchanged' }]);
  });

  it('keeps its options: what a view is to hide stays hidden', async () => {
    await db.query('ALTER VIEW tidemark.holders SET (security_barrier = true, security_invoker = true)');
    expect(await swapView(db, to(2))).toMatchObject([{ how: 'replaced' }]);
    expect(
      await db.query(`SELECT reloptions FROM pg_class WHERE oid = 'tidemark.holders'::regclass`),
    ).toEqual([[['security_barrier=true', 'security_invoker=true']]]);
  });
});

describe('where a column goes or changes its type', () => {
  it('makes it anew, with its owner, rights, options and comments', async () => {
    await db.query(`GRANT SELECT ON tidemark.holders TO ${reader} WITH GRANT OPTION`);
    await db.query('GRANT SELECT ON tidemark.holders TO PUBLIC');
    await db.query(`GRANT UPDATE (owner) ON tidemark.holders TO ${reader}`);
    await db.query('ALTER VIEW tidemark.holders SET (security_barrier = true)');
    await db.query(`COMMENT ON VIEW tidemark.holders IS 'who holds what; it''s \\ ours'`);
    await db.query(`COMMENT ON COLUMN tidemark.holders.owner IS 'name'`);
    await db.query(`GRANT CREATE, USAGE ON SCHEMA tidemark TO ${pg.escapeIdentifier(owner)}`);
    await db.query(`ALTER VIEW tidemark.holders OWNER TO ${pg.escapeIdentifier(owner)}`);
    const facts = () =>
      db.query(`SELECT pg_get_userbyid(c.relowner), c.reloptions, obj_description(c.oid, 'pg_class'), col_description(c.oid, a.attnum),
          (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(c.relacl) x), a.attacl::text[]
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'owner' WHERE c.oid = 'tidemark.holders'::regclass`);
    const rights = (rows: readonly (readonly unknown[])[]) =>
      rows.map(([, , , , acl]) => JSON.stringify(acl).replaceAll(/\/[^"]*/g, ''));
    const before = await facts();
    expect(await swapView(db, to(3))).toEqual([{ view: 'holders', from: 1, how: 'made_anew' }]);
    const after = await facts();
    expect(after.map((row) => row.slice(0, 4))).toEqual(before.map((row) => row.slice(0, 4)));
    expect(before[0]?.[2]).toContain('\\');
    expect(rights(after)).toEqual(rights(before));
    expect(after[0]?.[5]).toEqual([expect.stringContaining(`${reader}=w/`)]);
    // Its owner may read the new table, so that it can be read.
    await db.transaction(async (tx) => {
      await tx.query(`GRANT USAGE ON SCHEMA tidemark TO ${reader}`);
      await tx.query(`SET LOCAL ROLE ${reader}`);
      expect(await tx.query('SELECT * FROM tidemark.holders')).toEqual([['a-1', 3]]);
    });
    // And back, with a column more again.
    expect(await swapView(db, to(1))).toEqual([{ view: 'holders', from: 3, how: 'made_anew' }]);
    expect(await shown()).toEqual([['a-1', 'ann']]);
  });

  it('refuses where others depend on it, and names them all', async () => {
    await db.query('CREATE SCHEMA reports');
    await db.query('CREATE VIEW reports.names AS SELECT owner FROM tidemark.holders');
    await db.query('CREATE MATERIALIZED VIEW reports.counts AS SELECT count(*) FROM reports.names');
    await db.query(
      `CREATE FUNCTION reports.first() RETURNS tidemark.holders LANGUAGE sql AS 'SELECT * FROM tidemark.holders LIMIT 1'`,
    );
    const error = await failure(swapView(db, to(3)));
    expect(error.code).toBe('view_has_dependents');
    expect(error.extra).toEqual({
      view: 'holders',
      dependents: ['function reports.first()', 'materialized view reports.counts', 'view reports.names'],
    });
    expect(await shown()).toEqual([['a-1', 'ann']]);
  });
});

describe('who is in the way', () => {
  it('is waited for no longer than told, and named; nothing has changed then', async () => {
    const busy = new pg.Client({ connectionString: postgres.url, application_name: 'a long report' });
    await busy.connect();
    try {
      await busy.query('BEGIN; SELECT * FROM tidemark.holders');
      const error = await failure(swapView(db, to(2), { lockTimeoutMs: 50 }));
      expect([error.code, error.message]).toEqual([
        'view_in_use',
        expect.stringMatching(/not free within 50 ms, and nothing was changed: .*a long report, pid \d+/),
      ]);
      expect(await shown()).toEqual([['a-1', 'ann']]);
      await busy.query('ROLLBACK');
    } finally {
      await busy.end();
    }
    expect(await swapView(db, to(2))).toMatchObject([{ how: 'replaced' }]);
  });
});

describe('what cannot be shown', () => {
  it.each([
    ['a version that there is not', `SELECT`, 'unknown_projection', 9],
    ['one that was never ready', `UPDATE tidemark.projections SET ready_at = NULL`, 'wrong_state', 2],
    ['one that was pruned', `UPDATE tidemark.projections SET state = 'retired'`, 'wrong_state', 2],
    [
      'a name that is a table',
      'DROP VIEW tidemark.holders; CREATE TABLE tidemark.holders ()',
      'projection_name_taken',
      2,
    ],
  ])('%s', async (_what, before, code, version) => {
    await db.query(before);
    expect((await failure(swapView(db, to(version)))).code).toBe(code);
  });

  it('a view that was dropped is made again', async () => {
    await db.query('DROP VIEW tidemark.holders');
    expect(await swapView(db, to(2))).toEqual([{ view: 'holders', from: null, how: 'created' }]);
    expect(await shown()).toEqual([['private', 'a-1', 'ann']]);
  });
});
