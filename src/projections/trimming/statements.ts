/** The statements that look at the slots of change logs, and move and drop them; each with its purpose and its locks. */
import type { Database } from '../../platform/postgres/database.js';
import { changeTable, slotTableOf } from '../names.js';

type Tables = Pick<Database, 'table' | 'schema'>;

/** Every change log: its open slot and how much was ever trimmed of it. Locks: none. */
export const selectLogs = (db: Tables): string =>
  `SELECT log, max(slot), sum(low)::bigint FROM ${db.table('shards')} WHERE position('.' in log) > 0 GROUP BY log ORDER BY log`;

/**
 * The partitions that hold entries, their bytes on disk with indexes, and whether anything was ever written to them.
 * Locks: ACCESS SHARE on all of them until the statement ends. $1 the table of changes, quoted.
 */
export const SELECT_PARTITIONS = `SELECT c.relname::text, coalesce(pg_total_relation_size(c.oid), 0)::bigint, coalesce(pg_relation_size(c.oid), 0) = 0
   FROM pg_partition_tree($1::regclass) t JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf AND t.level = 2`;

/** Since when the slots are open and closed, ms ago. Locks: none. */
export const selectTimes = (db: Tables): string =>
  `SELECT log, slot, (extract(epoch FROM clock_timestamp() - opened_at) * 1000)::float8,
     (extract(epoch FROM clock_timestamp() - closed_at) * 1000)::float8
   FROM ${db.table('change_slots')}`;

/**
 * Slots that are there and were not noted (a new log's first one) are, as of now. Locks: none but its own rows.
 * $1 logs, $2 slots, $3 whether each is closed.
 */
export const noteSlots = (db: Tables): string =>
  `INSERT INTO ${db.table('change_slots')} (log, slot, closed_at)
   SELECT w.log, w.slot, CASE WHEN w.closed THEN now() END FROM unnest($1::text[], $2::int[], $3::boolean[]) AS w(log, slot, closed)
   ON CONFLICT DO NOTHING`;

/** Forgets slots whose partition is gone. Locks: their rows. $1 logs, $2 slots. */
export const forgetSlots = (db: Tables): string =>
  `DELETE FROM ${db.table('change_slots')} c USING unnest($1::text[], $2::int[]) AS w(log, slot) WHERE c.log = w.log AND c.slot = w.slot`;

/** An open slot in which nothing is yet is as good as new. Locks: its row. $1 log, $2 slot. */
export const renewSlot = (db: Tables): string =>
  `UPDATE ${db.table('change_slots')} SET opened_at = now() WHERE log = $1 AND slot = $2::int AND closed_at IS NULL`;

/** One who trims at a time; the functions below take the same. Locks: advisory, until commit. $1 schema, quoted. */
export const LOCK_TRIMMING = `SELECT pg_advisory_xact_lock(hashtext('tidemark:trimming'), hashtext($1))`;

/** Whether a table is there. $1 quoted, qualified name. */
export const SELECT_THERE = `SELECT to_regclass($1) IS NOT NULL`;

/**
 * The partition of a slot, made beside the log and then attached. Locks: SHARE UPDATE EXCLUSIVE on the log's table, which
 * neither writers nor readers wait for; made as a partition at once, it would lock out both.
 */
export function createSlot(db: Tables, log: string, slot: number): readonly string[] {
  const parent = db.table(changeTable(log) ?? '');
  const table = db.table(slotTableOf(log, slot));
  return [
    `CREATE TABLE ${table} (LIKE ${parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`,
    `ALTER TABLE ${parent} ATTACH PARTITION ${table} FOR VALUES IN (${Math.trunc(slot)})`,
  ];
}

/** Moves a log to a slot; see the function for its locks. $1 log, $2 slot. */
export const openSlot = (db: Tables): string => `SELECT ${db.table('open_change_slot_v1')}($1, $2::int)`;

/** Drops a slot; see the function for its locks. $1 log, $2 slot, $3 log's table, $4 slot's table, $5 ms to wait for them. */
export const dropSlot = (db: Tables): string =>
  `SELECT ${db.table('drop_change_slot_v1')}($1, $2::int, $3, $4, $5::int)`;
