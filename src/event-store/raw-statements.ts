/** The statement of raw-reads.ts. */
import type { Database } from '../platform/postgres/database.js';

/**
 * A page of a shard as text, with its low-water mark, its epoch and the id of the event before the page, all of one snapshot. One row
 * with NULLs where there is no event; no row where there is no such shard. Parts are apart by a sign that no JSON, name or
 * number has, as in `readShardBounded`. Locks: none. Not prepared: planned on an empty table it would keep that plan.
 * $1 category, $2 shard, $3 after, $4 limit; bounded: $5 bytes of data at the most (a larger event comes alone).
 */
export function selectRawPage(db: Pick<Database, 'table'>, bounded: boolean): string {
  const events = db.table('events');
  const page = `SELECT * FROM ${events} x WHERE x.category = $1 AND x.shard = $2 AND x.seq > $3 ORDER BY x.seq LIMIT $4`;
  const whole = `SELECT * FROM (
      SELECT p.*, sum(octet_length(p.data::text)) OVER (ORDER BY p.seq ROWS UNBOUNDED PRECEDING) AS bytes FROM (${page}) p
    ) b WHERE b.bytes <= $5 OR b.seq = $3 + 1`;
  return `SELECT s.low, s.epoch, (SELECT f.event_id FROM ${events} f WHERE f.category = $1 AND f.shard = $2 AND f.seq = $3),
      e.stream_id, e.data, concat_ws(E'\\x1f', e.seq, e.event_id, e.version, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata)
    FROM ${db.table('shards')} s LEFT JOIN LATERAL (${bounded ? whole : page}) e ON true
    WHERE s.log = $1 AND s.shard = $2 ORDER BY e.seq`;
}
