/** For readers: SQL that tells whether a row stands still, cheap while nothing is parked. Only for statements that read. */
import type { AnyProjection } from '../../domain/projection.js';
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { partTable } from '../parts/ddl.js';

type Tables = Pick<Database, 'table'>;

/**
 * A condition: the row, or a part of another stream that it shows, is parked. While the version has no parked keys it costs
 * one index probe a statement, else one or two more a row.
 * @param key SQL of the row’s key, with a table’s alias where one is needed
 * @param column SQL of a column of the row; NULL where there is no row
 */
export function isParked(
  db: Tables,
  projection: AnyProjection,
  key: string,
  column: (name: string) => string,
): string {
  const of = `k.projection = '${projection.name}' AND k.version = ${projection.version}`;
  const parked = `SELECT FROM ${db.table('parked')} k`;
  const causes = [
    `EXISTS (${parked} WHERE ${of} AND k.part = '' AND k.key = ${key})`,
    ...projection.joins.map(
      ({ source, by }) =>
        `EXISTS (${parked} WHERE ${of} AND k.part = '${source}' AND k.key = ${column(quoteIdent(by))})`,
    ),
    ...(projection.rowsMove
      ? [
          `EXISTS (${parked} JOIN ${db.table(partTable(projection))} m ON m.source = k.part AND m.key = k.key WHERE ${of} AND m.row_key = ${key})`,
        ]
      : []),
  ];
  return `CASE WHEN (SELECT EXISTS (${parked} WHERE ${of})) THEN ${causes.join(' OR ')} ELSE false END`;
}
