/** Every SQL statement of the event store, with its purpose and its locks. The two functions they call are in migration 0003. */
import type { Database } from '../platform/postgres/database.js';

export interface Statement {
  /** Prepared under this name where its plan does not change with the data. */
  readonly name?: string;
  readonly text: string;
}

export const EVENT_COLUMNS =
  'e.event_id, e.seq, e.shard, e.stream_id, e.version, e.type, e.schema_version, e.data, e.tags, e.metadata, e.recorded_at';

export interface EventStoreStatements {
  readonly append: Statement;
  readonly appendOne: Statement;
  readonly alive: Statement;
  readonly fence: Statement;
  readonly findAppended: Statement;
  readonly readForwards: Statement;
  readonly readBackwards: Statement;
  readonly readShard: Statement;
  readonly readShardBounded: Statement;
  readonly loadSnapshot: Statement;
  readonly saveSnapshot: Statement;
  readonly keyPages: Statement;
  readonly purgeKeys: Statement;
}

const readStream = (events: string, comparison: '>=' | '<=', order: 'ASC' | 'DESC'): Statement => ({
  text: `SELECT ${EVENT_COLUMNS} FROM ${events} e
         WHERE e.category = $1 AND e.stream_id = $2 AND e.version ${comparison} $3 ORDER BY e.version ${order} LIMIT $4`,
});

/** @param keys the table of idempotency keys */
const purgeStatements = (keys: string): Pick<EventStoreStatements, 'keyPages' | 'purgeKeys'> => ({
  // Pages of the key table as they are now. Locks: none.
  keyPages: {
    text: `SELECT pg_relation_size(to_regclass($1)) / current_setting('block_size')::int`,
  },
  // Removes expired keys of a range of pages: a scan of just these pages, so that no index on the time is needed, which every append
  // would pay for. Locks: the removed rows; an append only reads keys and never waits for them.
  purgeKeys: {
    text: `WITH gone AS (
               DELETE FROM ${keys} WHERE ctid >= format('(%s,0)', $1::int8)::tid AND ctid < format('(%s,0)', $2::int8)::tid
                 AND recorded_at < clock_timestamp() - make_interval(secs => $3::float8 / 1000) RETURNING 1)
             SELECT count(*)::int FROM gone`,
  },
});

export function eventStoreStatements(db: Pick<Database, 'table'>): EventStoreStatements {
  const events = db.table('events');
  const keys = db.table('idempotency_keys');
  return {
    // One group commit. Locks: shard rows FOR NO KEY UPDATE in (log, shard) order, then new idempotency keys in hash order.
    append: {
      name: 'tidemark_append_v1',
      text: `SELECT array_to_string(a.epochs, ','), a.heads::text, a.versions::text, a.statuses::text, a.firsts::text, a.recorded, a.answers
             FROM ${db.table('append_v1')}($1, $2, $3::text[], $4::int4[], $5::int8[], $6::int4[], $7::text[], $8::int8[], $9::int4[], $10::int4[], $11::uuid[],
               $12::uuid[], $13::bool[], $14::int4[], $15::int4[], $16::text[], $17::uuid[], $18::text[], $19::int4[], $20::json[], $21::json[], $22::json[]) a`,
    },
    // The same for one event of one stream, answered in the same form. Locks: the same.
    appendOne: {
      name: 'tidemark_append_one_v1',
      text: `SELECT a.epoch, ARRAY[a.head]::text, ARRAY[a.version]::text, CASE WHEN a.status > 0 THEN ARRAY[a.status]::text END, NULL, a.recorded,
               CASE WHEN a.status = 1 THEN json_build_array(json_build_array(1, a.answer)) END
             FROM ${db.table('append_one_v1')}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) a`,
    },
    // Whether a backend outlived the error that it answered with. Locks: none.
    alive: { text: 'SELECT' },
    // Ends a backend of ours whose connection was lost, and waits (2 s at the most) until it is gone: else it could still begin the
    // append that waits in its socket, after the look-up found nothing. No row: it is gone already. Locks: none.
    fence: {
      text: `SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity
             WHERE pid = $1 AND usename = current_user AND application_name = current_setting('application_name')`,
    },
    // What an append of unknown outcome left. Locks: the same shard rows, in the same order.
    findAppended: {
      text: `SELECT n, version, seq, recorded, epoch
             FROM ${db.table('find_appended_v1')}($1::text[], $2::int4[], $3::int4[], $4::text[], $5::uuid[], $6::int8[], $7::int8[])`,
    },
    // Events of a stream from a version on. Locks: none. Not prepared: planned on an empty table it would keep a sequential scan.
    readForwards: readStream(events, '>=', 'ASC'),
    // Events of a stream from a version back to its first. Locks: none.
    readBackwards: readStream(events, '<=', 'DESC'),
    // Entries of a shard after a seq, beside the low-water mark of the same snapshot: entries that were trimmed cannot look like
    // entries that never were. One row with NULLs where there is no entry; no row where there is no such shard. The one shard row
    // keeps the inner order, and the reader checks it. Locks: none.
    readShard: {
      text: `SELECT s.low, ${EVENT_COLUMNS} FROM ${db.table('shards')} s
             LEFT JOIN LATERAL (SELECT * FROM ${events} x WHERE x.category = $1 AND x.shard = $2 AND x.seq > $3 ORDER BY x.seq LIMIT $4) e ON true
             WHERE s.log = $1 AND s.shard = $2`,
    },
    // The same for long pages, which end where their data is more than $5 bytes (a larger event comes alone): a page of large events
    // would not fit into memory. Sizes are read without unpacking the data; short pages go without, as the sum costs a quarter. What else an
    // event has comes as one text, its parts apart by a sign that no JSON, name or number has: ten columns cost the reader a third more.
    // Locks: none.
    readShardBounded: {
      text: `SELECT s.low, e.stream_id, e.data, concat_ws(E'\\x1f', e.seq, e.event_id, e.version, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata)
             FROM ${db.table('shards')} s
             LEFT JOIN LATERAL (
               SELECT * FROM (
                 SELECT p.*, sum(octet_length(p.data::text)) OVER (ORDER BY p.seq ROWS UNBOUNDED PRECEDING) AS bytes
                 FROM (SELECT * FROM ${events} x WHERE x.category = $1 AND x.shard = $2 AND x.seq > $3 ORDER BY x.seq LIMIT $4) p
               ) b WHERE b.bytes <= $5 OR b.seq = $3 + 1
             ) e ON true
             WHERE s.log = $1 AND s.shard = $2 ORDER BY e.seq`,
    },
    // The snapshot of a stream, if the running code can use it. Locks: none.
    loadSnapshot: {
      name: 'tidemark_load_snapshot',
      text: `SELECT version, state FROM ${db.table('snapshots')} WHERE category = $1 AND stream_id = $2 AND fingerprint = $3`,
    },
    // Keeps the newer snapshot, or that of the running code. Locks: the stream's snapshot row; never inside another transaction.
    saveSnapshot: {
      name: 'tidemark_save_snapshot',
      text: `INSERT INTO ${db.table('snapshots')} AS s (category, stream_id, fingerprint, version, state) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (category, stream_id) DO UPDATE
             SET fingerprint = excluded.fingerprint, version = excluded.version, state = excluded.state, recorded_at = now()
             WHERE s.fingerprint <> excluded.fingerprint OR s.version < excluded.version`,
    },
    ...purgeStatements(keys),
  };
}
