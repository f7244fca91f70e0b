/** The statement of ordered.ts. */
import type { Database } from '../platform/postgres/database.js';

/**
 * A page of a category’s events in the order of their streams, each stream’s from its first. It ends where its data is more
 * than $6 bytes (a larger event comes alone). Locks: none. Not prepared: planned on an empty table it would keep a scan.
 * $1 category, $2 and $3 stream id and version after which it begins, $4 last stream id (NULL: no end), $5 events at the most.
 */
export const selectOrderedEvents = (db: Pick<Database, 'table'>, columns: string): string =>
  `SELECT ${columns} FROM (
     SELECT p.*, sum(octet_length(p.data::text)) OVER w AS bytes, row_number() OVER w AS place
     FROM (
       SELECT * FROM ${db.table('events')} x
       WHERE x.category = $1 AND (x.stream_id, x.version) > ($2, $3::bigint) AND ($4::text IS NULL OR x.stream_id <= $4)
       ORDER BY x.stream_id, x.version LIMIT $5::int
     ) p WINDOW w AS (ORDER BY p.stream_id, p.version ROWS UNBOUNDED PRECEDING)
   ) e WHERE e.bytes <= $6::bigint OR e.place = 1 ORDER BY e.place`;
