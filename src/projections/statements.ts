/** Every statement of this room that is not made at start (those are in ddl.ts), each with its purpose and its locks. */
import type { AnyProjection } from '../domain/projection.js';
import { quoteIdent, type Database } from '../platform/postgres/database.js';
import { columnList, readModelColumns } from './columns.js';
import { changeLogOf, changeTable, readModelTable } from './names.js';
import { orderBy, type SortField } from './ordering.js';

type Tables = Pick<Database, 'table'>;

/**
 * A page of a change log with the shard's low-water mark and epoch, of one snapshot. Locks: none.
 * Not a named statement: first planned on an empty log, it would keep that plan.
 * $1 log, $2 shard, $3 after, $4 limit; one row with NULLs when there is no entry.
 * @param how.bounded it ends where its rows are more than $5 bytes (a larger row comes alone): a long page of large rows would not
 *   fit into memory. Sizes are read without unpacking the rows
 * @param how.chained with the time of the change before the page, as its last column
 */
export function selectChanges(
  db: Tables,
  table: string,
  how: { readonly bounded: boolean; readonly chained: boolean },
): string {
  const log = db.table(table);
  const page = `SELECT seq, key, before_channels, "row", recorded_at FROM ${log}
     WHERE log = $1 AND shard = $2::int AND seq > $3::bigint ORDER BY seq LIMIT $4::int`;
  const bounded = `SELECT b.* FROM (
       SELECT c.*, sum(octet_length(c."row"::text)) OVER (ORDER BY c.seq ROWS UNBOUNDED PRECEDING) AS bytes FROM (${page}) c
     ) b WHERE coalesce(b.bytes, 0) <= $5::bigint OR b.seq = $3::bigint + 1`;
  const before = `(SELECT f.recorded_at FROM ${log} f WHERE f.log = $1 AND f.shard = $2::int AND f.seq = $3::bigint)`;
  return `SELECT s.low, s.epoch, p.seq, p.key, p.before_channels, p."row", p.recorded_at${how.chained ? `, ${before}` : ''}
   FROM ${db.table('shards')} s LEFT JOIN LATERAL (${how.bounded ? bounded : page}) p ON true
   WHERE s.log = $1 AND s.shard = $2::int ORDER BY p.seq`;
}

/**
 * What stands at places of a change log, with the epoch of their shards, in the order of the places; NULLs where nothing does.
 * Locks: none. Not a named statement: first planned on an empty log, it would keep that plan. $1 log, $2 shards, $3 seqs.
 */
export const selectPlaces = (db: Tables, table: string): string =>
  `SELECT s.epoch, c.key, c.recorded_at FROM unnest($2::int[], $3::bigint[]) WITH ORDINALITY AS x(shard, seq, n)
   JOIN ${db.table('shards')} s ON s.log = $1 AND s.shard = x.shard
   LEFT JOIN LATERAL (SELECT c.key, c.recorded_at FROM ${db.table(table)} c WHERE c.log = $1 AND c.shard = x.shard AND c.seq = x.seq) c ON true
   ORDER BY x.n`;

/** All checkpoints of some projection versions. Locks: none. $1 names, $2 versions. */
export const selectCheckpoints = (db: Tables): string =>
  `SELECT c.projection, c.version, c.source, c.shard, c.seq
   FROM unnest($1::text[], $2::int[]) AS w(projection, version)
   JOIN ${db.table('checkpoints')} c ON c.projection = w.projection AND c.version = w.version`;

/** Bytes of a row's texts, as Postgres reckons them. */
export const sizeOf = (projection: AnyProjection): string =>
  readModelColumns(projection)
    .filter(({ field }) => field.kind === 'text' || field.kind === 'json')
    .map(({ name }) => `coalesce(octet_length(${name}::text), 0)`)
    .join(' + ');

/**
 * Rows of a read model and the heads of its change log, of one snapshot: one statement is one snapshot. Locks: none.
 * The first row has the heads, how many rows match (up to the limit + 1) and their bytes; no row follows when that is too much.
 * $1 rows at the most, $2 bytes at the most, then the values of `where`.
 * @param where conditions on the table's columns with their parameters from $3 on, or an empty text
 */
export function selectSnapshot(db: Tables, projection: AnyProjection, where: string): string {
  const log = changeLogOf(projection);
  const columns = readModelColumns(projection);
  const key = quoteIdent(projection.key);
  return `WITH page AS MATERIALIZED (
      SELECT ${columnList(projection)}, _rev, ${sizeOf(projection)} AS _size
      FROM ${db.table(readModelTable(projection))} ${where === '' ? '' : `WHERE ${where}`}
      ORDER BY ${key} LIMIT $1::int + 1
    ), total AS MATERIALIZED (SELECT count(*)::int AS n, coalesce(sum(_size), 0)::bigint AS bytes FROM page)
    SELECT t.n, t.bytes, ${headsOf(db, log)}, NULL::bigint, ${nothing(projection)}
    FROM total t
    UNION ALL
    SELECT NULL, NULL, NULL, p._rev, ${columnList(projection, 'p.')}
    FROM page p, total t WHERE t.n <= $1::int AND t.bytes <= $2::bigint
    ORDER BY ${columns.findIndex(({ field }) => field.name === projection.key) + 5} NULLS FIRST`;
}

/** Heads of a change log, as JSON `[[shard, epoch, head], …]`. */
const headsOf = (db: Tables, log: string): string =>
  `(SELECT json_agg(json_build_array(s.shard, s.epoch, greatest(s.low, coalesce(
      (SELECT max(c.seq) FROM ${db.table(changeTable(log) ?? '')} c WHERE c.log = s.log AND c.shard = s.shard), 0))) ORDER BY s.shard)
    FROM ${db.table('shards')} s WHERE s.log = '${log}')`;

/** NULLs in the place of a row's columns. */
const nothing = (projection: AnyProjection): string =>
  readModelColumns(projection)
    .map(({ type }) => `NULL::${type}`)
    .join(', ');

/**
 * The first rows in an order and the heads of the change log, of one snapshot: one statement is one snapshot. Locks: none.
 * Columns and parameters as for `selectSnapshot`, but that rows which are too much are left out, and the others come.
 * @param sort ends with the key
 */
export function selectFirst(
  db: Tables,
  projection: AnyProjection,
  where: string,
  sort: readonly SortField[],
): string {
  return `WITH page AS MATERIALIZED (
      SELECT x.*, row_number() OVER rows AS _n, sum(_size) OVER rows AS _bytes FROM (
        SELECT ${columnList(projection)}, _rev, ${sizeOf(projection)} AS _size
        FROM ${db.table(readModelTable(projection))} ${where === '' ? '' : `WHERE ${where}`}
        ORDER BY ${orderBy(sort)} LIMIT $1::int + 1
      ) x WINDOW rows AS (ROWS UNBOUNDED PRECEDING)
    )
    SELECT t.n, t.bytes, ${headsOf(db, changeLogOf(projection))}, NULL::bigint, ${nothing(projection)}, 0 AS _at
    FROM (SELECT count(*)::int AS n, coalesce(sum(_size), 0)::bigint AS bytes FROM page) t
    UNION ALL
    SELECT NULL, NULL, NULL, p._rev, ${columnList(projection, 'p.')}, p._n
    FROM page p WHERE p._n <= $1::int AND p._bytes <= $2::bigint
    ORDER BY _at`;
}

/**
 * Rows by key with their revision, and the bytes of the rows up to each; they end with the row that makes it more than $2.
 * Locks: none; who folds from them proves it under the locks (apply.ts).
 * Not a named statement: first planned on an empty table, it would keep that plan. $1 keys, $2 bytes.
 */
export const selectRows = (db: Tables, projection: AnyProjection): string =>
  `SELECT ${columnList(projection)}, _rev, _total::bigint FROM (
     SELECT ${columnList(projection)}, _rev, _size, sum(_size) OVER (ROWS UNBOUNDED PRECEDING) AS _total FROM (
       SELECT ${columnList(projection)}, _rev, ${sizeOf(projection)} AS _size FROM ${db.table(readModelTable(projection))}
       WHERE ${quoteIdent(projection.key)} = ANY ($1::text[])
     ) r
   ) t WHERE _total - _size <= $2::bigint`;

/**
 * Where the workers of a projection version begin: its checkpoints, the epoch of its change log (or its own where it has none), its
 * state, and the shards that stand still. Locks: none. $1 name, $2 version, $3 change log.
 */
export const selectBeginnings = (db: Tables): string =>
  `SELECT c.source, c.shard, c.seq, coalesce((SELECT max(s.epoch) FROM ${db.table('shards')} s WHERE s.log = $3), p.epoch),
     p.state, p.loaded, x.seq
   FROM ${db.table('checkpoints')} c JOIN ${db.table('projections')} p ON p.name = c.projection AND p.version = c.version
   LEFT JOIN ${db.table('projection_stops')} x ON x.projection = c.projection AND x.version = c.version AND x.source = c.source AND x.shard = c.shard
   WHERE c.projection = $1 AND c.version = $2::int`;
