/** Statements of projections that a handler writes, each with its purpose and its locks. */
import type { TableDefinition } from '../../domain/tables.js';
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { columnDefinitions } from '../ddl.js';
import { readModelTable } from '../names.js';

type Tables = Pick<Database, 'table'>;

/** Begins a handler's transaction. `timeoutMs` is for each of its statements. One round trip for both. */
export const beginHandler = (timeoutMs: number): string =>
  `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = ${Math.trunc(timeoutMs)}`;

/**
 * Moves the checkpoints under the writer's lease; what it raises and locks stands with the function. A named statement:
 * its plan is a call and no more. $1 projection, $2 version, $3 sources, $4 shards, $5 from, $6 to,
 * $7 ids of the events there, $8 scope, $9 holder, $10 term.
 */
export const callBegin = (db: Tables): string =>
  `SELECT ${db.table('tables_begin_v2')}($1, $2::int, $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::text[], $8, $9, $10::bigint)`;

/** A table with its key. Locks: none that others wait for. */
export function createTable(
  db: Tables,
  { name, fields, primaryKey }: TableDefinition,
  version: number,
): string {
  const table = readModelTable({ name, version });
  return `CREATE TABLE ${db.table(table)} (${columnDefinitions({ fields })},
    CONSTRAINT ${quoteIdent(`_pk_${table}`)} PRIMARY KEY (${primaryKey.map(quoteIdent).join(', ')})) WITH (fillfactor = 90)`;
}

/**
 * A new version; it follows its events from the first, and whoever serves it says when it is ready (versions/readiness.ts). It has
 * an epoch of its own, as it has no change log.
 * Locks: none that others wait for. $1 name, $2 version, $3 fingerprint, $4 definition, $5 epoch.
 */
export const insertVersion = (db: Tables): string =>
  `INSERT INTO ${db.table('projections')} (name, version, fingerprint, definition, epoch, ready_at)
   VALUES ($1, $2::int, $3, $4::json, $5, NULL)`;

/** A retired version comes back, perhaps with another definition. Locks: its row. Parameters as above. */
export const renewVersion = (db: Tables): string =>
  `UPDATE ${db.table('projections')} p SET fingerprint = $3, definition = $4::json, created_at = now(), loaded = true,
     accept_parked = false, progress = NULL, epoch = $5, ready_at = NULL
   WHERE p.name = $1 AND p.version = $2::int`;

/**
 * A version begins anew: nobody may read it until it is as far as its events, or as another version.
 * Locks: its row. $1 name, $2 version, $3 epoch.
 */
export const restartVersion = (db: Tables): string =>
  `UPDATE ${db.table('projections')} p SET loaded = true, progress = NULL, epoch = $3, ready_at = NULL
   WHERE p.name = $1 AND p.version = $2::int`;

/**
 * Fences the writer: a batch of its term cannot be written any more, and it opens its shards again, from the checkpoints as
 * they are then. Locks: the lease; waits for the batch in flight. $1 scope.
 */
export const raiseTerm = (db: Tables): string =>
  `UPDATE ${db.table('leases')} SET term = term + 1 WHERE scope = $1`;

/** All rows go. Locks: ACCESS EXCLUSIVE on the tables; waits for whoever reads them. */
export const truncateTables = (db: Tables, tables: readonly string[]): string =>
  `TRUNCATE ${tables.map((table) => db.table(table)).join(', ')}`;
