/** What a channel has between a place in its log and where the log stands. */
import { partOf, type Channel } from './channels.js';
import type { EncodedPart } from './encoding.js';
import type { FollowedLog } from './followed-log.js';

export interface Replayed {
  readonly parts: readonly EncodedPart[];
  readonly rows: number;
  /** Time of the oldest change in it, ms; Infinity where there is none. */
  readonly at: number;
  /** It goes up to the log's position. */
  readonly complete: boolean;
}

/**
 * The channel's changes after `at`, up to the size of a frame.
 * @param at looked at up to here, shard → seq, all in the ring; moved on
 * @param base where the next part of a shard begins; moved on
 * @param behind shards to look at
 */
export function replay(
  { log, channel }: { readonly log: FollowedLog; readonly channel: Channel },
  { at, base }: { readonly at: Map<number, number>; readonly base: Map<number, number> },
  behind: readonly number[],
  frameBytes: number,
): Replayed {
  const parts: EncodedPart[] = [];
  let bytes = 0;
  let count = 0;
  let oldest = Infinity;
  for (const shard of behind) {
    const end = log.position[shard] ?? 0;
    const rows: string[] = [];
    let seq = at.get(shard) ?? 0;
    while (seq < end && bytes < frameBytes) {
      seq++;
      const change = log.change(shard, seq);
      const row = partOf(channel.filter, change);
      if (row === undefined) continue;
      rows.push(row);
      bytes += row.length;
      oldest = Math.min(oldest, change.at);
    }
    at.set(shard, seq);
    if (rows.length > 0) {
      parts.push({ shard, p: base.get(shard) ?? 0, s: seq, rows });
      base.set(shard, seq);
      count += rows.length;
    }
    if (seq < end) return { parts, rows: count, at: oldest, complete: false };
  }
  return { parts, rows: count, at: oldest, complete: true };
}

/** Keys of the channel's filter that changed after `at`, up to the log's position. @param at as above, but not moved */
export function changedKeys(
  { log, channel }: { readonly log: FollowedLog; readonly channel: Channel },
  at: ReadonlyMap<number, number>,
): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const shard of channel.shards) {
    for (let seq = (at.get(shard) ?? 0) + 1; seq <= (log.position[shard] ?? 0); seq++) {
      const change = log.change(shard, seq);
      if (partOf(channel.filter, change) !== undefined) keys.add(change.key);
    }
  }
  return keys;
}
