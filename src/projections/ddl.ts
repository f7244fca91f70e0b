/** The statements that make read-model tables and change logs. Names come from definitions, which the domain has checked. */
import type { AnyProjection } from '../domain/projection.js';
import { quoteIdent, type Database } from '../platform/postgres/database.js';
import { columnList, readModelColumns } from './columns.js';
import { changeLogOf, changeTable, indexName, readModelTable, slotTable } from './names.js';

/** One start at a time makes tables. Locks: advisory, until commit. $1 schema. */
export const LOCK_READ_MODELS = `SELECT pg_advisory_xact_lock(hashtext('tidemark:read-models'), hashtext($1))`;

/** The table. A field that is always there is NOT NULL. */
export function createTable(db: Database, projection: AnyProjection): string {
  const columns = readModelColumns(projection).map(
    ({ name, type, field }) => `${name} ${type}${field.nullable || field.optional ? '' : ' NOT NULL'}`,
  );
  const table = readModelTable(projection);
  return `CREATE TABLE ${db.table(table)} (${columns.join(', ')}, _rev bigint NOT NULL CHECK (_rev > 0),
    CONSTRAINT ${quoteIdent(`_pk_${table}`)} PRIMARY KEY (${quoteIdent(projection.key)})) WITH (fillfactor = 90)`;
}

/**
 * Columns of every index that the table should have: the declared ones, and one for each channel that none of them serves
 * (its filter is a prefix, in any order). Each ends with the key, as sorted reads do.
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
  return indexes;
}

/** Locks: SHARE on the table: writers wait until it is built, readers do not. */
export const createIndex = (db: Database, projection: AnyProjection, columns: readonly string[]): string =>
  `CREATE INDEX ${quoteIdent(indexName(projection, columns))}
   ON ${db.table(readModelTable(projection))} (${columns.map(quoteIdent).join(', ')})`;

/** The view for people with SQL tools: the fields, without Tidemark's own columns. */
export const createView = (db: Database, projection: AnyProjection): string =>
  `CREATE VIEW ${db.table(projection.name)} AS SELECT ${columnList(projection)} FROM ${db.table(readModelTable(projection))}`;

/** What stands under a name: its relkind, or no row. $1 quoted, qualified name. */
export const SELECT_RELKIND = `SELECT relkind::text FROM pg_class WHERE oid = to_regclass($1)`;

/**
 * The partition of a change log, made beside its parent and then attached: making it as a partition at once would lock out
 * everyone who writes changes. Its first slot with it.
 */
export function createChangeLog(db: Database, projection: AnyProjection): string[] {
  const log = changeLogOf(projection);
  const table = db.table(changeTable(log) ?? '');
  return [
    `CREATE TABLE ${table} (LIKE ${db.table('changes')} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY LIST (slot)`,
    `CREATE TABLE ${db.table(slotTable(projection, 0))} PARTITION OF ${table} FOR VALUES IN (0)`,
    `ALTER TABLE ${db.table('changes')} ATTACH PARTITION ${table} FOR VALUES IN ('${log}')`,
  ];
}

/** Checkpoints of all shards of a source, from the beginning. $1 projection, $2 version, $3 source, $4 shards. */
export const insertCheckpoints = (db: Database): string =>
  `INSERT INTO ${db.table('checkpoints')} (projection, version, source, shard)
   SELECT $1, $2::int, $3, n FROM generate_series(0, $4::int - 1) n ON CONFLICT DO NOTHING`;

/** What a version's table was made for. Locks: none (the advisory lock is held). $1 name, $2 version. */
export const selectProjection = (db: Database): string =>
  `SELECT fingerprint, definition FROM ${db.table('projections')} WHERE name = $1 AND version = $2::int`;

/** $1 name, $2 version, $3 fingerprint, $4 definition, $5 change log, whose epoch becomes the version's. */
export const insertProjection = (db: Database): string =>
  `INSERT INTO ${db.table('projections')} (name, version, fingerprint, definition, epoch)
   SELECT $1, $2::int, $3, $4::json, max(s.epoch) FROM ${db.table('shards')} s WHERE s.log = $5`;

/** The stored text of a function, to see whether it is this code's. $1 schema, $2 name. */
export const SELECT_FUNCTION = `SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.proname = $2`;
