/**
 * Cuts what is left of some shards into windows: each holds all events, of every shard, from before a point in time, and
 * the next one what comes after. Within a shard, time never runs backwards, so that where a window ends is found by halving.
 */
import type { Database } from '../platform/postgres/database.js';
import { selectTimes, type ShardRange } from './copy-statements.js';

const WINDOW_EVENTS = 32_768;

interface Bounds {
  readonly range: ShardRange;
  /** Up to here at the most. */
  readonly upto: number;
}

/** Microseconds of some entries. */
async function timesOf(
  db: Database,
  points: readonly (Pick<ShardRange, 'category' | 'shard'> & { readonly seq: number })[],
): Promise<number[]> {
  if (points.length === 0) return [];
  const rows = await db.query<[number | null]>(selectTimes(db), [
    points.map(({ category }) => category),
    points.map(({ shard }) => shard),
    points.map(({ seq }) => seq),
  ]);
  return rows.map(([time], n) => {
    if (time === null) throw new Error(`log "${points[n]?.category}" has no seq ${points[n]?.seq}`);
    return time;
  });
}

/** Of each shard, the last seq whose entry is from before `time`; all shards are halved together. */
async function cut(db: Database, bounds: readonly Bounds[], time: number): Promise<number[]> {
  // Always: the entry at `low` is from before (or there is none), the one after `high` is not.
  const halves = bounds.map(({ range, upto }) => ({ ...range, low: range.after, high: upto }));
  for (;;) {
    const open = halves.filter(({ low, high }) => low < high);
    if (open.length === 0) return halves.map(({ low }) => low);
    const middle = open.map((one) => ({ ...one, seq: Math.ceil((one.low + one.high) / 2) }));
    const times = await timesOf(db, middle);
    for (const [n, half] of open.entries()) {
      const { seq = 0 } = middle[n] ?? {};
      if ((times[n] ?? 0) < time) half.low = seq;
      else half.high = seq - 1;
    }
  }
}

/**
 * Windows one after the other, until all ranges are through. Ranges without entries are left out.
 * @param size about how many events a window has; bounds what Postgres sorts at once
 * @throws as `Database.query`
 */
export async function* timeWindows(
  db: Database,
  ranges: readonly ShardRange[],
  size = WINDOW_EVENTS,
): AsyncGenerator<readonly ShardRange[]> {
  let left = ranges.filter(({ after, upto }) => after < upto);
  let events = size;
  while (left.length > 0) {
    const step = Math.ceil(events / left.length);
    const bounds = left.map((range) => ({ range, upto: Math.min(range.upto, range.after + step) }));
    const more = bounds.filter(({ range, upto }) => upto < range.upto);
    // What a shard has next, nobody may be past.
    const times = await timesOf(
      db,
      more.map(({ range, upto }) => ({ ...range, seq: upto + 1 })),
    );
    const ends =
      times.length === 0
        ? bounds.map(({ upto }) => upto)
        : await cut(
            db,
            bounds,
            times.reduce((a, b) => Math.min(a, b)),
          );
    const window = left.flatMap((range, n) => {
      const upto = ends[n] ?? range.after;
      return upto > range.after ? [{ ...range, upto }] : [];
    });
    if (window.length > 0) yield window;
    const found = window.reduce((sum, { after, upto }) => sum + upto - after, 0);
    // Many entries of one time, or shards that are not alike: wider, then narrower again.
    if (found < size / 2) events *= 2;
    else if (found > size * 2) events = Math.max(size, events / 2);
    left = left
      .map((range, n) => ({ ...range, after: ends[n] ?? range.after }))
      .filter(({ after, upto }) => after < upto);
  }
}
