/**
 * The SQL of this room. All of it only reads, takes no row locks, and is never a named statement: read-model tables grow
 * from nothing, and a plan made on an empty table would be kept. Postgres locks tables in the order of the text: rows stand
 * before changes, as who empties both for a rebuild takes them in that order.
 */
import type { AnyProjection } from '../domain/projection.js';
import type { AnyReadModel } from '../domain/tables.js';
import { quoteIdent, type Database } from '../platform/postgres/database.js';
import { columnList, readModelColumns } from '../projections/columns.js';
import { changeLogOf, changeTable, readModelTable } from '../projections/names.js';
import { orderBy } from '../projections/ordering.js';
import { isParked } from '../projections/parked/reading.js';
import { equals, rangesAfter, Values } from './keyset.js';
import type { Filter, ListRequest } from './list-request.js';
import type { FilterValue } from './parameters.js';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

type Tables = Pick<Database, 'table'>;

/** JSON of the rows of one page at the most, roughly; a page of larger rows is shorter, and has a next one. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** Head of one shard of a change log: the greater of its last seq and its low-water mark; one index probe. */
const headOf = (db: Tables, projection: AnyProjection, log: string): string => {
  const changes = db.table(changeTable(changeLogOf(projection)) ?? 'changes');
  return `greatest(s.low, coalesce((SELECT max(c.seq) FROM ${changes} c WHERE c.log = ${log} AND c.shard = s.shard), 0))`;
};

/** Bytes that a row may hold beyond its numbers. */
function sizeOf(projection: AnyProjection): string {
  const wide = readModelColumns(projection).filter(
    ({ field }) => field.kind === 'text' || field.kind === 'json',
  );
  return wide.map(({ name }) => `coalesce(octet_length(x.${name}::text), 0)`).join(' + ');
}

/**
 * One row and the head of its shard, as of one snapshot, in one statement.
 * Columns: epoch, head, whether it is parked, rev (null: there is no such row), then the projection’s columns. No row at all: no such log.
 */
export function rowStatement(
  db: Tables,
  projection: AnyProjection,
  at: {
    readonly shard: number;
    readonly key: string;
    /** A row that does not meet these is as one that is not there. */
    readonly scope: readonly Filter[];
  },
): Statement {
  const values = new Values();
  const log = values.add(changeLogOf(projection), 'text');
  const shard = values.add(at.shard, 'int');
  const key = values.add(at.key, 'text');
  const within = at.scope.map(({ field, value }) => ` AND ${equals(field, value, values, 'r.')}`).join('');
  const parked = isParked(db, projection, key, (column) => `r.${column}`);
  return {
    text: `SELECT s.epoch, ${headOf(db, projection, log)}, ${parked}, r._rev, ${columnList(projection, 'r.')}
      FROM ${db.table('shards')} s LEFT JOIN ${db.table(readModelTable(projection))} r ON r.${quoteIdent(projection.key)} = ${key}${within}
      WHERE s.log = ${log} AND s.shard = ${shard}`,
    values: values.list,
  };
}

export interface ListOptions {
  readonly request: ListRequest;
  /** Sort values of the row to go on after. */
  readonly after: readonly FilterValue[] | undefined;
  /** Heads to read beside the rows: of all shards, of one, or none. */
  readonly heads: 'all' | 'none' | { readonly shard: number };
}

/** The rows of a page in their order, and one more; a select per range, so that each is a walk along an index. */
function rowsStatement(
  db: Tables,
  projection: AnyProjection,
  { request, after }: Pick<ListOptions, 'request' | 'after'>,
  values: Values,
): string {
  const filters = request.filters.map(({ field, value }) => equals(field, value, values));
  const ranges = after ? rangesAfter(request.sort, after, values) : ['true'];
  const end = `ORDER BY ${orderBy(request.sort)} LIMIT ${values.add(request.limit + 1, 'int')}`;
  const selects = ranges.map(
    (range) =>
      `SELECT ${columnList(projection)} FROM ${db.table(readModelTable(projection))} WHERE ${[...filters, range].join(' AND ')} ${end}`,
  );
  if (selects.length === 1) return selects.join();
  return `SELECT * FROM (${selects.map((select) => `(${select})`).join(' UNION ALL ')}) u ${end}`;
}

/**
 * One page of rows with the heads of the change log, as of one snapshot, in one statement. Reads one row more than the
 * limit, to know whether there are more.
 * Columns: epoch and heads as JSON `[[shard, seq], …]` (both in the first row only), rows found (null: none), whether the
 * row is parked, then the projection’s columns.
 */
export function listStatement(
  db: Tables,
  projection: AnyProjection,
  { request, after, heads }: ListOptions,
): Statement {
  const values = new Values();
  const log = values.add(changeLogOf(projection), 'text');
  const shard = typeof heads === 'object' ? ` AND s.shard = ${values.add(heads.shard, 'int')}` : '';
  const position =
    heads === 'none'
      ? 'NULL::json'
      : `json_agg(json_build_array(s.shard, ${headOf(db, projection, log)}) ORDER BY s.shard)`;
  const parked = isParked(db, projection, `r.${quoteIdent(projection.key)}`, (column) => `r.${column}`);
  const first = 'CASE WHEN r._n IS NULL OR r._n = 1 THEN';
  return {
    text: `SELECT ${first} p.epoch END, ${first} p.heads END, r._found, ${parked}, ${columnList(projection, 'r.')}
      FROM (
        SELECT y.* FROM (
          SELECT x.*, row_number() OVER rows AS _n, count(*) OVER () AS _found, sum(${sizeOf(projection)}) OVER rows AS _bytes
          FROM (${rowsStatement(db, projection, { request, after }, values)}) x
          WINDOW rows AS (ROWS UNBOUNDED PRECEDING)
        ) y WHERE y._n = 1 OR (y._bytes <= ${PAGE_BYTES} AND y._n <= ${values.add(request.limit, 'int')})
      ) r
      RIGHT JOIN (SELECT min(s.epoch) AS epoch, ${position} AS heads FROM ${db.table('shards')} s WHERE s.log = ${log}${shard}) p ON true
      ORDER BY r._n`,
    values: values.list,
  };
}

/**
 * Epochs of event logs, and how far projections have come in them: index probes only.
 * $1 projections, $2 versions, $3 sources (a row of the three each).
 * Columns: projection, version, source, shard, epoch, checkpoint (0 where there is none).
 */
export const selectProgress = (db: Tables): string =>
  `SELECT w.projection, w.version, w.source, s.shard, s.epoch, coalesce(c.seq, 0)
   FROM unnest($1::text[], $2::int[], $3::text[]) AS w (projection, version, source)
   JOIN ${db.table('shards')} s ON s.log = w.source
   LEFT JOIN ${db.table('checkpoints')} c
     ON c.projection = w.projection AND c.version = w.version AND c.source = w.source AND c.shard = s.shard`;

/** Begins a named query: all its statements see one snapshot and can write nothing. One round trip for both. */
export const beginRead = (timeoutMs: number): string =>
  `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${Math.trunc(timeoutMs)}`;

/**
 * The epochs of what a named query reads, and whether it has parked keys; sent with `beginRead`. The tables are locked as a reader does before the snapshot
 * is taken: who empties one for a rebuild has done so before, with a new epoch to see, or comes after the query.
 * Locks: ACCESS SHARE on the tables, until the transaction's end. Columns: projection, epoch, parked.
 * @param tables quoted and qualified
 */
export function lockAndSelectEpochs(
  db: Tables,
  reads: readonly Pick<AnyReadModel, 'name' | 'version'>[],
  tables: readonly string[],
): string {
  const versions = reads.map(({ name, version }) => `('${name}', ${version})`).join(', ');
  return `LOCK TABLE ${tables.join(', ')} IN ACCESS SHARE MODE;
    SELECT p.name, coalesce((SELECT max(s.epoch) FROM ${db.table('shards')} s WHERE s.log = p.name || '.v' || p.version), p.epoch),
      EXISTS (SELECT FROM ${db.table('parked')} k WHERE k.projection = p.name AND k.version = p.version)
    FROM ${db.table('projections')} p WHERE (p.name, p.version) IN (${versions})`;
}

/** Ends it. Nothing was written, so that ROLLBACK and COMMIT are the same, and ROLLBACK also ends one that failed. */
export const END_READ = 'ROLLBACK';
