/** Rows beside their last change: the revision of a row is the seq of its last change, and both say the same. */
import type { AnyProjection } from '../../domain/projection.js';
import { int4Array, int8Array, textArray } from '../../platform/postgres/arrays.js';
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { shardOf } from '../../platform/murmur2.js';
import { changeLogOf } from '../names.js';
import { columnDifferences } from './compare.js';
import { cut, type Findings } from './report.js';
import type { ActualRow } from './snapshot.js';
import { selectChangesAt, selectLastChanges, selectLows, selectOutdatedRows } from './statements.js';

/** Columns of a row that are told. */
const SOME = 5;
/** Rows whose changes are looked up in one statement. */
const AT_ONCE = 500;

type ChangeRow = [key: string, shard: number, seq: number, row: string | null];
type Change = { readonly shard: number; readonly seq: number; readonly row: string | null };

export interface LogCheck {
  readonly db: Database;
  readonly tx: Queryable;
  readonly projection: AnyProjection;
  readonly shards: number;
  readonly findings: Findings;
}

async function readLows({ db, tx, projection }: LogCheck): Promise<ReadonlyMap<number, number>> {
  return new Map(await tx.query<[number, number]>(selectLows(db), [changeLogOf(projection)]));
}

/** What is wrong between a row and the change that should be its last; undefined when nothing is. */
function faultOf(
  projection: AnyProjection,
  row: ActualRow,
  shard: number,
  change: Change,
): string | undefined {
  if (change.shard !== shard)
    return `its last change is in shard ${change.shard} of the change log, where ${shard} is its own`;
  if (change.seq !== row.rev) return `its last change is seq ${change.seq}`;
  if (change.row === null) return 'its last change says that it is gone';
  const columns = columnDifferences(projection, JSON.parse(change.row), row);
  if (columns.length === 0) return undefined;
  const some = columns.slice(0, SOME).map(({ column, expected }) => `${column} ${expected ?? 'absent'}`);
  const more = columns.length - some.length;
  return `its last change has ${some.join(', ')}${more > 0 ? `, and ${more} more that differ` : ''}`;
}

function checkRow(
  check: LogCheck,
  lows: ReadonlyMap<number, number>,
  row: ActualRow,
  change: Change | undefined,
): void {
  const { projection, shards, findings } = check;
  const { key, rev: revision } = row;
  const shard = shardOf(key, shards);
  if (!change && revision <= (lows.get(shard) ?? 0)) {
    findings.trimmed++;
    return;
  }
  const reason = change
    ? faultOf(projection, row, shard, change)
    : `the change log has no change of it at shard ${shard} seq ${revision}`;
  if (reason !== undefined) findings.add({ kind: 'change', key, revision, reason });
}

/** Looks the very change up that each row names. Cheap; does not find that there is a later one. */
export async function checkNamedChanges(check: LogCheck, rows: readonly ActualRow[]): Promise<void> {
  const { db, tx, projection, shards } = check;
  const lows = await readLows(check);
  const text = selectChangesAt(db, projection);
  for (let at = 0; at < rows.length; at += AT_ONCE) {
    const some = rows.slice(at, at + AT_ONCE);
    const found = await tx.query<ChangeRow>(text, [
      changeLogOf(projection),
      int4Array(some.map(({ key }) => shardOf(key, shards))),
      int8Array(some.map(({ rev }) => rev)),
    ]);
    // A change of another key at that place is none of this row's.
    const changes = new Map(found.map(([key, shard, seq, row]) => [key, { shard, seq, row }]));
    for (const row of some) checkRow(check, lows, row, changes.get(row.key));
  }
}

/** Looks for the last change of each key. Reads the change log as far as it is kept. */
export async function checkLastChanges(
  check: LogCheck,
  keys: readonly string[],
  rows: readonly ActualRow[],
): Promise<void> {
  const { db, tx, projection, findings } = check;
  const lows = await readLows(check);
  const values = [changeLogOf(projection), textArray(keys)];
  const found = await tx.query<ChangeRow>(selectLastChanges(db, projection), values);
  const changes = new Map(found.map(([key, shard, seq, row]) => [key, { shard, seq, row }]));
  const there = new Set(rows.map(({ key }) => key));
  for (const row of rows) checkRow(check, lows, row, changes.get(row.key));
  for (const [key, { shard, seq, row }] of changes) {
    if (row === null || there.has(key)) continue;
    const reason = `there is no row, and its last change (shard ${shard} seq ${seq}) is ${cut(row)}`;
    findings.add({ kind: 'change', key, revision: 0, reason });
  }
}

/** Looks for later changes than those that the rows name, and for rows that are in one of the two only: the whole log, in one statement. */
export async function checkWholeLog(
  { db, tx, projection, findings }: LogCheck,
  limit: number,
): Promise<void> {
  const rows = await tx.query<
    [string, number | null, number, number, boolean] | [null, null, null, null, null, number]
  >(selectOutdatedRows(db, projection), [changeLogOf(projection), limit]);
  let total = 0;
  let listed = 0;
  for (const [key, rev, shard, seq, gone, count] of rows) {
    if (key === null) {
      total = count;
      continue;
    }
    listed++;
    const last = `its last change (shard ${shard} seq ${seq})`;
    const reason =
      rev === null
        ? `there is no row, and ${last} has one`
        : gone
          ? `${last} says that it is gone`
          : `${last} is later than the row`;
    findings.add({ kind: 'change', key, revision: rev ?? 0, reason });
  }
  findings.unlisted('change', total - listed);
}
