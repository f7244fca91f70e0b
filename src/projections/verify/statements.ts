/** Every statement of a verification. All only read, in a snapshot of their own, and take no locks that a writer would wait for. */
import type { AnyProjection } from '../../domain/projection.js';
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { columnList } from '../columns.js';
import { changeLogOf, changeTable, readModelTable } from '../names.js';
import { partTable } from '../parts/ddl.js';
import { sizeOf } from '../statements.js';

type Tables = Pick<Database, 'table'>;

/**
 * Bounds of the transaction, and which backend runs it. While events are read elsewhere nothing of it stays open, so a client that froze
 * inside of it may be ended. $1 ms that are left.
 */
export const SET_BOUNDS = `SELECT pg_backend_pid(), set_config('statement_timeout', $1, true), set_config('lock_timeout', '5000', true),
  set_config('idle_in_transaction_session_timeout', '30000', true)`;

/** Ends the statement that a backend runs, not its session. $1 pid. */
export const CANCEL_BACKEND = `SELECT pg_cancel_backend($1::int)`;

/** How a version is. $1 name, $2 version. */
export const selectVersion = (db: Tables): string =>
  `SELECT p.state, p.loaded, p.fingerprint FROM ${db.table('projections')} p WHERE p.name = $1 AND p.version = $2::int`;

/** Its checkpoints, with the low-water mark of each event shard. $1 name, $2 version. */
export const selectPositions = (db: Tables): string =>
  `SELECT c.source, c.shard, c.seq, coalesce(s.low, 0) FROM ${db.table('checkpoints')} c
   LEFT JOIN ${db.table('shards')} s ON s.log = c.source AND s.shard = c.shard WHERE c.projection = $1 AND c.version = $2::int`;

const AMONG = `(k.part <> '' OR ($3::text[] IS NULL OR k.key = ANY ($3)) AND ($4::text IS NULL OR k.key > $4) AND ($5::text IS NULL OR k.key <= $5))`;

/**
 * Parked keys among some, or of a range, and all parked parts. $1 name, $2 version, $3 keys (NULL: all), $4 after (NULL: from the first),
 * $5 last (NULL: no end).
 */
export const selectParkedKeys = (db: Tables): string =>
  `SELECT k.part, k.key FROM ${db.table('parked')} k WHERE k.projection = $1 AND k.version = $2::int AND ${AMONG}`;

/** Events that wait behind such keys, or were skipped for them. Parameters as above. */
export const selectLeftOutEvents = (db: Tables): string =>
  `SELECT k.part, k.key, k.source, k.shard, k.seq, k.skipped_at IS NOT NULL FROM ${db.table('parked_events')} k
   WHERE k.projection = $1 AND k.version = $2::int AND ${AMONG}`;

/**
 * Events that come next after a checkpoint and are in the part of their stream already: a part that many rows name is written before its
 * event counts as in. $1 name, $2 version.
 */
export const selectPartsAhead = (db: Tables, projection: AnyProjection): string =>
  `SELECT c.source, c.shard, e.seq FROM ${db.table('checkpoints')} c
   CROSS JOIN LATERAL (SELECT x.* FROM ${db.table('events')} x WHERE x.category = c.source AND x.shard = c.shard AND x.seq = c.seq + 1) e
   JOIN ${db.table(partTable(projection))} p ON p.source = e.category AND p.key = e.stream_id AND p.version >= e.version
   WHERE c.projection = $1 AND c.version = $2::int`;

/** A row as it is compared: its columns, then its revision. */
const rowColumns = (projection: AnyProjection): string => `${columnList(projection, 't.')}, t._rev`;
const keyOf = (projection: AnyProjection): string => `t.${quoteIdent(projection.key)}`;

/** Rows by key. $1 keys. */
export const selectRowsByKey = (db: Tables, projection: AnyProjection): string =>
  `SELECT ${rowColumns(projection)} FROM ${db.table(readModelTable(projection))} t WHERE ${keyOf(projection)} = ANY ($1::text[])`;

/** A page of rows in the order of their keys, which ends with the row that makes it more than $3 bytes. $1 after, $2 rows at the most. */
export const selectRowPage = (db: Tables, projection: AnyProjection): string =>
  `SELECT ${rowColumns(projection)} FROM (
     SELECT p.*, sum(_size) OVER (ORDER BY ${quoteIdent(projection.key)} ROWS UNBOUNDED PRECEDING) - _size AS _above FROM (
       SELECT t.*, ${sizeOf(projection)} AS _size FROM ${db.table(readModelTable(projection))} t
       WHERE ${keyOf(projection)} > $1 ORDER BY ${keyOf(projection)} LIMIT $2::int
     ) p
   ) t WHERE t._above <= $3::bigint ORDER BY ${keyOf(projection)}`;

/** Keys of rows in some blocks, chosen by a seed. $1 percent of the blocks, $2 seed, $3 keys at the most. */
export const sampleKeys = (db: Tables, projection: AnyProjection): string =>
  `SELECT ${keyOf(projection)} FROM ${db.table(readModelTable(projection))} t TABLESAMPLE SYSTEM ($1::float4) REPEATABLE ($2::float8)
   ORDER BY sha256(convert_to($2::text || ${keyOf(projection)}, 'UTF8')) LIMIT $3::int`;

/** About how many rows the table has; negative when nobody knows. Statistics. $1 quoted, qualified name. */
export const ESTIMATE_ROWS = `SELECT c.reltuples::float8 FROM pg_class c WHERE c.oid = to_regclass($1)`;

/** The streams of some events. $1 category, $2 shards and $3 seqs of the events. */
export const selectStreamsAt = (db: Tables): string =>
  `SELECT DISTINCT e.stream_id FROM unnest($2::int[], $3::bigint[]) AS u(shard, seq)
   CROSS JOIN LATERAL (SELECT x.stream_id FROM ${db.table('events')} x WHERE x.category = $1 AND x.shard = u.shard AND x.seq = u.seq) e`;

/** Where a key falls among 2^32 places, by a seed ($1): the same as `placeOf`. */
const placeOf = (projection: AnyProjection): string =>
  `('x' || encode(substr(sha256(convert_to($1::text || ${keyOf(projection)}, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint`;

/** How many rows fall to a slice, and their bytes. Reads the whole table. $1 seed, $2 first place, $3 the place after the last. */
export const measureSlice = (db: Tables, projection: AnyProjection): string =>
  `SELECT count(*), coalesce(sum(${sizeOf(projection)}), 0)::bigint FROM ${db.table(readModelTable(projection))} t
   WHERE ${placeOf(projection)} >= $2::bigint AND ${placeOf(projection)} < $3::bigint`;

/** The rows of a slice. Reads the whole table. Parameters as above. */
export const selectSlice = (db: Tables, projection: AnyProjection): string =>
  `SELECT ${rowColumns(projection)} FROM ${db.table(readModelTable(projection))} t
   WHERE ${placeOf(projection)} >= $2::bigint AND ${placeOf(projection)} < $3::bigint`;

const changesOf = (db: Tables, projection: AnyProjection): string =>
  db.table(changeTable(changeLogOf(projection)) ?? '');

/** Low-water marks of the change log. $1 log. */
export const selectLows = (db: Tables): string =>
  `SELECT s.shard, s.low FROM ${db.table('shards')} s WHERE s.log = $1`;

/** The last change of each of some keys. Reads the change log as far as it is kept. $1 log, $2 keys. */
export const selectLastChanges = (db: Tables, projection: AnyProjection): string =>
  `SELECT DISTINCT ON (c.key) c.key, c.shard, c.seq, c."row" FROM ${changesOf(db, projection)} c
   WHERE c.log = $1 AND c.key = ANY ($2::text[]) ORDER BY c.key, c.seq DESC`;

/** Some changes by their places. $1 log, $2 shards, $3 seqs. */
export const selectChangesAt = (db: Tables, projection: AnyProjection): string =>
  `SELECT c.key, c.shard, c.seq, c."row" FROM unnest($2::int[], $3::bigint[]) AS u(shard, seq)
   CROSS JOIN LATERAL (SELECT x.* FROM ${changesOf(db, projection)} x WHERE x.log = $1 AND x.shard = u.shard AND x.seq = u.seq) c`;

/**
 * Keys whose last change is later than their row, or whose row is there in one of the two only; the first row has how many. Reads the log
 * as far as it is kept, and the table, as of one moment. That the change a row names is there is looked up row by row (above).
 * $1 log, $2 keys at the most.
 */
export const selectOutdatedRows = (db: Tables, projection: AnyProjection): string =>
  `WITH last AS (
     SELECT c.key, c.shard, max(c.seq) AS seq FROM ${changesOf(db, projection)} c WHERE c.log = $1 GROUP BY c.key, c.shard
   ), outdated AS MATERIALIZED (
     SELECT l.key, t._rev AS rev, l.shard, l.seq, c."row" IS NULL AS gone
     FROM last l JOIN ${changesOf(db, projection)} c ON c.log = $1 AND c.shard = l.shard AND c.seq = l.seq
     LEFT JOIN ${db.table(readModelTable(projection))} t ON ${keyOf(projection)} = l.key
     WHERE l.seq > t._rev OR (c."row" IS NULL) <> (t._rev IS NULL)
   )
   SELECT NULL, NULL, NULL, NULL, NULL, count(*) FROM outdated
   UNION ALL (SELECT o.key, o.rev, o.shard, o.seq, o.gone, NULL FROM outdated o LIMIT $2::int)`;
