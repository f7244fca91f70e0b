/** Every statement about versions of projections and who serves them, each with its purpose and its locks. */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/**
 * How the versions of a process stand, of one snapshot: a row a version; a handful of index probes each. Locks: none.
 * $1 names, $2 versions, $3 change logs, $4 whether the checkpoints of the other versions are to be told.
 * Columns: name, state (null: there is no such version), reason, loaded, ready, accepts parked keys, progress, epoch (of its
 * change log, where it has one), parked keys, stops `[source, shard, kind, reason, seq]`, checkpoints `[source, shard, seq]`, other versions that
 * are not retired `[version, ready, [[source, shard, seq], …]]`.
 */
export const selectVersions = (db: Tables): string =>
  `SELECT w.name, p.state, p.reason, p.loaded, p.ready_at IS NOT NULL, p.accept_parked, p.progress,
     coalesce((SELECT max(s.epoch) FROM ${db.table('shards')} s WHERE s.log = w.log), p.epoch),
     (SELECT count(*)::int FROM ${db.table('parked')} k WHERE k.projection = w.name AND k.version = w.version),
     (SELECT json_agg(json_build_array(x.source, x.shard, x.kind, x.reason, x.seq) ORDER BY x.source, x.shard)
      FROM ${db.table('projection_stops')} x WHERE x.projection = w.name AND x.version = w.version),
     (SELECT json_agg(json_build_array(c.source, c.shard, c.seq))
      FROM ${db.table('checkpoints')} c WHERE c.projection = w.name AND c.version = w.version),
     CASE WHEN w.compare THEN (
       SELECT json_agg(json_build_array(o.version, o.ready_at IS NOT NULL, (
           SELECT coalesce(json_agg(json_build_array(c.source, c.shard, c.seq)), '[]')
           FROM ${db.table('checkpoints')} c WHERE c.projection = o.name AND c.version = o.version)) ORDER BY o.version)
       FROM ${db.table('projections')} o WHERE o.name = w.name AND o.version <> w.version AND o.state <> 'retired') END
   FROM unnest($1::text[], $2::int[], $3::text[], $4::boolean[]) AS w(name, version, log, compare)
   LEFT JOIN ${db.table('projections')} p ON p.name = w.name AND p.version = w.version`;

/**
 * The version may be served from now on: it is loaded, and as far as the one before it. Not where it was rebuilt since that
 * was seen. Locks: the version's row. $1 name, $2 version, $3 change log, $4 its epoch (or the version's own) as it was seen.
 */
export const updateReady = (db: Tables): string =>
  `UPDATE ${db.table('projections')} p SET ready_at = now()
   WHERE p.name = $1 AND p.version = $2::int AND p.ready_at IS NULL AND p.loaded
     AND coalesce((SELECT max(s.epoch) FROM ${db.table('shards')} s WHERE s.log = $3), p.epoch) = $4
   RETURNING p.name`;
