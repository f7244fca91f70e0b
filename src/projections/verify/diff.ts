/**
 * What differs between the rows of two versions of a projection, as of one moment: to see, before a new version is served, what it
 * changes. Compared in Postgres, by the definitions that are stored with the tables, so that no code of either version is needed.
 */
import { z } from 'zod';
import { TidemarkError } from '../../platform/errors.js';
import { textArray } from '../../platform/postgres/arrays.js';
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { readModelTable } from '../names.js';
import { Bounds, OutOfTime } from './bounds.js';
import {
  compareTables,
  selectBothRows,
  selectDefinitions,
  selectPositionPairs,
  type DiffColumn,
  type DiffTable,
} from './diff-statements.js';
import { sameJson } from './compare.js';
import { cut } from './report.js';

export interface DiffOptions {
  /** Rows that are listed of each sort; all are counted. 20 unless told otherwise. */
  readonly limit?: number;
  /** 600,000 ms unless told otherwise. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Values of the two versions, as JSON text, cut where they are long. */
export interface ColumnPair {
  readonly column: string;
  readonly first: string;
  readonly second: string;
}

export interface VersionDiff {
  readonly projection: string;
  /** Of the first and the second. */
  readonly versions: readonly [number, number];
  readonly rows: readonly [number, number];
  /** How far each is, by source and shard; null: it does not follow that source. */
  readonly positions: readonly {
    readonly source: string;
    readonly shard: number;
    readonly seqs: readonly [number | null, number | null];
  }[];
  /** Both have the same events in, so that what differs is not for a lag. */
  readonly samePosition: boolean;
  /** Of the definitions; rows are compared in columns that both have. */
  readonly columns: {
    readonly both: readonly string[];
    readonly firstOnly: readonly string[];
    readonly secondOnly: readonly string[];
  };
  /** Rows that are in both and differ in a column that both have. */
  readonly differing: {
    readonly total: number;
    readonly byColumn: Readonly<Record<string, number>>;
    readonly listed: readonly { readonly key: string; readonly columns: readonly ColumnPair[] }[];
  };
  readonly firstOnly: { readonly total: number; readonly keys: readonly string[] };
  readonly secondOnly: { readonly total: number; readonly keys: readonly string[] };
}

const Definition = z.object({
  key: z.string(),
  fields: z.record(z.string(), z.object({ kind: z.string() })),
});
type Definition = z.output<typeof Definition>;

interface Side extends DiffTable {
  readonly definition: Definition;
}

type Sides = readonly [Side, Side];

async function sideOf(db: Database, tx: Queryable, name: string, version: number): Promise<Side> {
  const [row] = await tx.query<[number, string, boolean, string]>(selectDefinitions(db), [name, [version]]);
  const what = `projection ${name} v${version}`;
  if (!row) throw new TidemarkError('unknown_projection', `there is no ${what}`);
  const [, state, loaded, text] = row;
  if (!loaded || state === 'retired')
    throw new TidemarkError(
      'wrong_state',
      `${what} is ${state}; there are rows to compare once it has been built`,
    );
  const definition = Definition.safeParse(JSON.parse(text));
  if (!definition.success)
    throw new TidemarkError(
      'wrong_state',
      `${what} writes its tables by itself: only rows by key can be compared`,
    );
  const { key } = definition.data;
  return { table: readModelTable({ name, version }), key, definition: definition.data };
}

function columnsOf([first, second]: Sides): VersionDiff['columns'] & { readonly compared: DiffColumn[] } {
  const names = ({ definition }: Side): string[] => Object.keys(definition.fields);
  const both = names(first).filter((name) => Object.hasOwn(second.definition.fields, name));
  const kindOf = ({ definition }: Side, name: string): string => definition.fields[name]?.kind ?? '';
  return {
    both,
    firstOnly: names(first).filter((name) => !both.includes(name)),
    secondOnly: names(second).filter((name) => !both.includes(name)),
    compared: both.map((name) => ({ name, kinds: [kindOf(first, name), kindOf(second, name)] })),
  };
}

const jsonText = (kind: string | undefined, value: unknown): string =>
  kind === 'json' && typeof value === 'string' ? value : JSON.stringify(value);

/** The columns in which listed rows differ, with both values. */
async function listDiffering(
  db: Database,
  tx: Queryable,
  [first, second]: Sides,
  columns: readonly DiffColumn[],
  keys: readonly string[],
): Promise<VersionDiff['differing']['listed']> {
  if (keys.length === 0) return [];
  const rows = await tx.query<[string, ...unknown[]]>(selectBothRows(db, first, second, columns), [
    textArray(keys),
  ]);
  return rows.map(([key, ...values]) => ({
    key,
    columns: columns.flatMap(({ name, kinds }, n) => {
      const a = jsonText(kinds[0], values[n]);
      const b = jsonText(kinds[1], values[n + columns.length]);
      return sameJson(a, b) ? [] : [{ column: name, first: cut(a), second: cut(b) }];
    }),
  }));
}

type Counts = [
  first: number,
  second: number,
  firstOnly: number,
  secondOnly: number,
  both: number,
  byColumn: number[],
];

async function compare(
  db: Database,
  tx: Queryable,
  name: string,
  versions: readonly [number, number],
  limit: number,
): Promise<VersionDiff> {
  const sides: Sides = [await sideOf(db, tx, name, versions[0]), await sideOf(db, tx, name, versions[1])];
  const { compared, ...columns } = columnsOf(sides);
  const positions = await tx.query<[string, number, number | null, number | null]>(selectPositionPairs(db), [
    name,
    ...versions,
  ]);
  const [head, ...found] = await tx.query<[string, string, string]>(compareTables(db, ...sides, compared), [
    limit,
  ]);
  const counts: Counts = JSON.parse(head?.[2] ?? '[0,0,0,0,0,[]]');
  const keysOf = (sort: string): string[] => found.flatMap(([key, of]) => (of === sort ? [key] : []));
  const byColumn = compared.flatMap(({ name: column }, n): [string, number][] => {
    const count = counts[5][n] ?? 0;
    return count > 0 ? [[column, count]] : [];
  });
  return {
    projection: name,
    versions,
    rows: [counts[0], counts[1]],
    positions: positions.map(([source, shard, a, b]) => ({ source, shard, seqs: [a, b] })),
    samePosition: positions.every(([, , a, b]) => a === b),
    columns,
    differing: {
      total: counts[4],
      byColumn: Object.fromEntries(byColumn),
      listed: await listDiffering(db, tx, sides, compared, keysOf('both')),
    },
    firstOnly: { total: counts[2], keys: keysOf('first') },
    secondOnly: { total: counts[3], keys: keysOf('second') },
  };
}

/**
 * Compares the rows of two versions.
 * @throws TidemarkError `unknown_projection`, `wrong_state` (one is being built, or its tables are a handler’s), `query_timeout`; the
 *   signal’s reason
 */
export async function diffVersions(
  db: Database,
  name: string,
  versions: readonly [number, number],
  options: DiffOptions = {},
): Promise<VersionDiff> {
  const { limit = 20, timeoutMs = 600_000, signal } = options;
  const bounds = new Bounds({ timeoutMs, signal });
  try {
    return await bounds.asOfNow(db, (tx) => compare(db, tx, name, versions, limit));
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    throw new TidemarkError('query_timeout', `the versions could not be compared within ${timeoutMs} ms`);
  }
}
