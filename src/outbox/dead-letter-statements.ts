/** The statements of dead-letters.ts. */
import type { Database } from '../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/**
 * Parked events that were not sent yet, oldest first, with what went wrong: that of the event at fault, also for those that wait
 * behind it. Locks: none. $1 projections, $2 how many.
 */
export const selectUnsent = (db: Tables): string =>
  `SELECT p.n, p.projection, k.error, k.attempts, k.source, k.shard, k.seq, s.epoch, e.category, e.shard, e.seq, e.event_id, e.stream_id,
     e.version, e.type, e.schema_version, e.data, e.tags, e.metadata, e.recorded_at
   FROM (
     SELECT * FROM ${db.table('parked_events')} u WHERE NOT u.sent AND u.projection = ANY ($1::text[]) ORDER BY u.n LIMIT $2::int
   ) p
   JOIN ${db.table('events')} e ON e.category = p.source AND e.shard = p.shard AND e.seq = p.seq
   JOIN ${db.table('shards')} s ON s.log = p.source AND s.shard = p.shard
   LEFT JOIN ${db.table('parked')} k ON k.projection = p.projection AND k.version = p.version AND k.part = p.part AND k.key = p.key
   ORDER BY p.n`;

/**
 * They are sent. Those that a replay has in its hands are passed over, and sent again if they stay. Locks: the rows, without
 * waiting for any. $1 their numbers.
 */
export const markSent = (db: Tables): string =>
  `UPDATE ${db.table('parked_events')} u SET sent = true FROM (
     SELECT n FROM ${db.table('parked_events')} WHERE NOT sent AND n = ANY ($1::bigint[]) ORDER BY n FOR UPDATE SKIP LOCKED
   ) f WHERE NOT u.sent AND u.n = f.n`;
