/** Every statement of the operators' reports, each with its purpose and its locks. */
import type { Database } from '../../platform/postgres/database.js';
import { isAlive } from '../versions/presence-statements.js';

type Tables = Pick<Database, 'table'>;

/**
 * All versions of all projections, or of one, of one snapshot. A handful of index probes each. Locks: none.
 * $1 name (NULL: all).
 */
export const selectReports = (db: Tables): string =>
  `SELECT p.name, p.version, p.state, p.reason, p.moved_at, p.loaded, p.ready_at IS NOT NULL, p.accept_parked, p.progress,
     (SELECT coalesce(sum(greatest(s.low, coalesce(
          (SELECT max(e.seq) FROM ${db.table('events')} e WHERE e.category = c.source AND e.shard = c.shard), 0)) - c.seq), 0)::bigint
      FROM ${db.table('checkpoints')} c JOIN ${db.table('shards')} s ON s.log = c.source AND s.shard = c.shard
      WHERE c.projection = p.name AND c.version = p.version),
     (SELECT count(*)::int FROM ${db.table('parked')} k WHERE k.projection = p.name AND k.version = p.version),
     (SELECT json_agg(json_build_array(x.source, x.shard, x.kind, x.reason, x.seq,
          to_char(x.at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ORDER BY x.source, x.shard)
      FROM ${db.table('projection_stops')} x WHERE x.projection = p.name AND x.version = p.version),
     (SELECT json_build_array(count(*), count(*) FILTER (WHERE 'projector' = ANY (v.roles)))
      FROM ${db.table('serving')} v WHERE v.projection = p.name AND v.version = p.version AND ${isAlive(db, 'v.member')}),
     p.definition
   FROM ${db.table('projections')} p WHERE $1::text IS NULL OR p.name = $1 ORDER BY p.name, p.version`;

/** Which tables each SQL view of a schema shows, as `[view, table]`. Locks: none. $1 schema. */
export const SELECT_VIEWS = `SELECT DISTINCT v.relname, t.relname
   FROM pg_class v JOIN pg_rewrite r ON r.ev_class = v.oid
   JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
   JOIN pg_class t ON t.oid = d.refobjid AND t.relnamespace = v.relnamespace AND t.relkind = 'r'
   WHERE v.relnamespace = to_regnamespace($1) AND v.relkind = 'v'`;

/**
 * Bytes on disk of tables with their indexes; no row for one that is not there. Locks: each for a moment, as a reader does,
 * so it waits for whoever changes one. $1 names, quoted and qualified.
 */
export const SELECT_SIZES = `SELECT n, pg_total_relation_size(to_regclass(n)) FROM unnest($1::text[]) n WHERE to_regclass(n) IS NOT NULL`;

/** What sizes are waited for at the most. Locks: none. */
export const SHORT_LOCK_WAIT = `SET LOCAL lock_timeout = '300ms'`;

const PARKED = `k.projection, k.version, k.part, k.key, k.source, k.shard, k.seq, k.stream_id, k.type, k.error, k.attempts, k.parked_at, k.queued`;

/** How many keys are parked, then each of the first, the longest parked first. Locks: none. $1 projection (NULL: all), $2 rows at the most. */
export const selectParked = (db: Tables): string =>
  `SELECT count(*) OVER ()::int, ${PARKED} FROM ${db.table('parked')} k WHERE $1::text IS NULL OR k.projection = $1
   ORDER BY k.projection, k.version, k.parked_at, k.part, k.key LIMIT $2::int`;

/**
 * One parked key of the newest version that has it, or of one version; after the other keys of its group as JSON `[[part, key], …]`.
 * Locks: none. $1 projection, $2 part, $3 key, $4 version (NULL: any).
 */
export const selectOneParked = (db: Tables): string =>
  `SELECT (
       SELECT json_agg(json_build_array(g.part, g.key) ORDER BY g.part, g.key) FROM (
         SELECT g.part, g.key FROM ${db.table('parked')} g
         WHERE g.projection = k.projection AND g.version = k.version AND g.grp = k.grp AND (g.part, g.key) <> (k.part, k.key)
         LIMIT 100) g), ${PARKED}
   FROM ${db.table('parked')} k
   WHERE k.projection = $1 AND k.part = $2 AND k.key = $3 AND ($4::int IS NULL OR k.version = $4::int)
   ORDER BY k.version DESC LIMIT 1`;

const QUEUED = `q.source, q.shard, q.seq, e.stream_id, e.type, e.version, e.recorded_at`;
const ofKey = (db: Tables): string =>
  `FROM ${db.table('parked_events')} q
   JOIN ${db.table('events')} e ON e.category = q.source AND e.shard = q.shard AND e.seq = q.seq
   WHERE q.projection = $1 AND q.version = $2::int AND q.part = $3 AND q.key = $4`;

/** The first events that wait behind a key. Locks: none. $1 projection, $2 version, $3 part, $4 key, $5 rows at the most. */
export const selectQueue = (db: Tables): string =>
  `SELECT ${QUEUED} ${ofKey(db)} AND q.skipped_at IS NULL ORDER BY q.n LIMIT $5::int`;

/** The last events of a key that were skipped, the last first. Locks: none. Parameters as above. */
export const selectSkipped = (db: Tables): string =>
  `SELECT q.skipped_at, q.skipped_why, ${QUEUED} ${ofKey(db)} AND q.skipped_at IS NOT NULL ORDER BY q.n DESC LIMIT $5::int`;

/**
 * The last event that was skipped of a key, whether it is parked or not, in the newest version that has one, or in one version.
 * Locks: none. $1 projection, $2 part, $3 key, $4 version (NULL: any).
 */
export const selectLastSkipped = (db: Tables): string =>
  `SELECT q.version, q.skipped_at, q.skipped_why, q.source, q.shard, q.seq, e.stream_id, e.type
   FROM ${db.table('parked_events')} q
   JOIN ${db.table('events')} e ON e.category = q.source AND e.shard = q.shard AND e.seq = q.seq
   WHERE q.projection = $1 AND q.part = $2 AND q.key = $3 AND ($4::int IS NULL OR q.version = $4::int) AND q.skipped_at IS NOT NULL
   ORDER BY q.version DESC, q.n DESC LIMIT 1`;

/** How many events of a version are skipped. Locks: none. $1 projection, $2 version. */
export const selectSkippedCount = (db: Tables): string =>
  `SELECT count(*)::int FROM ${db.table('parked_events')} q WHERE q.projection = $1 AND q.version = $2::int AND q.skipped_at IS NOT NULL`;
