/** The ground that all other database tests stand on. */
import pg from 'pg';
import { expect, test } from 'vitest';
import { freshDatabase } from '../support/postgres.js';

test('a fresh database is empty, its own, and gone after drop', async () => {
  const [one, two] = await Promise.all([freshDatabase(), freshDatabase()]);
  const client = new pg.Client({ connectionString: one.url });
  client.on('error', () => undefined); // drop() ends it
  await client.connect();
  await client.query('CREATE TABLE t (n int)');
  const other = new pg.Client({ connectionString: two.url });
  await other.connect();
  const tables = await other.query(`SELECT 1 FROM pg_tables WHERE schemaname = 'public'`);
  expect(tables.rows).toEqual([]);
  await other.end();
  await Promise.all([one.drop(), two.drop()]);
  const late = new pg.Client({ connectionString: one.url });
  await expect(late.connect()).rejects.toThrow(/does not exist/);
});
