/** The `api` role: commands, streams, views and queries over HTTP. */
import { CommandBus } from '../../commands/bus.js';
import { registerCommandRoutes } from '../../commands/http.js';
import { commandOperations, streamOperations } from '../../commands/operations.js';
import { registerStreamRoutes } from '../../commands/streams-http.js';
import { PostgresEventStore } from '../../event-store/store.js';
import { service } from '../../platform/lifecycle.js';
import { NamedQueries } from '../../queries/named-queries.js';
import { queryOperations, viewOperations } from '../../queries/openapi.js';
import { registerQueryRoutes } from '../../queries/query-http.js';
import { registerViewRoutes } from '../../queries/view-http.js';
import { Views } from '../../queries/views.js';
import { WaiterHub } from '../../queries/waiter-hub.js';
import type { Context, RoleLayer } from '../context.js';
import { createInside, type Inside } from '../inside.js';
import { appendMetrics, commandGauges, commandMetrics } from '../metrics/write-side.js';

/** Connections for the appends to several streams and for reads of streams, beside one per lane. */
const WRITE_SIDE_READS = 4;

export interface ApiOptions {
  /** What queries answer is checked against their output schemas too. */
  readonly checkQueryOutput?: boolean;
}

export interface ApiRole extends RoleLayer {
  readonly bus: CommandBus;
  readonly store: PostgresEventStore;
  readonly inside: Inside;
}

function writeSide(context: Context): { store: PostgresEventStore; bus: CommandBus } {
  const { app, config, databases, announcer, recent, logger, signer, metrics } = context;
  const store = new PostgresEventStore(
    {
      database: databases.open('api-write', config.appendLanes + WRITE_SIDE_READS),
      categories: app.aggregates.map(({ name }) => name),
      shards: app.shards,
      announcer,
      ...(config.roles.includes('projector') ? { recent: recent.events } : {}),
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
  return { store, bus };
}

export function createApiRole(context: Context, options: ApiOptions = {}): ApiRole {
  const { app, config, databases, wakeups, logger, signer, registry } = context;
  const { store, bus } = writeSide(context);
  const db = databases.open('api-read', config.poolSize);
  const views = new Views({ app, db, signer, gate: registry });
  const queries = new NamedQueries({
    app,
    db,
    gate: registry,
    checkOutput: options.checkQueryOutput ?? false,
  });
  const { projections } = app;
  const waiters = new WaiterHub({ projections, db, wakeups, logger, directives: registry });
  context.metrics.gauge('reads_waiting', 'Reads waiting for their projections.', [], (gauge) =>
    gauge.set(waiters.waiting),
  );
  const life = service('api', {
    async start() {
      await store.start();
      await bus.start();
    },
    async stop() {
      waiters.stop();
      await bus.stop();
      await store.stop();
    },
  });
  return {
    ...life,
    name: 'api',
    stopWeight: 2,
    bus,
    store,
    inside: createInside({ app, store, waiters, signer }),
    operations: [commandOperations(app), streamOperations(app), viewOperations(app), queryOperations(app)],
    routes(server) {
      registerCommandRoutes(server, { app, bus });
      registerStreamRoutes(server, { app, store });
      registerViewRoutes(server, { views, signer, waiters, gate: registry, directives: registry });
      registerQueryRoutes(server, { queries, signer, waiters, gate: registry });
      // Reads that wait would hold up the drain for as long as they wait.
      server.addHook('preClose', (done) => {
        waiters.stop();
        done();
      });
    },
  };
}
