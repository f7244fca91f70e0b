/** The statements that compare two versions of a projection in Postgres: all of one snapshot, no locks that a writer waits for. */
import { quoteIdent, type Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

export interface DiffTable {
  /** Unquoted. */
  readonly table: string;
  readonly key: string;
}

export interface DiffColumn {
  readonly name: string;
  /** Of the two versions; kinds of fields. */
  readonly kinds: readonly [string, string];
}

/** Versions of a projection with what their tables were made for. $1 name, $2 versions. */
export const selectDefinitions = (db: Tables): string =>
  `SELECT p.version, p.state, p.loaded, p.definition FROM ${db.table('projections')} p WHERE p.name = $1 AND p.version = ANY ($2::int[])`;

/** Checkpoints of two versions side by side. $1 name, $2 and $3 versions. */
export const selectPositionPairs = (db: Tables): string =>
  `SELECT coalesce(a.source, b.source), coalesce(a.shard, b.shard), a.seq, b.seq
   FROM (SELECT * FROM ${db.table('checkpoints')} WHERE projection = $1 AND version = $2::int) a
   FULL JOIN (SELECT * FROM ${db.table('checkpoints')} WHERE projection = $1 AND version = $3::int) b
     ON b.source = a.source AND b.shard = a.shard
   ORDER BY 1, 2`;

/** Whether a column differs. JSON is compared as what it says, so that neither the order of members nor 1 and 1.0 make a difference. */
function differs({ name, kinds: [first, second] }: DiffColumn): string {
  const column = quoteIdent(name);
  if (first === second && first !== 'json') return `a.${column} IS DISTINCT FROM b.${column}`;
  const json = (alias: string, kind: string): string =>
    kind === 'json' ? `${alias}.${column}::jsonb` : `to_jsonb(${alias}.${column})`;
  return `${json('a', first)} IS DISTINCT FROM ${json('b', second)}`;
}

const joined = (db: Tables, first: DiffTable, second: DiffTable): string =>
  `${db.table(first.table)} a FULL JOIN ${db.table(second.table)} b ON a.${quoteIdent(first.key)} = b.${quoteIdent(second.key)}`;

/**
 * Every row beside that of the other version. First a row of counts: rows of each version, rows in one only, rows in both that differ, then
 * how many differ in each column. Then keys: up to $1 of each sort, sorted. Reads both tables as a whole.
 */
export function compareTables(
  db: Tables,
  first: DiffTable,
  second: DiffTable,
  columns: readonly DiffColumn[],
): string {
  const [keyA, keyB] = [`a.${quoteIdent(first.key)}`, `b.${quoteIdent(second.key)}`];
  const flags = columns.map(differs);
  const any = ['false', ...flags].join(' OR ');
  const each = columns.map((_column, n) => `count(*) FILTER (WHERE d.sort = 'both' AND d.flags[${n + 1}])`);
  return `WITH d AS MATERIALIZED (
      SELECT coalesce(${keyA}, ${keyB}) COLLATE "C" AS key,
        CASE WHEN ${keyB} IS NULL THEN 'first' WHEN ${keyA} IS NULL THEN 'second' ELSE 'both' END AS sort,
        ARRAY[${flags.join(', ')}]::boolean[] AS flags
      FROM ${joined(db, first, second)} WHERE ${keyA} IS NULL OR ${keyB} IS NULL OR ${any}
    ), listed AS (
      SELECT d.key, d.sort, row_number() OVER (PARTITION BY d.sort ORDER BY d.key) AS n FROM d
    )
    SELECT NULL AS key, NULL AS sort, json_build_array(
      (SELECT count(*) FROM ${db.table(first.table)}), (SELECT count(*) FROM ${db.table(second.table)}),
      count(*) FILTER (WHERE d.sort = 'first'), count(*) FILTER (WHERE d.sort = 'second'), count(*) FILTER (WHERE d.sort = 'both'),
      json_build_array(${each.join(', ')})) AS counts FROM d
    UNION ALL (SELECT l.key, l.sort, NULL FROM listed l WHERE l.n <= $1::int ORDER BY l.sort, l.key)`;
}

/** The common columns of some rows in both versions: the key, then those of the first, then those of the second. $1 keys. */
export function selectBothRows(
  db: Tables,
  first: DiffTable,
  second: DiffTable,
  columns: readonly DiffColumn[],
): string {
  const values = (alias: string): string[] => columns.map(({ name }) => `${alias}.${quoteIdent(name)}`);
  const key = `a.${quoteIdent(first.key)}`;
  return `SELECT ${[key, ...values('a'), ...values('b')].join(', ')}
   FROM ${db.table(first.table)} a JOIN ${db.table(second.table)} b ON ${key} = b.${quoteIdent(second.key)}
   WHERE ${key} = ANY ($1::text[]) ORDER BY ${key}`;
}
