/** The statements of listing.ts. All only read and take no locks. */
import type { Database } from '../platform/postgres/database.js';

export interface ListingStatements {
  readonly categories: string;
  readonly streams: string;
  readonly audit: string;
}

export function listingStatements(db: Pick<Database, 'table'>): ListingStatements {
  const events = db.table('events');
  const shards = db.table('shards');
  return {
    // Heads by one index probe per shard. Logs of changes have a dot in their names.
    categories: `SELECT s.log, count(*)::int, sum(greatest(s.low, coalesce((SELECT max(e.seq) FROM ${events} e
        WHERE e.category = s.log AND e.shard = s.shard), 0)))::bigint
      FROM ${shards} s WHERE position('.' in s.log) = 0 GROUP BY s.log ORDER BY s.log`,
    // Jumps from stream to stream over the key, instead of reading all their events. $1 category, $2 after, $3 limit.
    streams: `WITH RECURSIVE ids AS (
        (SELECT e.stream_id, 1 AS n FROM ${events} e WHERE e.category = $1 AND e.stream_id > $2 COLLATE "C"
         ORDER BY e.stream_id LIMIT 1)
        UNION ALL
        SELECT next.stream_id, ids.n + 1 FROM ids CROSS JOIN LATERAL (
          SELECT e.stream_id FROM ${events} e WHERE e.category = $1 AND e.stream_id > ids.stream_id
          ORDER BY e.stream_id LIMIT 1) next
        WHERE ids.n < $3::int)
      SELECT ids.stream_id, l.version, l.type, l.recorded_at FROM ids CROSS JOIN LATERAL (
        SELECT e.version, e.type, e.recorded_at FROM ${events} e
        WHERE e.category = $1 AND e.stream_id = ids.stream_id ORDER BY e.version DESC LIMIT 1) l
      ORDER BY ids.n`,
    // Every seq above the low-water mark up to the head must be there once; the key keeps repeats out.
    audit: `SELECT s.log, s.shard, s.low, greatest(s.low, coalesce(max(e.seq), 0)),
        greatest(s.low, coalesce(max(e.seq), 0)) - s.low - count(e.seq) FILTER (WHERE e.seq > s.low)
      FROM ${shards} s LEFT JOIN ${events} e ON e.category = s.log AND e.shard = s.shard
      WHERE position('.' in s.log) = 0 GROUP BY s.log, s.shard, s.low ORDER BY s.log, s.shard`,
  };
}
