/** The HTTP server of a process as a layer: routes of its roles, health, metrics, docs; drained when it stops. */
import { KafkaPublisher } from '../../broker/kafka/publisher.js';
import type { KafkaSettings } from '../../broker/kafka/settings.js';
import type { Logger } from '../../platform/logger.js';
import { service } from '../../platform/lifecycle.js';
import { hostPolicy, originPolicy } from '../../platform/origins.js';
import { asyncApiDocument } from '../../realtime/asyncapi/document.js';
import type { Config } from '../config.js';
import type { VersionName } from '../../projections/operations/types.js';
import type { Context, RoleLayer } from '../context.js';
import { httpMetrics } from '../metrics/write-side.js';
import type { Layer } from '../stack.js';
import { dropTopicsOf } from '../version-topics.js';
import { listen } from './listen.js';
import { openApiDocument, serveDocs } from './openapi.js';
import { operationsOperations, registerOperationsRoutes, type Readiness } from './operations-http.js';
import { registerOperatorRoutes } from './ops/http.js';
import { operatorOperations } from './ops/openapi.js';
import { servePage } from './page/serve.js';
import { securityOf } from './security.js';
import { createHttpServer } from './server.js';

export interface HttpLayer extends Layer {
  /** The port that was bound; set once it is started. */
  readonly port: number;
}

/** Who may call, as the environment says; the same for HTTP and the realtime socket. */
const accessOf = (config: Config) => ({
  origins: originPolicy(config.origins),
  hosts: hostPolicy(config.host, config.hosts),
});

/** Deletes topics of versions, over connections that are made for it. */
const dropperOf =
  (app: string, kafka: KafkaSettings, logger: Logger) => async (versions: readonly VersionName[]) => {
    const publisher = new KafkaPublisher({ settings: kafka, app, logger });
    try {
      return await dropTopicsOf(versions, app, publisher);
    } finally {
      await publisher.stop();
    }
  };

export interface PagePlace {
  /** Absolute path of its folder. */
  readonly dir: string;
  /** The port of the realtime socket; asked when everything else is started. */
  readonly realtimePort: () => number;
}

/** For operators: a verification takes two. */
const OPERATOR_CONNECTIONS = 4;

export function createHttpLayer(
  context: Context,
  options: {
    readonly roles: readonly RoleLayer[];
    readonly version: string;
    readonly readiness: () => Promise<Readiness>;
    /** Where callers reach the realtime socket; asked when everything else is started. */
    readonly realtimeUrl: () => string;
    /** A built page to serve beside the API; only where the process has the `api` role. */
    readonly page?: PagePlace | undefined;
  },
): HttpLayer {
  const { app, config, guard, kafka, logger, metrics, registry, announcer } = context;
  const operating = {
    app,
    guard,
    db: context.databases.open('operations', OPERATOR_CONNECTIONS),
    logger,
    announcer,
    dropTopics: kafka && dropperOf(app.name, kafka, logger),
    look: () => registry.look(),
  };
  const server = createHttpServer({
    logger,
    access: { ...accessOf(config), credentials: guard.cookie !== undefined },
    trustProxy: config.trustProxy,
    observe: httpMetrics(metrics),
  });
  let port = config.port;
  const life = service('http', {
    async start() {
      registerOperationsRoutes(server, { metrics, readiness: options.readiness });
      registerOperatorRoutes(server, operating);
      for (const role of options.roles) role.routes?.(server);
      if (options.roles.some(({ name }) => name === 'api')) {
        const operations = [
          ...options.roles.flatMap((role) => role.operations ?? []),
          operationsOperations(),
          operatorOperations(app),
        ];
        const info = { title: app.name, version: options.version, security: securityOf(app.auth) };
        const asyncApi = asyncApiDocument(app, { version: options.version, url: options.realtimeUrl() });
        await serveDocs(server, { openApi: openApiDocument(info, operations), asyncApi });
        if (options.page) {
          const realtime = { port: options.page.realtimePort(), url: config.realtimeUrl };
          await servePage(server, { app: app.name, dir: options.page.dir, realtime, logger });
        }
      }
      port = await listen(server, { host: config.host, port: config.port }, 'PORT');
    },
    stop: () => server.close(),
  });
  return {
    ...life,
    stopWeight: 3,
    cut: () => server.server.closeAllConnections(),
    get port() {
      return port;
    },
  };
}
