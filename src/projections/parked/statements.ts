/** Every statement on parked keys but those that stand in functions (`park_v1`, `unpark_v1` of the migrations). */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/**
 * The parked keys of a version, and how many events wait behind each. Locks: none; who goes by it proves it under the locks
 * (apply.ts). $1 projection, $2 version.
 */
export const selectParkedKeys = (db: Tables): string =>
  `SELECT part, key, queued FROM ${db.table('parked')} WHERE projection = $1 AND version = $2::int`;

/** Of a version: epoch and count of shards of its change log, and what its table was made for. Locks: none. $1 name, $2 version, $3 change log. */
export const selectVersionLog = (db: Tables): string =>
  `SELECT max(s.epoch), count(*)::int, p.fingerprint FROM ${db.table('projections')} p JOIN ${db.table('shards')} s ON s.log = $3
   WHERE p.name = $1 AND p.version = $2::int GROUP BY p.fingerprint`;

/**
 * A parked key with the place of the event at fault, and the first events that wait behind it, in their order; they end where their data is more than $6 bytes (a
 * larger one comes alone). One row with NULLs where nothing waits, none where the key is not parked. Locks: none; who goes by
 * it proves it under the locks (`unpark_v1`).
 * $1 projection, $2 version, $3 part, $4 key, $5 events at the most, $6 bytes.
 */
export const selectWaiting = (db: Tables): string =>
  `SELECT k.queued, k.source, k.shard, k.seq, w.n, w.source, w.event_id, w.seq, w.shard, w.stream_id, w.version, w.type, w.schema_version, w.data, w.tags, w.metadata, w.recorded_at
   FROM ${db.table('parked')} k LEFT JOIN LATERAL (
     SELECT b.* FROM (
       SELECT q.n, q.source, q.shard, q.seq, e.event_id, e.stream_id, e.version, e.type, e.schema_version, e.data, e.tags, e.metadata, e.recorded_at,
         row_number() OVER (ORDER BY q.n) AS i, sum(octet_length(e.data::text)) OVER (ORDER BY q.n ROWS UNBOUNDED PRECEDING) AS bytes
       FROM (
         SELECT n, source, shard, seq FROM ${db.table('parked_events')}
         WHERE projection = $1 AND version = $2::int AND part = $3 AND key = $4 AND skipped_at IS NULL ORDER BY n LIMIT $5::int
       ) q LEFT JOIN ${db.table('events')} e ON e.category = q.source AND e.shard = q.shard AND e.seq = q.seq
     ) b WHERE b.bytes <= $6::bigint OR b.i = 1
   ) w ON true
   WHERE k.projection = $1 AND k.version = $2::int AND k.part = $3 AND k.key = $4 ORDER BY w.n`;

/** Keeps a pause or a rebuild from beginning. Locks: the version's row. $1 name, $2 version. */
export const shareVersion = (db: Tables): string =>
  `SELECT FROM ${db.table('projections')} WHERE name = $1 AND version = $2::int FOR SHARE`;

/** Nobody writes rows of events until commit. Locks: all checkpoints of the version, in one order. $1 name, $2 version. */
export const lockCheckpoints = (db: Tables): string =>
  `SELECT FROM ${db.table('checkpoints')} WHERE projection = $1 AND version = $2::int ORDER BY source, shard FOR NO KEY UPDATE`;

/** Nobody records an event behind the key until commit. Locks: its row. $1 name, $2 version, $3 part, $4 key. */
export const lockParked = (db: Tables): string =>
  `SELECT FROM ${db.table('parked')} WHERE projection = $1 AND version = $2::int AND part = $3 AND key = $4 FOR UPDATE`;

/** Parked keys in the order in which they were parked, after one of them. Locks: none. $1 name, $2 version, $3 after (grp), $4 limit. */
export const selectInOrder = (db: Tables): string =>
  `SELECT grp, part, key FROM ${db.table('parked')} WHERE projection = $1 AND version = $2::int AND grp > $3::bigint ORDER BY grp LIMIT $4::int`;

/** Whether a version may become ready though keys are parked. Locks: its row. $1 name, $2 version, $3 yes or no. */
export const updateAccept = (db: Tables): string =>
  `UPDATE ${db.table('projections')} SET accept_parked = $3::boolean WHERE name = $1 AND version = $2::int RETURNING accept_parked`;
