/** Migrations are kept with a checksum: a file that is not what was applied is found, and older rows are taken as they are. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { migrate, requireSchema, schemaVersion } from '../../../src/platform/postgres/migrate.js';
import { dropSchema } from '../../../src/platform/postgres/schema.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const FIRST = 'CREATE TABLE :schema.a (n int);\n';
let fresh: FreshDatabase;
let db: Database;
let folder: string;
let dir: URL;

const file = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  fresh = await freshDatabase();
  db = new Database({
    connectionString: fresh.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
    max: 2,
  });
});
beforeEach(async () => {
  await dropSchema(db);
  folder = await mkdtemp(path.join(tmpdir(), 'tidemark-test-'));
  dir = pathToFileURL(`${folder}/`);
  await writeFile(file('0001_a.sql'), FIRST);
  await writeFile(file('0002_b.sql'), 'CREATE TABLE :schema.b (n int);\n');
  return () => rm(folder, { recursive: true });
});
afterAll(async () => {
  await db?.end();
  await fresh?.drop();
});

test('a file that changed after it was applied is refused by its name, and nothing later is applied', async () => {
  await migrate(db, dir);
  expect((await migrate(db, dir)).applied).toEqual([]);
  await writeFile(file('0001_a.sql'), 'CREATE TABLE :schema.a (n bigint);\n');
  await writeFile(file('0003_c.sql'), 'CREATE TABLE :schema.c (n int);\n');
  await expect(migrate(db, dir)).rejects.toMatchObject({
    code: 'migration_changed',
    message: expect.stringMatching(/"tidemark" .*0001_a\.sql than/) as string,
  });
  expect(await schemaVersion(db, dir)).toEqual({ stored: 2, known: 3, changed: ['0001_a.sql'] });
});

test('what does not migrate wants the schema as it is known', async () => {
  await expect(requireSchema(db, dir)).rejects.toMatchObject({ code: 'schema_too_old' });
  await migrate(db, dir);
  await requireSchema(db, dir);
  await writeFile(file('0003_c.sql'), 'CREATE TABLE :schema.c (n int);\n');
  await expect(requireSchema(db, dir)).rejects.toMatchObject({
    code: 'schema_too_old',
    message: expect.stringMatching(/at migration 2, .* needs 3; run tidemark migrate/) as string,
  });
  await migrate(db, dir);
  await rm(file('0003_c.sql'));
  await expect(requireSchema(db, dir)).rejects.toMatchObject({ code: 'schema_too_new' });
});

test('line ends of a checkout do not count', async () => {
  await migrate(db, dir);
  const text = await readFile(file('0001_a.sql'), 'utf8');
  await writeFile(file('0001_a.sql'), text.replaceAll('\n', '\r\n'));
  expect((await migrate(db, dir)).version).toBe(2);
});

test('rows from before checksums were kept are taken as they are, and new ones get theirs', async () => {
  const table = db.table('migrations');
  await db.query('CREATE SCHEMA tidemark');
  await db.query(FIRST.replace(':schema', 'tidemark'));
  // As 0.1.0 made it.
  await db.query(
    `CREATE TABLE ${table} (number int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
  );
  await db.query(`INSERT INTO ${table} (number, name) VALUES (1, '0001_a.sql')`);
  await writeFile(file('0001_a.sql'), '-- written differently since');
  expect(await schemaVersion(db, dir)).toEqual({ stored: 1, known: 2, changed: [] });
  expect((await migrate(db, dir)).applied).toEqual(['0002_b.sql']);
  expect(await db.query(`SELECT number, length(checksum) FROM ${table} ORDER BY number`)).toEqual([
    [1, null],
    [2, 64],
  ]);
  await writeFile(file('0002_b.sql'), '-- another');
  await expect(migrate(db, dir)).rejects.toMatchObject({ code: 'migration_changed' });
});

test('processes that start together add the column once', async () => {
  const table = db.table('migrations');
  await db.query('CREATE SCHEMA tidemark');
  await db.query(
    `CREATE TABLE ${table} (number int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
  );
  const all = await Promise.all([migrate(db, dir), migrate(db, dir)]);
  expect(all.flatMap(({ applied }) => applied).toSorted()).toEqual(['0001_a.sql', '0002_b.sql']);
});
