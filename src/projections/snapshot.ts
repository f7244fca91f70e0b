/** Rows of a read model together with the position that they were read at. */
import type { AnyProjection } from '../domain/projection.js';
import { TidemarkError } from '../platform/errors.js';
import { quoteIdent, type Database } from '../platform/postgres/database.js';
import type { ShardSeq } from '../protocol/positions.js';
import { rowJsonFromColumns } from './columns.js';
import { selectFirst, selectSnapshot } from './statements.js';
import type { ChannelValue, RowsSnapshot, SnapshotFilter } from './types.js';

/** JSON text of the rows of one snapshot at the most; beyond it there are too many, however few. */
const SNAPSHOT_BYTES = 64 * 1024 * 1024;
/** Rows turned into JSON before others get a turn of the event loop. */
const ROWS_A_TURN = 500;

function conditions(
  projection: AnyProjection,
  filter: SnapshotFilter,
): { where: string; values: ChannelValue[] } {
  const wanted: [string, ChannelValue][] = Object.entries(filter.where ?? {});
  if (filter.key !== undefined) wanted.push([projection.key, filter.key]);
  const values: ChannelValue[] = [];
  const parts = wanted.map(([name, value]) => {
    if (!projection.fields.some((field) => field.name === name && field.kind !== 'json')) {
      throw new TidemarkError('unknown_field', `projection ${projection.name} has no filter field "${name}"`);
    }
    if (value === null) return `${quoteIdent(name)} IS NULL`;
    values.push(value);
    return `${quoteIdent(name)} = $${values.length + 2}`;
  });
  return { where: parts.join(' AND '), values };
}

/**
 * The rows that match a filter, and the heads of the change log, both of one database snapshot; nothing stays open.
 * @param maxRows with more rows than this (or over 64 MiB of them), `tooMany` is set and none is returned; but where the first
 *   ones were asked for, these come
 * @throws TidemarkError `unknown_field` when the filter names what is no column
 */
export async function readSnapshot(
  db: Database,
  projection: AnyProjection,
  filter: SnapshotFilter,
  maxRows: number,
): Promise<RowsSnapshot> {
  const { where, values } = conditions(projection, filter);
  const maxBytes = filter.first?.bytes ?? SNAPSHOT_BYTES;
  const [first, ...rest] = await db.query<[number, number, string | null, number, ...unknown[]]>(
    filter.first
      ? selectFirst(db, projection, where, filter.first.sort)
      : selectSnapshot(db, projection, where),
    [maxRows, maxBytes, ...values],
  );
  const heads: [number, string, number][] = JSON.parse(first?.[2] ?? '[]');
  const epoch = heads[0]?.[1];
  if (!first || epoch === undefined) {
    throw new TidemarkError('unknown_log', `projection ${projection.name} has no change log yet`);
  }
  const keyAt = 4 + projection.fields.findIndex(({ name }) => name === projection.key);
  const rows: [string, number, string][] = [];
  for (const [index, cells] of rest.entries()) {
    if (index > 0 && index % ROWS_A_TURN === 0) await new Promise(setImmediate);
    rows.push([String(cells[keyAt]), cells[3], rowJsonFromColumns(projection, cells.slice(4))]);
  }
  return {
    epoch,
    pos: heads.map(([shard, , seq]): ShardSeq => [shard, seq]),
    rows,
    tooMany: first[0] > maxRows || first[1] > maxBytes,
  };
}
