/** The statements that make read-model tables and change logs. Names come from definitions, which the domain has checked. */
import type { AnyProjection } from '../domain/projection.js';
import { quoteIdent, type Database } from '../platform/postgres/database.js';
import { columnList, readModelColumns } from './columns.js';
import {
  changeLogOf,
  changeTable,
  indexName,
  readModelTable,
  slotTable,
  type ReadableTable,
  type Versioned,
} from './names.js';

/** One start at a time makes tables. Locks: advisory, until commit. $1 schema. */
export const LOCK_READ_MODELS = `SELECT pg_advisory_xact_lock(hashtext('tidemark:read-models'), hashtext($1))`;

type Tables = Pick<Database, 'table'>;

/** Columns of a table. A field that is always there is NOT NULL. */
export const columnDefinitions = (described: Pick<AnyProjection, 'fields'>): string =>
  readModelColumns(described)
    .map(({ name, type, field }) => `${name} ${type}${field.nullable || field.optional ? '' : ' NOT NULL'}`)
    .join(', ');

/** The table, without its key. */
export function createTable(db: Tables, projection: AnyProjection): string {
  return `CREATE TABLE ${db.table(readModelTable(projection))}
    (${columnDefinitions(projection)}, _rev bigint NOT NULL CHECK (_rev > 0)) WITH (fillfactor = 90)`;
}

const keyName = (projection: AnyProjection): string => quoteIdent(`_pk_${readModelTable(projection)}`);

/** The primary key. Locks: ACCESS EXCLUSIVE on the table until commit; for tables that nobody uses yet. */
export const addKey = (db: Tables, projection: AnyProjection): string =>
  `ALTER TABLE ${db.table(readModelTable(projection))}
   ADD CONSTRAINT ${keyName(projection)} PRIMARY KEY (${quoteIdent(projection.key)})`;

/** The primary key goes, where there is one. Locks: as above. */
export const dropKey = (db: Tables, projection: AnyProjection): string =>
  `ALTER TABLE ${db.table(readModelTable(projection))} DROP CONSTRAINT IF EXISTS ${keyName(projection)}`;

/** The table’s name in the catalogue of its key; a row when the key is there. Locks: none. $1 schema, $2 table. */
export const SELECT_KEY = `SELECT c.conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
   WHERE n.nspname = $1 AND t.relname = $2 AND c.contype = 'p'`;

/**
 * Columns of every index that the table should have: the declared ones, and one for each channel that none of them serves
 * (its filter is a prefix, in any order), and for what joins go by. Each ends with the key, as sorted reads do.
 */
export function indexesOf(projection: AnyProjection): readonly (readonly string[])[] {
  const indexes: (readonly string[])[] = [];
  const add = (columns: readonly string[]): void => {
    const whole = columns.includes(projection.key) ? columns : [...columns, projection.key];
    if (whole.length === 1 || indexes.some((known) => known.join() === whole.join())) return;
    indexes.push(whole);
  };
  for (const tuple of projection.indexes) add(tuple);
  for (const channel of projection.channels) {
    const served = indexes.some((known) =>
      channel.every((name) => known.slice(0, channel.length).includes(name)),
    );
    if (!served && !channel.includes(projection.key)) add(channel);
  }
  // A part that changes finds its rows by what they name.
  for (const { by } of projection.joins) {
    if (by !== projection.key && !indexes.some(([first]) => first === by)) add([by]);
  }
  return indexes;
}

/**
 * An index. Locks: SHARE on the table: writers wait until it is built, readers do not; for tables that nobody uses yet.
 * @param how `CONCURRENTLY` lets writers go on, and is run in no transaction; what it leaves behind when it fails is invalid
 */
export const createIndex = (
  db: Tables,
  projection: Versioned,
  columns: readonly string[],
  how: '' | 'CONCURRENTLY' = '',
): string =>
  `CREATE INDEX ${how} ${quoteIdent(indexName(projection, columns))}
   ON ${db.table(readModelTable(projection))} (${columns.map(quoteIdent).join(', ')})`;

/** Locks: SHARE UPDATE EXCLUSIVE on the table; waits for whoever still uses the index. In no transaction. */
export const dropInvalidIndex = (db: Tables, name: string): string =>
  `DROP INDEX CONCURRENTLY IF EXISTS ${db.table(name)}`;

/** An index goes, where there is one. Locks: ACCESS EXCLUSIVE on its table; for tables that nobody uses. */
export const dropIndex = (db: Tables, name: string): string => `DROP INDEX IF EXISTS ${db.table(name)}`;

/** Which of some indexes are there, and whether each is whole. Locks: none. $1 schema, $2 names. */
export const SELECT_INDEXES = `SELECT c.relname::text, i.indisvalid AND i.indisready FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   JOIN pg_index i ON i.indexrelid = c.oid WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])`;

/** One process at a time makes indexes of tables in use. Locks: advisory, of the session, not waited for. $1 schema. */
export const TRY_LOCK_INDEXES = `SELECT pg_try_advisory_lock(hashtext('tidemark:indexes'), hashtext($1))`;

/** Versions whose tables are in use. Locks: none. $1 names, $2 versions. */
export const selectLoaded = (db: Tables): string =>
  `SELECT p.name FROM unnest($1::text[], $2::int[]) AS w(name, version)
   JOIN ${db.table('projections')} p ON p.name = w.name AND p.version = w.version WHERE p.loaded AND p.state <> 'retired'`;

/** The view for people with SQL tools: the fields, without Tidemark's own columns. */
export const createView = (db: Tables, projection: AnyProjection): string =>
  createViewOf(db, { name: projection.name, table: readModelTable(projection), fields: projection.fields });

/** The view of one table, without Tidemark's own columns. */
export const createViewOf = (db: Tables, { name, table, fields }: ReadableTable): string =>
  `CREATE VIEW ${db.table(name)} AS SELECT ${columnList({ fields })} FROM ${db.table(table)}`;

/** What stands under a name: its relkind, or no row. $1 quoted, qualified name. */
export const SELECT_RELKIND = `SELECT relkind::text FROM pg_class WHERE oid = to_regclass($1)`;

/**
 * The partition of a change log, made beside its parent and then attached: making it as a partition at once would lock out
 * everyone who writes changes. Its first slot with it.
 */
export function createChangeLog(db: Tables, projection: AnyProjection): string[] {
  const log = changeLogOf(projection);
  const table = db.table(changeTable(log) ?? '');
  return [
    `CREATE TABLE ${table} (LIKE ${db.table('changes')} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY LIST (slot)`,
    `CREATE TABLE ${db.table(slotTable(projection, 0))} PARTITION OF ${table} FOR VALUES IN (0)`,
    `ALTER TABLE ${db.table('changes')} ATTACH PARTITION ${table} FOR VALUES IN ('${log}')`,
  ];
}

/** Checkpoints of all shards of a source, from the beginning. $1 projection, $2 version, $3 source, $4 shards. */
export const insertCheckpoints = (db: Tables): string =>
  `INSERT INTO ${db.table('checkpoints')} (projection, version, source, shard)
   SELECT $1, $2::int, $3, n FROM generate_series(0, $4::int - 1) n ON CONFLICT DO NOTHING`;

/** What a version's table was made for, and its state. Locks: none (the advisory lock is held). $1 name, $2 version. */
export const selectProjection = (db: Tables): string =>
  `SELECT fingerprint, definition, state FROM ${db.table('projections')} WHERE name = $1 AND version = $2::int`;

/**
 * A new version. Whoever serves it says when it is ready (versions/readiness.ts). Its epoch is that of its change log. Locks: none that others wait for. $1 name, $2 version, $3 fingerprint, $4 definition, $5 change log, $6 whether it is to be built.
 */
export const insertProjection = (db: Tables): string =>
  `INSERT INTO ${db.table('projections')} (name, version, fingerprint, definition, epoch, state, loaded, ready_at)
   SELECT $1, $2::int, $3, $4::json, max(s.epoch), CASE WHEN $6::boolean THEN 'building' ELSE 'catching_up' END, NOT $6::boolean, NULL
   FROM ${db.table('shards')} s WHERE s.log = $5`;

/** A retired version comes back, perhaps with another definition. Locks: its row. Parameters as above. */
export const renewProjection = (db: Tables): string =>
  `UPDATE ${db.table('projections')} p SET fingerprint = $3, definition = $4::json, created_at = now(), loaded = NOT $6::boolean,
     accept_parked = false, progress = NULL, epoch = (SELECT max(s.epoch) FROM ${db.table('shards')} s WHERE s.log = $5), ready_at = NULL
   WHERE p.name = $1 AND p.version = $2::int`;

/**
 * The change log begins anew, in another epoch: whoever stands somewhere in the old one is told. Locks: the log's rows of
 * `shards`, in order. $1 log, $2 epoch.
 */
export const renewLog = (db: Tables): string =>
  `WITH mine AS (SELECT s.log, s.shard FROM ${db.table('shards')} s WHERE s.log = $1 ORDER BY s.shard FOR UPDATE)
   UPDATE ${db.table('shards')} s SET epoch = $2, low = 0 FROM mine m WHERE s.log = m.log AND s.shard = m.shard`;

/** All changes go. Locks: ACCESS EXCLUSIVE on the log's table; for logs that nobody reads any more. */
export const emptyLog = (db: Tables, projection: AnyProjection): string =>
  `TRUNCATE ${db.table(changeTable(changeLogOf(projection)) ?? '')}`;

/** The partitions of a change log. Locks: none. $1 the log’s table, quoted. */
export const SELECT_SLOTS = `SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)`;

/** Where new entries of a change log go. Locks: the log's rows of `shards` (`renewLog` has them already). $1 log, $2 slot. */
export const setSlot = (db: Tables): string =>
  `UPDATE ${db.table('shards')} SET slot = $2::int WHERE log = $1`;

/** What is kept of a version beside its rows, thrown away. Locks: the rows that go. $1 name, $2 version. */
export const forgetVersion = (db: Tables): string[] =>
  ['projection_stops', 'parked_events', 'parked', 'builds'].map(
    (table) => `DELETE FROM ${db.table(table)} WHERE projection = $1 AND version = $2::int`,
  );

/** Back to the beginning. Locks: the version's checkpoints, in order; waits for batches in flight. $1 name, $2 version. */
export const resetCheckpoints = (db: Tables): string =>
  `WITH mine AS (SELECT c.source, c.shard FROM ${db.table('checkpoints')} c WHERE c.projection = $1 AND c.version = $2::int
     ORDER BY c.source, c.shard FOR UPDATE)
   UPDATE ${db.table('checkpoints')} c SET seq = 0 FROM mine m
   WHERE c.projection = $1 AND c.version = $2::int AND c.source = m.source AND c.shard = m.shard`;

/** The stored text of a function, to see whether it is this code's. $1 schema, $2 name. */
export const SELECT_FUNCTION = `SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.proname = $2`;
