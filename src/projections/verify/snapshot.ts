/** What a verification reads of a projection as of one moment: positions, rows, and what is known of their keys. */
import type { AnyProjection } from '../../domain/projection.js';
import { TidemarkError } from '../../platform/errors.js';
import { textArray } from '../../platform/postgres/arrays.js';
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { definitionOf, fingerprintOf } from '../definition.js';
import { hasParts } from '../../domain/parts.js';
import { LeftOut } from './left-out.js';
import * as statements from './statements.js';

export interface ActualRow {
  readonly key: string;
  readonly rev: number;
  /** In the order of the fields, as `Database` gives them. */
  readonly values: readonly unknown[];
}

export interface Position {
  readonly source: string;
  readonly shard: number;
  /** Events up to this seq are in. */
  readonly seq: number;
}

/** A stream whose part, in the table, has one event more than its checkpoint says: it is being written to many rows. */
export interface Ahead {
  readonly category: string;
  readonly shard: number;
  readonly seq: number;
}

/** Keys that are named, or all of a range; all when neither is told. */
export interface Among {
  readonly keys?: readonly string[];
  readonly after?: string;
  readonly upto?: string;
}

/**
 * The checkpoints of a version whose rows can be compared.
 * @throws TidemarkError `unknown_projection`, `projection_changed`, `wrong_state`
 */
export async function readPositions(
  db: Database,
  tx: Queryable,
  projection: AnyProjection,
): Promise<Position[]> {
  const { name, version } = projection;
  const [known] = await tx.query<[string, boolean, string]>(statements.selectVersion(db), [name, version]);
  const what = `projection ${name} v${version}`;
  if (!known) throw new TidemarkError('unknown_projection', `there is no ${what}`);
  const [state, loaded, fingerprint] = known;
  if (!loaded || state === 'retired')
    throw new TidemarkError(
      'wrong_state',
      `${what} is ${state}; there are rows to compare once it has been built`,
    );
  if (fingerprint !== fingerprintOf(definitionOf(projection)))
    throw new TidemarkError('projection_changed', `${what} is not what its table was made for`);
  const rows = await tx.query<[string, number, number, number]>(statements.selectPositions(db), [
    name,
    version,
  ]);
  const trimmed = rows.find(([, , , low]) => low > 0);
  if (trimmed)
    throw new TidemarkError(
      'wrong_state',
      `${what} cannot be folded again: events of ${trimmed[0]}, shard ${trimmed[1]}, were trimmed up to ${trimmed[3]}`,
    );
  return rows.map(([source, shard, seq]) => ({ source, shard, seq }));
}

/** Which events are not in which rows, though they count as in; of parts, all of them. */
export async function readLeftOut(
  db: Database,
  tx: Queryable,
  { name, version }: AnyProjection,
  { keys, after, upto }: Among,
): Promise<LeftOut> {
  const values = [name, version, keys ? textArray(keys) : null, after ?? null, upto ?? null];
  const leftOut = new LeftOut();
  for (const [part, key] of await tx.query<[string, string]>(statements.selectParkedKeys(db), values))
    leftOut.park({ part, key });
  const events = await tx.query<[string, string, string, number, number, boolean]>(
    statements.selectLeftOutEvents(db),
    values,
  );
  for (const [part, key, category, shard, seq, skipped] of events)
    leftOut.leaveOut({ part, key }, { category, shard, seq }, skipped);
  return leftOut;
}

/** Streams whose part is ahead of its checkpoint; there are none where rows are not made of parts. */
export async function readAhead(db: Database, tx: Queryable, projection: AnyProjection): Promise<Ahead[]> {
  if (!hasParts(projection)) return [];
  const { name, version } = projection;
  const rows = await tx.query<[string, number, number]>(statements.selectPartsAhead(db, projection), [
    name,
    version,
  ]);
  return rows.map(([category, shard, seq]) => ({ category, shard, seq }));
}

function actualRow(projection: AnyProjection, values: readonly unknown[]): ActualRow {
  const keyAt = projection.fields.findIndex(({ name }) => name === projection.key);
  return { key: String(values[keyAt]), rev: Number(values[projection.fields.length]), values };
}

export async function readRowsByKey(
  db: Database,
  tx: Queryable,
  projection: AnyProjection,
  keys: readonly string[],
): Promise<ActualRow[]> {
  const rows = await tx.query(statements.selectRowsByKey(db, projection), [textArray(keys)]);
  return rows.map((values) => actualRow(projection, values));
}

const PAGE_ROWS = 500;
const PAGE_BYTES = 8 * 1024 * 1024;

/** A page of rows in the order of their keys; none when there are no more. */
export async function readRowPage(
  db: Database,
  tx: Queryable,
  projection: AnyProjection,
  after: string,
): Promise<ActualRow[]> {
  const values = [after, PAGE_ROWS, PAGE_BYTES];
  const rows = await tx.query(statements.selectRowPage(db, projection), values);
  return rows.map((one) => actualRow(projection, one));
}

/** A part of all keys, by a hash: places from `from` to below `til` of 2^32. */
export interface Slice {
  readonly from: number;
  readonly til: number;
}

export async function readSlice(
  db: Database,
  tx: Queryable,
  projection: AnyProjection,
  seed: number,
  { from, til }: Slice,
): Promise<ActualRow[]> {
  const rows = await tx.query(statements.selectSlice(db, projection), [`${seed}/`, from, til]);
  return rows.map((values) => actualRow(projection, values));
}

/** How many rows fall to a slice, and about how many bytes they have. */
export async function measureSlice(
  db: Database,
  tx: Queryable,
  projection: AnyProjection,
  seed: number,
  { from, til }: Slice,
): Promise<{ rows: number; bytes: number }> {
  const [row] = await tx.query<[number, number]>(statements.measureSlice(db, projection), [
    `${seed}/`,
    from,
    til,
  ]);
  return { rows: row?.[0] ?? 0, bytes: row?.[1] ?? 0 };
}
