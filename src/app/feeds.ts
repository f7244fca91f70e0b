/**
 * What the roles of a process follow: Kafka where there is one, Postgres else. Both read from Postgres what does not come by
 * itself, and go by the same checkpoints, so that an application can move from one to the other.
 */
import { createKafka } from '../broker/kafka/client.js';
import { changeLogs, eventLogs, KafkaFeed, type KafkaFeedOptions } from '../broker/kafka/feed.js';
import type { PageReader } from '../broker/members.js';
import type { Feed, Sequenced } from '../broker/ports.js';
import { PostgresFeed } from '../broker/postgres/feed.js';
import type { StoredEvent } from '../domain/events.js';
import { storedFrom } from '../event-store/raw-reads.js';
import { readShard } from '../event-store/reads.js';
import { eventStoreStatements } from '../event-store/statements.js';
import type { Database } from '../platform/postgres/database.js';
import type { Recent } from '../platform/recent.js';
import { hasChanges } from '../projections/change-log.js';
import type { ChangeEntry } from '../projections/types.js';
import type { Context } from './context.js';

export interface RoleFeed<E extends Sequenced> {
  readonly feed: Feed<E>;
  /** Logs that do not come from Kafka though they should. */
  away(): readonly string[];
}

/** What /readyz tells of them: everything goes on, a little later. */
export const awayConcerns = (away: readonly string[]): readonly string[] =>
  away.map((log) => `${log} is followed by Postgres, as Kafka does not give it`);

interface Source<E extends Sequenced> extends Pick<KafkaFeedOptions<E>, 'logOf' | 'has'> {
  /** What this process committed a moment ago, as `Recent.after` gives it. */
  readonly recent: (...place: Parameters<Recent<E>['after']>) => readonly E[] | undefined;
  /** Reads all else. */
  readonly fromPostgres: PageReader<E>;
}

function feedOf<E extends Sequenced>(context: Context, source: Source<E>): RoleFeed<E> {
  const { app, kafka, probe, wakeups, leases, logger, feedObserver: observer } = context;
  const { recent, fromPostgres, ...ofKafka } = source;
  const read: PageReader<E> = async (log, shard, after, limit) => {
    const entries = recent(log, shard, after, limit);
    return entries ? { kind: 'entries', entries } : fromPostgres(log, shard, after, limit);
  };
  const shared = { read, wakeups, leases, logger, observer, probe };
  if (!kafka) return { feed: new PostgresFeed(shared), away: () => [] };
  const feed = new KafkaFeed({
    ...shared,
    ...ofKafka,
    kafka: createKafka(kafka, logger),
    app: app.name,
  });
  return { feed, away: () => feed.away };
}

/** Places and times tell changes apart; their ids are the same in every history of a database. */
const isSameChange = (one: ChangeEntry, other: ChangeEntry | undefined): boolean =>
  one.epoch === other?.epoch && one.key === other.key && one.recordedAt === other.recordedAt;

/** Events, for the projectors. */
export function eventFeed(context: Context, db: Database): RoleFeed<StoredEvent> {
  const statements = eventStoreStatements(db);
  return feedOf(context, {
    recent: (...place) => context.recent.events.after(...place)?.map(storedFrom),
    fromPostgres: (log, shard, after, limit) => readShard(db, statements, log, shard, after, limit),
    logOf: eventLogs(context.app.name),
  });
}

/** Changes of rows, for the gateway. @param fromPostgres reads pages of a change log */
export function changeFeed(
  context: Context,
  db: Database,
  fromPostgres: PageReader<ChangeEntry>,
): RoleFeed<ChangeEntry> {
  const recent = context.recent.changes;
  return feedOf(context, {
    recent: (...place) => recent.after(...place),
    fromPostgres,
    logOf: changeLogs(context.app.name),
    // A change that Postgres does not have (it was restored) is shown to nobody.
    async has(log, entries) {
      const isOurs = entries.map((one) => isSameChange(one, recent.at(log, one.shard, one.seq)));
      const asked = entries.filter((_one, index) => !isOurs[index]);
      const there = asked.length === 0 ? [] : await hasChanges(db, log, asked);
      let next = 0;
      return isOurs.map((ours) => ours || there[next++] === true);
    },
  });
}
