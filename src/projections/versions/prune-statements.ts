/** Statements that drop what nobody uses any more, each with its purpose and its locks. */
import type { Database } from '../../platform/postgres/database.js';
import { isAlive } from './presence-statements.js';

type Tables = Pick<Database, 'table'>;

/** One who makes or drops read models at a time, also over several transactions. Locks: advisory, of the session. $1 schema. */
export const LOCK_SESSION = `SELECT pg_advisory_lock(hashtext('tidemark:read-models'), hashtext($1))`;
export const UNLOCK_SESSION = `SELECT pg_advisory_unlock(hashtext('tidemark:read-models'), hashtext($1))`;

/**
 * All versions, and who uses each. Locks: none.
 * Columns: name, version, state, definition, made at, live processes that serve it, last seen with any process.
 */
export const selectUse = (db: Tables): string =>
  `SELECT p.name, p.version, p.state, p.definition, p.created_at,
     (SELECT count(DISTINCT u.member)::int FROM (
        SELECT s.member FROM ${db.table('serving')} s WHERE s.projection = p.name AND s.version = p.version
        UNION ALL
        -- Processes of Tidemark 0.1 say nothing, and take part in leases.
        SELECT w.member FROM ${db.table('members')} w CROSS JOIN unnest(w.scopes) scope
        WHERE p.name || '.v' || p.version = ANY (string_to_array(scope, '/'))
      ) u WHERE ${isAlive(db, 'u.member')}),
     (SELECT max(s.seen_at) FROM ${db.table('serving')} s WHERE s.projection = p.name AND s.version = p.version)
   FROM ${db.table('projections')} p ORDER BY p.name, p.version`;

/** Which of the schema's tables are read by views, of whatever schema. Locks: none. $1 schema. */
export const SELECT_SHOWN = `SELECT DISTINCT vn.nspname || '.' || v.relname, t.relname::text FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
   JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass
   JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class AND v.oid <> t.oid
   JOIN pg_namespace vn ON vn.oid = v.relnamespace
   WHERE n.nspname = $1 AND t.relkind = 'r' ORDER BY 1`;

/** Functions that write a version, whatever Tidemark made them. Locks: none. $1 schema, $2 pattern of their names. */
export const SELECT_FUNCTIONS = `SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
   WHERE n.nspname = $1 AND p.proname ~ $2`;

/** What is kept of a version in tables of all versions. Locks: the rows that go. $1 name, $2 version. */
export const deleteVersionRows = (db: Tables): string[] =>
  ['checkpoints', 'projection_stops', 'parked_events', 'parked', 'builds', 'serving'].map(
    (table) => `DELETE FROM ${db.table(table)} WHERE projection = $1 AND version = $2::int`,
  );

/** The same of its change log. Locks: the rows that go. $1 change log. */
export const deleteLogRows = (db: Tables): string[] =>
  ['change_slots', 'shards'].map((table) => `DELETE FROM ${db.table(table)} WHERE log = $1`);

/** Leases of its workers and builders: scopes that end with its change log or have it before another slash. Locks: the rows that go. $1 change log. */
export const deleteLeases = (db: Tables): string =>
  `DELETE FROM ${db.table('leases')} WHERE $1 = ANY (string_to_array(scope, '/'))`;

/** What is left of the version: that it was there. Locks: its row. $1 name, $2 version. */
export const emptyVersion = (db: Tables): string =>
  `UPDATE ${db.table('projections')} SET loaded = false, ready_at = NULL, accept_parked = false, progress = NULL, reason = NULL
   WHERE name = $1 AND version = $2::int`;

/** Whether a change log's table is a partition of all changes, and is being taken out. Locks: none. $1 quoted, qualified name. */
export const SELECT_ATTACHED = `SELECT i.inhdetachpending FROM pg_inherits i WHERE i.inhrelid = to_regclass($1)`;
