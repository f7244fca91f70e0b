/**
 * Runs the numbered files of `migrations/` under a lock, each in a transaction of its own, in order.
 * A file says which older code may still run beside it. `:schema` in a file stands for the quoted schema.
 */
import { readdir, readFile } from 'node:fs/promises';
import { createHash, randomBytes } from 'node:crypto';
import { TidemarkError } from '../errors.js';
import { quoteIdent, type Database, type Queryable } from './database.js';

const MIN_SERVER = 150_000;
const UNBOUNDED = { unbounded: true };
const MIGRATIONS_DIR = new URL('../../../migrations/', import.meta.url);

export interface MigrationReport {
  /** Names of the files that were run now; empty when there was nothing to do. */
  readonly applied: readonly string[];
  /** Number of the newest migration. */
  readonly version: number;
}

interface MigrationFile {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the text, whatever its line ends are. */
  readonly checksum: string;
}

async function migrationFiles(dir: URL): Promise<MigrationFile[]> {
  const names = (await readdir(dir)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = (await readFile(new URL(name, dir), 'utf8')).replaceAll('\r\n', '\n');
      const checksum = createHash('sha256').update(sql).digest('hex');
      return { number: Number(name.slice(0, 4)), name, sql, checksum };
    }),
  );
}

/** What was applied; no checksum where that was before checksums were kept. */
type Applied = readonly [number: number, name: string, checksum: string | null];

/** The files that are not what was applied under their numbers. */
const changedAmong = (files: readonly MigrationFile[], applied: readonly Applied[]): MigrationFile[] =>
  files.filter((file) =>
    applied.some(
      ([number, , checksum]) => number === file.number && checksum !== null && checksum !== file.checksum,
    ),
  );

/**
 * The table of what was applied, in the form that this code knows. Locks: for a moment the table itself, where the column
 * is missing; asked first, as ALTER TABLE locks also where it then does nothing. Older code goes on beside the new column.
 */
async function ensureTable(tx: Queryable, table: string): Promise<void> {
  await tx.query(
    `CREATE TABLE IF NOT EXISTS ${table} (number int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), checksum text)`,
  );
  const [column] = await tx.query(
    `SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'checksum'`,
    [table],
  );
  if (!column) await tx.query(`ALTER TABLE ${table} ADD COLUMN checksum text`);
}

/** @throws TidemarkError `schema_too_new`, `migration_changed` */
function checkApplied(schema: string, files: readonly MigrationFile[], applied: readonly Applied[]): void {
  const newest = files.at(-1)?.number ?? 0;
  const stored = applied.at(-1)?.[0] ?? 0;
  if (stored > newest) {
    throw new TidemarkError(
      'schema_too_new',
      `the schema "${schema}" is at migration ${stored}, this version of Tidemark knows up to ${newest}; run a newer version`,
    );
  }
  const changed = changedAmong(files, applied).map(({ name }) => name);
  if (changed.length === 0) return;
  throw new TidemarkError(
    'migration_changed',
    `the schema "${schema}" was made with another text of ${changed.join(', ')} than this version of Tidemark has; run the version that made it, or restore the file`,
  );
}

/**
 * @throws TidemarkError `unsupported_postgres` before 15; `schema_too_new` when the schema was migrated by newer code;
 *   `migration_changed` when a file is not what was applied
 */
export async function migrate(db: Database, dir: URL = MIGRATIONS_DIR): Promise<MigrationReport> {
  const [server] = await db.query<[number, string]>(
    `SELECT current_setting('server_version_num')::int, current_setting('server_version')`,
  );
  if (server && server[0] < MIN_SERVER) {
    throw new TidemarkError('unsupported_postgres', `Postgres 15 or newer is needed, this is ${server[1]}`);
  }
  const files = await migrationFiles(dir);
  const applied: string[] = [];
  const schema = quoteIdent(db.schema);
  for (const file of files) {
    const ran = await db.transaction(async (tx) => {
      // One lock per schema name, held until commit: processes that start together wait here.
      await tx.query(`SELECT pg_advisory_xact_lock(hashtext('tidemark:migrate'), hashtext($1))`, [db.schema]);
      // Asked first: IF NOT EXISTS wants the right to make schemas also where there is nothing to make.
      const [there] = await tx.query<[boolean]>(`SELECT to_regnamespace($1) IS NOT NULL`, [schema]);
      if (!there?.[0]) await tx.query(`CREATE SCHEMA ${schema}`);
      await ensureTable(tx, `${schema}.migrations`);
      const done = await tx.query<Applied>(
        `SELECT number, name, checksum FROM ${schema}.migrations ORDER BY number`,
      );
      checkApplied(db.schema, files, done);
      if (done.some(([number]) => number === file.number)) return false;
      await tx.query(file.sql.replaceAll(':schema', schema));
      await tx.query(`INSERT INTO ${schema}.migrations (number, name, checksum) VALUES ($1, $2, $3)`, [
        file.number,
        file.name,
        file.checksum,
      ]);
      return true;
    }, UNBOUNDED);
    if (ran) applied.push(file.name);
  }
  return { applied, version: files.at(-1)?.number ?? 0 };
}

/** What a schema has, in order; nothing where there is none. */
async function appliedTo(db: Database): Promise<Applied[]> {
  const [made] = await db.query<[boolean]>(`SELECT to_regclass($1) IS NOT NULL`, [db.table('migrations')]);
  if (!made?.[0]) return [];
  // Through JSON, as the column may not be there yet. Locks: none.
  return db.query<Applied>(
    `SELECT m.number, m.name, to_json(m) ->> 'checksum' FROM ${db.table('migrations')} m ORDER BY m.number`,
  );
}

/**
 * @returns the newest migration that the schema has (0: none), the newest that this version of Tidemark knows, and the
 *   names of those whose text is another than what was applied
 */
export async function schemaVersion(
  db: Database,
  dir: URL = MIGRATIONS_DIR,
): Promise<{ readonly stored: number; readonly known: number; readonly changed: readonly string[] }> {
  const files = await migrationFiles(dir);
  const applied = await appliedTo(db);
  const known = files.at(-1)?.number ?? 0;
  const changed = changedAmong(files, applied).map(({ name }) => name);
  return { stored: applied.at(-1)?.[0] ?? 0, known, changed };
}

/**
 * For commands that do not migrate: the schema must be the one that this code knows.
 * @throws TidemarkError `schema_too_old`, `schema_too_new`, `migration_changed`
 */
export async function requireSchema(db: Database, dir: URL = MIGRATIONS_DIR): Promise<void> {
  const files = await migrationFiles(dir);
  const applied = await appliedTo(db);
  checkApplied(db.schema, files, applied);
  const stored = applied.at(-1)?.[0] ?? 0;
  const known = files.at(-1)?.number ?? 0;
  if (stored < known) {
    throw new TidemarkError(
      'schema_too_old',
      `the schema "${db.schema}" is at migration ${stored}, this version of Tidemark needs ${known}; run tidemark migrate, or start the application`,
    );
  }
}

/** The signing key of this schema, made once. */
export async function signingKey(db: Database): Promise<Buffer> {
  await db.query(
    `INSERT INTO ${db.table('settings')} (name, value) VALUES ('signing_key', $1) ON CONFLICT (name) DO NOTHING`,
    [randomBytes(32).toString('hex')],
  );
  const [row] = await db.query<[string]>(
    `SELECT value FROM ${db.table('settings')} WHERE name = 'signing_key'`,
  );
  if (!row) throw new TidemarkError('internal_error', 'the signing key vanished while it was read');
  return Buffer.from(row[0], 'hex');
}
