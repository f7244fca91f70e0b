/** What the relay reads: what this process committed a moment ago from memory, all else from Postgres. */
import type { PageReader } from '../../broker/members.js';
import { readRawShard } from '../../event-store/raw-reads.js';
import { markOf, type RelayedLog, type RelayEntry } from '../../outbox/types.js';
import type { Recent } from '../../platform/recent.js';
import type { Database } from '../../platform/postgres/database.js';
import { readRawChanges, rawFrom } from '../../projections/change-log.js';
import type { Context } from '../context.js';

type Outgoing = Parameters<typeof markOf>[0];

/**
 * Entries after one that is in memory too, as each must name the one before it.
 * @param outgoing makes of an entry what leaves
 */
function fromMemory<E>(
  recent: Recent<E>,
  [log, shard, after, limit]: Parameters<PageReader<RelayEntry>>,
  outgoing: (entry: E) => Outgoing,
): RelayEntry[] | undefined {
  const before = recent.at(log, shard, after);
  const entries = before && recent.after(log, shard, after, limit);
  if (!entries) return undefined;
  let follows = markOf(outgoing(before));
  return entries.map((entry) => {
    const following = { ...outgoing(entry), follows };
    follows = markOf(following);
    return following;
  });
}

/** Reads pages of events and changes as they are, JSON as text. */
export function rawReader(
  db: Database,
  logs: readonly RelayedLog[],
  recent: Context['recent'],
): PageReader<RelayEntry> {
  const projections = new Map(
    logs.flatMap((one) => (one.kind === 'changes' ? [[one.log, one.projection] as const] : [])),
  );
  return async (...place) => {
    const projection = projections.get(place[0]);
    const entries =
      projection === undefined
        ? fromMemory(recent.events, place, (event) => event)
        : fromMemory(recent.changes, place, (change) => rawFrom(change, projection));
    if (entries) return { kind: 'entries', entries };
    return projection === undefined ? readRawShard(db, ...place) : readRawChanges(db, projection, ...place);
  };
}
