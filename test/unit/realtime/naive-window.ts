/** What a window shows, told from every change there was: a fold, a sort, and the first rows. */
import type { ChangeEntry } from '../../../src/projections/types.js';
import type { BoardRow } from '../../support/realtime/board.js';
import type { Subscribe } from '../../support/realtime/live-view.js';

export interface NaiveRow {
  readonly rev: number;
  readonly row: BoardRow;
}

/** All that was ever written in one epoch of a log. */
export interface History {
  /** Rows that were there when it began. */
  readonly base: ReadonlyMap<string, NaiveRow>;
  /** By shard. */
  readonly entries: readonly ChangeEntry[][];
}

const rank = (value: BoardRow[keyof BoardRow]): number | string =>
  value === null ? 2 : typeof value === 'boolean' ? Number(value) : value;

/** @param sort as a `sub` has it */
export function naiveOrder(sort: string, a: BoardRow, b: BoardRow): number {
  for (const one of [...sort.split(','), 'id']) {
    const name = one.replace('-', '');
    if (name !== 'list' && name !== 'done' && name !== 'id') throw new Error(`no such field: ${name}`);
    const [x, y] = [rank(a[name]), rank(b[name])];
    if (x !== y) return (x < y ? -1 : 1) * (one.startsWith('-') ? -1 : 1);
  }
  return 0;
}

const naiveFits = (row: BoardRow, where: Subscribe['where'] = {}): boolean =>
  Object.entries(where).every(([name, value]) => (name === 'list' ? row.list : row.done) === value);

/** @param last shard → seq, as the client has it */
export function naiveWindow(
  { base, entries }: History,
  last: ReadonlyMap<number, number>,
  { where, sort = 'id', limit = 50 }: Subscribe,
): [string, number, BoardRow][] {
  const rows = new Map(base);
  for (const [shard, changes] of entries.entries()) {
    for (const { seq, key, row } of changes) {
      if (seq > (last.get(shard) ?? 0)) break;
      if (row === null) rows.delete(key);
      else rows.set(key, { rev: seq, row: JSON.parse(row) as BoardRow });
    }
  }
  return [...rows]
    .map(([key, { rev, row }]): [string, number, BoardRow] => [key, rev, row])
    .filter(([, , row]) => naiveFits(row, where))
    .sort(([, , a], [, , b]) => naiveOrder(sort, a, b))
    .slice(0, limit);
}
