/**
 * What the roles of a process follow: Kafka where there is one, Postgres else. Both read from Postgres what does not come by
 * itself, and go by the same checkpoints, so that an application can move from one to the other.
 */
import { createKafka } from '../broker/kafka/client.js';
import { changeLogs, eventLogs, KafkaFeed } from '../broker/kafka/feed.js';
import type { PageReader } from '../broker/members.js';
import type { Feed, Sequenced } from '../broker/ports.js';
import { PostgresFeed } from '../broker/postgres/feed.js';
import type { StoredEvent } from '../domain/events.js';
import { readShard } from '../event-store/reads.js';
import { eventStoreStatements } from '../event-store/statements.js';
import type { Database } from '../platform/postgres/database.js';
import { hasChanges } from '../projections/change-log.js';
import type { ChangeEntry } from '../projections/types.js';
import type { Context } from './context.js';

export interface RoleFeed<E extends Sequenced> {
  readonly feed: Feed<E>;
  /** Logs that do not come from Kafka though they should. */
  away(): readonly string[];
}

const byPostgres = <E extends Sequenced>(feed: Feed<E>): RoleFeed<E> => ({ feed, away: () => [] });
const byKafka = <E extends Sequenced>(feed: KafkaFeed<E>): RoleFeed<E> => ({ feed, away: () => feed.away });

/** What /readyz tells of them: everything goes on, a little later. */
export const awayConcerns = (away: readonly string[]): readonly string[] =>
  away.map((log) => `${log} is followed by Postgres, as Kafka does not give it`);

/** Events, for the projectors. */
export function eventFeed(context: Context, db: Database): RoleFeed<StoredEvent> {
  const { app, kafka, recent, probe, wakeups, leases, logger, feedObserver: observer } = context;
  const statements = eventStoreStatements(db);
  const read: PageReader<StoredEvent> = async (log, shard, after, limit) => {
    const entries = recent.events.after(log, shard, after, limit);
    if (entries) return { kind: 'entries', entries };
    return readShard(db, statements, log, shard, after, limit);
  };
  const shared = { read, wakeups, leases, logger, observer };
  if (!kafka) return byPostgres(new PostgresFeed({ ...shared, probe }));
  return byKafka(
    new KafkaFeed({
      ...shared,
      kafka: createKafka(kafka, logger),
      app: app.name,
      logOf: eventLogs(app.name),
      probe,
    }),
  );
}

/** Changes of rows, for the gateway. @param fromPostgres reads pages of a change log */
export function changeFeed(
  context: Context,
  db: Database,
  fromPostgres: PageReader<ChangeEntry>,
): RoleFeed<ChangeEntry> {
  const { app, kafka, recent, probe, wakeups, leases, logger, feedObserver: observer } = context;
  const read: PageReader<ChangeEntry> = async (log, shard, after, limit) => {
    const entries = recent.changes.after(log, shard, after, limit);
    return entries ? { kind: 'entries', entries } : fromPostgres(log, shard, after, limit);
  };
  const shared = { read, wakeups, leases, logger, observer };
  if (!kafka) return byPostgres(new PostgresFeed({ ...shared, probe }));
  return byKafka(
    new KafkaFeed({
      ...shared,
      kafka: createKafka(kafka, logger),
      app: app.name,
      logOf: changeLogs(app.name),
      probe,
      // A change that Postgres does not have (it was restored) is shown to nobody.
      has: (log, entries) => hasChanges(db, log, entries),
    }),
  );
}
