/** The `relay` role: events and changes out to Kafka, and the dead letters of projections. */
import { KafkaPublisher } from '../../broker/kafka/publisher.js';
import type { KafkaSettings } from '../../broker/kafka/settings.js';
import { PostgresFeed } from '../../broker/postgres/feed.js';
import type { AnyApp } from '../../domain/app.js';
import { DeadLetters } from '../../outbox/dead-letters.js';
import { ensureOwner } from '../../outbox/owner.js';
import { readPending, type Pending } from '../../outbox/pending.js';
import { Relay } from '../../outbox/relay.js';
import { Told, type RelayedLog, type RelayEntry } from '../../outbox/types.js';
import { service } from '../../platform/lifecycle.js';
import { endedWithin } from '../../platform/pause.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Context, RoleLayer } from '../context.js';
import { outboxGauges, outboxMetrics } from '../metrics/outbox.js';
import { publishedChanges } from '../published-changes.js';
import { rawReader } from './raw-reader.js';

/** For pages and openings; cursors and looks go between them. */
const CONNECTIONS = 6;
/** What waits is asked for at most this often, in milliseconds, and not for longer than that. */
const FRESH_MS = 1_000;
const PATIENCE_MS = 2_000;

/** The logs of an application that go to Kafka: in the versions of this code. */
export function relayedLogs(app: Pick<AnyApp, 'aggregates' | 'views'>): readonly RelayedLog[] {
  const events = app.aggregates.map(({ name }): RelayedLog => ({ kind: 'events', log: name }));
  return [...events, ...app.views.map(publishedChanges)];
}

/** What waits, as last heard: /metrics answers whatever Postgres does. */
function pendingOf(db: Database, logs: readonly RelayedLog[]): () => Promise<readonly Pending[]> {
  const names = logs.map(({ log }) => log);
  let known: readonly Pending[] = [];
  let at = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  return async () => {
    if (performance.now() - at < FRESH_MS) return known;
    asking ??= readPending(db, names)
      .then((found) => {
        known = found;
        at = performance.now();
      })
      .catch(() => undefined)
      .finally(() => (asking = undefined));
    await endedWithin(asking, PATIENCE_MS);
    return known;
  };
}

export function createRelayRole(context: Context, kafka: KafkaSettings): RoleLayer {
  const { app, databases, wakeups, leases, probe, logger, metrics, feedObserver } = context;
  const db = databases.open('relay', CONNECTIONS);
  const logs = relayedLogs(app);
  const publisher = new KafkaPublisher({ settings: kafka, app: app.name, logger });
  const counted = outboxMetrics(metrics);
  const shared = { shards: app.shards, db, leases, publisher, logger };
  const relay = new Relay({
    ...shared,
    logs,
    feed: new PostgresFeed<RelayEntry>({
      read: rawReader(db, logs, context.recent),
      wakeups,
      leases,
      logger,
      told: (error) => error instanceof Told,
      observer: feedObserver,
    }),
    inspector: publisher,
    probe,
    observer: counted.relay,
  });
  const letters = new DeadLetters({
    ...shared,
    projections: app.projections.map(({ name }) => name),
    wakeups,
    sent: counted.deadLettersSent,
  });
  outboxGauges(metrics, pendingOf(db, logs), {
    logs: logs.map(({ log }) => log),
    diverged: () => relay.diverged,
    shards: (log) => relay.shardsOf(log),
  });
  const life = service('relay', {
    async start() {
      await ensureOwner(db, app.name);
      await relay.start();
      await letters.start();
    },
    async stop() {
      await Promise.all([letters.stop(), relay.stop()]);
      await publisher.stop();
    },
  });
  return {
    ...life,
    name: 'relay',
    stopWeight: 2,
    // Nobody waits for what is on its way any more; it is sent again by whoever gets the shards.
    cut: () => void publisher.stop(),
    concerns: () => [...relay.concerns, ...letters.concerns],
  };
}
