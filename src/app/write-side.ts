/** The write side of a process: one event store and one command bus, for whoever runs commands in it (HTTP, records of others). */
import { CommandBus } from '../commands/bus.js';
import { PostgresEventStore } from '../event-store/store.js';
import { service } from '../platform/lifecycle.js';
import type { Context } from './context.js';
import { appendMetrics, commandGauges, commandMetrics } from './metrics/write-side.js';
import type { Layer } from './stack.js';

/** Connections for the appends to several streams and for reads of streams, beside one per lane. */
const WRITE_SIDE_READS = 4;

export interface WriteSide extends Layer {
  readonly bus: CommandBus;
  readonly store: PostgresEventStore;
}

/** Whether events that were appended here are handed to followers in this process, rather than read again. */
const followedHere = ({ config: { roles }, kafka }: Context): boolean =>
  roles.includes('projector') || (roles.includes('relay') && kafka !== undefined);

export function createWriteSide(context: Context): WriteSide {
  const { app, config, databases, announcer, recent, logger, signer, metrics } = context;
  const store = new PostgresEventStore(
    {
      database: databases.open('api-write', config.appendLanes + WRITE_SIDE_READS),
      categories: app.aggregates.map(({ name }) => name),
      shards: app.shards,
      announcer,
      ...(followedHere(context) ? { recent: recent.events } : {}),
      logger,
      observer: appendMetrics(metrics),
    },
    { lanes: config.appendLanes },
  );
  const bus = new CommandBus({ app, store, signer, logger, observer: commandMetrics(metrics) });
  commandGauges(metrics, () => bus.stats);
  metrics.gauge('appends_waiting', 'Appends waiting for their group commit.', [], (gauge) =>
    gauge.set(store.queued),
  );
  const life = service('write side', {
    async start() {
      await store.start();
      await bus.start();
    },
    async stop() {
      await bus.stop();
      await store.stop();
    },
  });
  return { ...life, stopWeight: 2, bus, store };
}
