/** What has become other in a window, as parts of a `chg`. */
import type { ShardSeq } from '../../protocol/positions.js';
import { encodeRow } from '../encoding.js';

export interface ShownRow {
  readonly key: string;
  readonly rev: number;
  /** The shard that its last change was seen in; undefined: a query brought it. */
  readonly shard: number | undefined;
  /** `[key,rev,row]`. */
  readonly text: string;
}

/** Rows as a frame has them, which come with a change of this shard. */
export interface WindowPart {
  readonly shard: number;
  readonly rows: readonly string[];
}

/** The changes between the two. */
export interface Between {
  /** Shard → seq of the first. */
  readonly since: ReadonlyMap<number, number>;
  readonly last: ShardSeq;
  /** Key → the change that it left by. */
  readonly left: ReadonlyMap<string, ShardSeq>;
}

/** A row that changed comes with its own change, one that moves up with the last of them. */
export function differences(
  before: ReadonlyMap<string, ShownRow>,
  after: ReadonlyMap<string, ShownRow>,
  { since, last, left }: Between,
): readonly WindowPart[] {
  const parts = new Map<number, string[]>();
  const add = (shard: number, row: string): void => {
    const rows = parts.get(shard);
    if (rows) rows.push(row);
    else parts.set(shard, [row]);
  };
  for (const key of before.keys()) {
    if (after.has(key)) continue;
    const [shard, seq] = left.get(key) ?? last;
    add(shard, encodeRow(key, seq, undefined));
  }
  for (const { key, rev, shard, text } of after.values()) {
    if (before.get(key)?.rev === rev) continue;
    const isOwn = shard !== undefined && rev >= (since.get(shard) ?? Infinity);
    add(isOwn ? shard : last[0], text);
  }
  return [...parts].map(([shard, rows]) => ({ shard, rows }));
}
