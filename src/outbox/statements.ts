/** Every statement of the relay, with its purpose and its locks. Cursors come last in the lock order, sorted by log and shard. */
import type { Database } from '../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/** The first application that relays the schema. Locks: a new row only. $1 its name. */
export const insertOwner = (db: Tables): string =>
  `INSERT INTO ${db.table('settings')} (name, value) VALUES ('relayed_for', $1) ON CONFLICT (name) DO NOTHING`;
/** Which one that is. Locks: none. */
export const selectOwner = (db: Tables): string =>
  `SELECT value FROM ${db.table('settings')} WHERE name = 'relayed_for'`;

/**
 * Cursors for logs that have none yet: an event log from its beginning, a change log from its low-water mark. Their epochs are
 * known from then on. Locks: new rows only. $1 logs.
 */
export const ensureCursors = (db: Tables): string =>
  `WITH made AS (
     INSERT INTO ${db.table('relay_cursors')} (log, shard, epoch, seq, begun)
     SELECT s.log, s.shard, s.epoch, s.low, s.low FROM ${db.table('shards')} s WHERE s.log = ANY ($1::text[]) ORDER BY s.log, s.shard
     ON CONFLICT DO NOTHING
   )
   INSERT INTO ${db.table('relay_epochs')} (log, epoch)
   SELECT DISTINCT s.log, s.epoch FROM ${db.table('shards')} s WHERE s.log = ANY ($1::text[]) ON CONFLICT DO NOTHING`;

/** Head of a shard, of a row of `shards` with the alias `s`: by one index probe. */
const headOf = (db: Tables): string =>
  `greatest(s.low, coalesce(CASE WHEN position('.' IN s.log) = 0
     THEN (SELECT max(e.seq) FROM ${db.table('events')} e WHERE e.category = s.log AND e.shard = s.shard)
     ELSE (SELECT max(x.seq) FROM ${db.table('changes')} x WHERE x.log = s.log AND x.shard = s.shard) END, 0))`;

/** Of the entry at a seq: the id of an event, the time of a change. */
const markAt = (db: Tables, seq: string): string =>
  `CASE WHEN position('.' IN s.log) = 0
     THEN (SELECT e.event_id FROM ${db.table('events')} e WHERE e.category = s.log AND e.shard = s.shard AND e.seq = ${seq}) END,
   CASE WHEN position('.' IN s.log) > 0
     THEN (SELECT x.recorded_at FROM ${db.table('changes')} x WHERE x.log = s.log AND x.shard = s.shard AND x.seq = ${seq}) END`;

/** What `Known` is made of, of `shards` s, cursors c, and what is wanted w. */
const knownColumns = (db: Tables): string =>
  `s.log, s.shard, s.epoch, s.low, ${headOf(db)}, c.epoch, c.seq, c.begun, c.diverged,
     (SELECT o.shard || ': ' || o.diverged FROM ${db.table('relay_cursors')} o
      WHERE o.log = c.log AND o.shard <> c.shard AND o.diverged IS NOT NULL ORDER BY o.shard LIMIT 1),
     EXISTS (SELECT FROM ${db.table('relay_epochs')} k WHERE k.log = w.log AND k.epoch = w.epoch), ${markAt(db, 'w.tail')}`;

/**
 * Whoever opens shards takes their cursors, if he has their leases, and learns what Postgres has where Kafka ends. No row where he
 * has not. Locks: the leases FOR SHARE, then the cursors.
 * $1 holder; of each shard $2 log, $3 shard, $4 scope of its lease, $5 term, $6 seq of Kafka's last record or 0, $7 its epoch.
 */
export const claimCursors = (db: Tables): string =>
  `WITH wanted AS (
     SELECT * FROM unnest($2::text[], $3::int[], $4::text[], $5::bigint[], $6::bigint[], $7::text[]) AS w(log, shard, scope, term, tail, epoch)
   ), held AS (
     SELECT w.log, w.shard, w.term FROM wanted w JOIN ${db.table('leases')} l ON l.scope = w.scope AND l.item = w.shard
     WHERE l.holder = $1 AND l.term = w.term ORDER BY w.log, w.shard FOR SHARE OF l
   ), mine AS (
     SELECT c.log, c.shard, h.term FROM held h JOIN ${db.table('relay_cursors')} c ON c.log = h.log AND c.shard = h.shard
     ORDER BY c.log, c.shard FOR NO KEY UPDATE OF c
   ), claimed AS (
     UPDATE ${db.table('relay_cursors')} c SET holder = $1, term = m.term FROM mine m WHERE c.log = m.log AND c.shard = m.shard
     RETURNING c.log, c.shard, c.epoch, c.seq, c.begun, c.diverged
   )
   SELECT ${knownColumns(db)}
   FROM claimed c JOIN wanted w ON w.log = c.log AND w.shard = c.shard JOIN ${db.table('shards')} s ON s.log = c.log AND s.shard = c.shard`;

/**
 * The same for who only looks: also where nothing was ever relayed. Locks: none. Of each shard $1 log, $2 shard, $3 seq of Kafka's
 * last record or 0, $4 its epoch.
 */
export const selectKnown = (db: Tables): string =>
  `WITH wanted AS (SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[]) AS w(log, shard, tail, epoch))
   SELECT ${knownColumns(db)}
   FROM wanted w JOIN ${db.table('shards')} s ON s.log = w.log AND s.shard = w.shard
   LEFT JOIN ${db.table('relay_cursors')} r ON r.log = s.log AND r.shard = s.shard
   CROSS JOIN LATERAL (SELECT s.log, s.shard, coalesce(r.epoch, s.epoch) AS epoch, coalesce(r.seq, s.low) AS seq, coalesce(r.begun, s.low) AS begun, r.diverged) c`;

/**
 * Puts a cursor where Kafka ends, in the log's epoch of now; nothing diverges there any more. A row if it is still the caller's.
 * Locks: the cursor. $1 log, $2 shard, $3 holder, $4 term, $5 epoch, $6 seq, $7 begun.
 */
export const placeCursor = (db: Tables): string =>
  `WITH known AS (INSERT INTO ${db.table('relay_epochs')} (log, epoch) VALUES ($1, $5) ON CONFLICT DO NOTHING)
   UPDATE ${db.table('relay_cursors')} SET epoch = $5, seq = $6::bigint, begun = $7::bigint, diverged = NULL
   WHERE log = $1 AND shard = $2::int AND holder = $3 AND term = $4::bigint RETURNING 1`;

/** What was found, for all relays and for people. Locks: the cursor. $1 log, $2 shard, $3 holder, $4 term, $5 what. */
export const markDiverged = (db: Tables): string =>
  `UPDATE ${db.table('relay_cursors')} SET diverged = $5
   WHERE log = $1 AND shard = $2::int AND holder = $3 AND term = $4::bigint AND diverged IS DISTINCT FROM $5`;

/** Cursors follow what Kafka acknowledged; see the function. $1 holder; $2 logs, $3 shards, $4 terms, $5 from, $6 to. */
export const moveCursors = (db: Tables): string =>
  `SELECT log, shard FROM ${db.table('relay_move_v1')}($1, $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])`;

/** Shards at which Kafka and Postgres part. Locks: none. $1 logs. */
export const selectDiverged = (db: Tables): string =>
  `SELECT log, shard, diverged FROM ${db.table('relay_cursors')} WHERE log = ANY ($1::text[]) AND diverged IS NOT NULL ORDER BY log, shard`;

/**
 * Which server this is: its identity, and the timeline that it writes on (the first eight digits of a WAL file's name). Locks: none.
 */
export const SELECT_SERVER = `SELECT (SELECT system_identifier::text FROM pg_control_system()), left(pg_walfile_name(pg_current_wal_lsn()), 8)`;

/** Remembers the server, and gives the one before. Locks: its one row. $1 system identifier, $2 timeline. */
export const rememberServer = (db: Tables): string =>
  `WITH before AS (SELECT system_identifier, timeline FROM ${db.table('relay_state')}),
   now AS (
     INSERT INTO ${db.table('relay_state')} AS s (system_identifier, timeline) VALUES ($1, $2)
     ON CONFLICT (one) DO UPDATE SET system_identifier = $1, timeline = $2, seen_at = now()
     WHERE s.system_identifier <> $1 OR s.timeline <> $2)
   SELECT system_identifier, timeline FROM before`;

/**
 * Entries that are not in Kafka yet, by log, and since when the oldest of them waits. Locks: none; index probes only. $1 logs.
 */
export const selectPending = (db: Tables): string =>
  `SELECT p.log, sum(p.head - p.seq)::bigint, min(CASE WHEN p.head > p.seq THEN coalesce(
       (SELECT e.recorded_at FROM ${db.table('events')} e WHERE e.category = p.log AND e.shard = p.shard AND e.seq = p.seq + 1),
       (SELECT x.recorded_at FROM ${db.table('changes')} x WHERE x.log = p.log AND x.shard = p.shard AND x.seq = p.seq + 1)) END)
   FROM (
     SELECT s.log, s.shard, ${headOf(db)} AS head, greatest(s.low, CASE WHEN c.epoch = s.epoch THEN c.seq ELSE 0 END) AS seq
     FROM ${db.table('relay_cursors')} c JOIN ${db.table('shards')} s ON s.log = c.log AND s.shard = c.shard WHERE s.log = ANY ($1::text[])
   ) p GROUP BY p.log`;
