/** Statements on parts, and on rows by what they name. Who folds from what they read proves it under the locks (apply.ts). */
import type { AnyProjection } from '../../domain/projection.js';
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { columnList } from '../columns.js';
import { readModelTable } from '../names.js';
import { sizeOf } from '../statements.js';
import { partTable } from './ddl.js';

type Tables = Pick<Database, 'table'>;

/**
 * The parts of some streams, and the bytes of the parts up to each; they end with the one that makes it more than $3.
 * Locks: none. Not a named statement: first planned on an empty table, it would keep that plan. $1 sources, $2 stream ids, $3 bytes.
 */
export const selectParts = (db: Tables, projection: AnyProjection): string =>
  `SELECT source, key, part, total::bigint FROM (
     SELECT p.source, p.key, p.part, octet_length(p.part::text) AS size, sum(octet_length(p.part::text)) OVER (ROWS UNBOUNDED PRECEDING) AS total
     FROM unnest($1::text[], $2::text[]) AS w(source, key)
     JOIN ${db.table(partTable(projection))} p ON p.source = w.source AND p.key = w.key
   ) t WHERE total - size <= $3::bigint`;

/**
 * Of the streams whose rows stand at each key, the one that came last, some streams left out. Locks: none. Not a named
 * statement, as above. $1 keys, $2 streams that are left out, as aggregate and stream id with a `/` between.
 */
export const selectHolders = (db: Tables, projection: AnyProjection): string =>
  `SELECT k.key, h.source, h.key, h.part FROM unnest($1::text[]) AS k(key) CROSS JOIN LATERAL (
     SELECT p.source, p.key, p.part FROM ${db.table(partTable(projection))} p
     WHERE p.row_key = k.key AND (p.source || '/' || p.key) <> ALL ($2::text[])
     ORDER BY p.since DESC, p.source DESC, p.key DESC LIMIT 1) h`;

/**
 * A page of the rows that name some streams, in key order, with their revision and the bytes of the rows up to each; it ends
 * where they are more than $4 bytes. Locks: none. Not a named statement, as above. $1 stream ids, $2 after this key, $3 rows, $4 bytes.
 * @param by the column that names them
 * @param one there is one stream only: the rows then come from the index in their order, however many there are
 */
export const selectReferring = (db: Tables, projection: AnyProjection, by: string, one: boolean): string =>
  `SELECT ${columnList(projection)}, _rev, _total::bigint FROM (
     SELECT ${columnList(projection)}, _rev, _size, sum(_size) OVER (ORDER BY ${quoteIdent(projection.key)} ROWS UNBOUNDED PRECEDING) AS _total FROM (
       SELECT ${columnList(projection)}, _rev, ${sizeOf(projection)} AS _size FROM ${db.table(readModelTable(projection))}
       WHERE ${quoteIdent(by)} = ${one ? '($1::text[])[1]' : 'ANY ($1::text[])'} AND ${quoteIdent(projection.key)} > $2
       ORDER BY ${quoteIdent(projection.key)} LIMIT $3::int
     ) r
   ) t WHERE _total - _size <= $4::bigint ORDER BY ${quoteIdent(projection.key)}`;
