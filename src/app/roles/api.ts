/** The `api` role: commands, streams, views and queries over HTTP. */
import { registerCommandRoutes } from '../../commands/http.js';
import { commandOperations, streamOperations } from '../../commands/operations.js';
import { registerStreamRoutes } from '../../commands/streams-http.js';
import { service } from '../../platform/lifecycle.js';
import { authenticated } from '../../rights/http.js';
import { NamedQueries } from '../../queries/named-queries.js';
import { queryOperations, viewOperations } from '../../queries/openapi.js';
import { registerQueryRoutes } from '../../queries/query-http.js';
import { registerViewRoutes } from '../../queries/view-http.js';
import { Views } from '../../queries/views.js';
import { WaiterHub } from '../../queries/waiter-hub.js';
import type { Context, RoleLayer } from '../context.js';
import { createInside, type Inside } from '../inside.js';
import type { WriteSide } from '../write-side.js';

export interface ApiOptions {
  readonly writeSide: WriteSide;
  /** What queries answer is checked against their output schemas too. */
  readonly checkQueryOutput?: boolean;
}

export interface ApiRole extends RoleLayer {
  readonly inside: Inside;
}

export function createApiRole(context: Context, options: ApiOptions): ApiRole {
  const { app, config, databases, guard, wakeups, logger, signer, registry } = context;
  const { store, bus } = options.writeSide;
  const db = databases.open('api-read', config.poolSize);
  const views = new Views({ app, db, signer, gate: registry });
  const queries = new NamedQueries({
    app,
    db,
    guard,
    gate: registry,
    checkOutput: options.checkQueryOutput ?? false,
  });
  const { projections } = app;
  const waiters = new WaiterHub({ projections, db, wakeups, logger, directives: registry });
  context.metrics.gauge('reads_waiting', 'Reads waiting for their projections.', [], (gauge) =>
    gauge.set(waiters.waiting),
  );
  const life = service('api', {
    start: () => Promise.resolve(),
    stop() {
      waiters.stop();
      return Promise.resolve();
    },
  });
  return {
    ...life,
    name: 'api',
    inside: createInside({ app, store, waiters, signer }),
    operations: [commandOperations(app), streamOperations(app), viewOperations(app), queryOperations(app)],
    routes(server) {
      server.register((scope, _options, done) => {
        const rights = { guard, callerOf: authenticated(scope, guard) };
        const reading = { ...rights, signer, waiters, gate: registry };
        registerCommandRoutes(scope, { ...rights, app, bus });
        registerStreamRoutes(scope, { ...rights, app, store });
        registerViewRoutes(scope, { ...reading, views, directives: registry });
        registerQueryRoutes(scope, { ...reading, queries });
        done();
      });
      // Reads that wait would hold up the drain for as long as they wait.
      server.addHook('preClose', (done) => {
        waiters.stop();
        done();
      });
    },
  };
}
