/** Statements of loaders (rebuild/) where rows are made of parts: parts come in, and then the rows that they make. */
import { hasParts } from '../../domain/parts.js';
import type { AnyProjection } from '../../domain/projection.js';
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { readModelColumns } from '../columns.js';
import { readModelTable } from '../names.js';
import { partTable } from './ddl.js';

type Tables = Pick<Database, 'table'>;

/** Parts in. Locks: ROW EXCLUSIVE on the table. */
export const copyParts = (db: Tables, projection: AnyProjection): string =>
  `COPY ${db.table(partTable(projection))} (source, key, version, row_key, since, part) FROM STDIN`;

/** Columns as `json_to_record` gives them. */
const shapeOf = (projection: AnyProjection, names: (name: string) => boolean): string =>
  readModelColumns(projection)
    .filter(({ field }) => names(field.name))
    .map(({ field, name, type }) => `${name} ${field.kind === 'text' ? 'text' : type}`)
    .join(', ');

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Each join as a relation `j<n>` with its columns, beside rows `r`; its `none` is parameter n. */
const joinsOf = (db: Tables, projection: AnyProjection): string =>
  projection.joins
    .map(
      ({ source, by, columns }, n) =>
        `LEFT JOIN ${db.table(partTable(projection))} p${n} ON p${n}.source = '${source}' AND p${n}.key = r.${quoteIdent(by)}
       CROSS JOIN LATERAL json_to_record(coalesce(p${n}.part -> 'columns', $${n + 1}::json)) AS j${n}(${shapeOf(projection, (name) => columns.includes(name))})`,
    )
    .join('\n');

/** Of all streams whose rows stand at a key, the one that came there last makes the row. */
function insertMoving(db: Tables, projection: AnyProjection, revision: number): string {
  const joinOf = (name: string): number =>
    projection.joins.findIndex(({ columns }) => columns.includes(name));
  const columns = readModelColumns(projection);
  const values = columns.map(({ field, name }) => {
    const n = joinOf(field.name);
    return n < 0 ? `r.${name}` : `j${n}.${name}`;
  });
  return `INSERT INTO ${db.table(readModelTable(projection))} (${columns.map(({ name }) => name).join(', ')}, _rev)
   SELECT ${values.join(', ')}, ${revision} FROM (
     SELECT DISTINCT ON (p.row_key) p.part -> 'row' AS own FROM ${db.table(partTable(projection))} p WHERE p.row_key IS NOT NULL
     ORDER BY p.row_key, p.since DESC, p.source DESC, p.key DESC
   ) h CROSS JOIN LATERAL json_to_record(h.own) AS r(${shapeOf(projection, (name) => joinOf(name) < 0)})
   ${joinsOf(db, projection)}`;
}

/** Joined columns into rows that were loaded without. */
function updateJoined(db: Tables, projection: AnyProjection): string {
  const table = db.table(readModelTable(projection));
  const quoted = projection.joins.flatMap(({ columns }, n) =>
    columns.map((name) => ({ n, name: quoteIdent(name) })),
  );
  return `UPDATE ${table} t SET ${quoted.map(({ n, name }) => `${name} = s.v${n}_${name.slice(1, -1)}`).join(', ')} FROM (
     SELECT r.ctid AS at, ${quoted.map(({ n, name }) => `j${n}.${name} AS v${n}_${name.slice(1, -1)}`).join(', ')}
     FROM ${table} r ${joinsOf(db, projection)}
     WHERE ${projection.joins.map((_join, n) => `p${n}.key IS NOT NULL`).join(' OR ')}
   ) s WHERE t.ctid = s.at`;
}

/**
 * Makes the rows of parts, once all parts (and rows without joined columns) are loaded. Locks: ROW EXCLUSIVE on the table;
 * for versions that nobody reads or writes.
 * @param revision of the rows that it makes
 */
export function makeRows(db: Tables, projection: AnyProjection, revision: number): Statement[] {
  if (!hasParts(projection)) return [];
  const values = projection.joins.map(({ none }) => JSON.stringify(none));
  if (projection.rowsMove) return [{ text: insertMoving(db, projection, revision), values }];
  return [{ text: updateJoined(db, projection), values }];
}
