/** The composition root: one process of an application, with the roles that the environment gives it. */
import type { AnyApp } from '../domain/app.js';
import { service, type Service } from '../platform/lifecycle.js';
import { showUrl, type Logger } from '../platform/logger.js';
import type { Signer } from '../platform/signing.js';
import { TidemarkError } from '../platform/errors.js';
import { Wakeups } from '../platform/wakeups.js';
import type { Config } from './config.js';
import type { Context, RoleLayer } from './context.js';
import { Databases } from './databases.js';
import { Health, type Phase } from './health.js';
import { createHttpLayer, type HttpLayer } from './http/http-layer.js';
import { urlHost } from './http/listen.js';
import { MetricsRegistry } from './metrics/registry.js';
import { prepareDatabase } from './prepare.js';
import { storedStatuses } from './projection-status.js';
import { createApiRole } from './roles/api.js';
import { stackOf, type Layer } from './stack.js';
import { VERSION } from './version.js';

/** A Postgres that belongs to this process; it is stopped last. */
export interface OwnPostgres {
  /** With the password. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface RuntimeDeps {
  readonly logger: Logger;
  /** Used where `config.databaseUrl` is absent; the runtime stops it, also when the start fails. */
  readonly embedded?: OwnPostgres;
  /** What queries answer is checked against their output schemas too; for tests. */
  readonly checkQueryOutput?: boolean;
}

export interface RuntimeUrls {
  /** `http://host:port`, with the port that was bound. */
  readonly http: string;
  /** The page that explains the API; where the process has the `api` role. */
  readonly docs?: string;
  /** `ws://host:port/realtime`; where the process has the `gateway` role. */
  readonly realtime?: string;
}

export interface Runtime extends Service {
  /** @throws TidemarkError with one clear line: what `prepareDatabase` throws, `address_in_use`, `address_refused` */
  start(): Promise<void>;
  /** Drains and stops within `config.stopTimeoutMs`; never rejects. */
  stop(): Promise<void>;
  /** Where it is; once it is started. */
  readonly urls: RuntimeUrls;
}

/** What is there once a process has begun to start. */
interface Assembly {
  readonly stack: Service;
  readonly urls: () => RuntimeUrls;
}

/** Connections for health and for looking after the logs. */
const OPS_CONNECTIONS = 2;

function createRoles(context: Context, deps: RuntimeDeps): RoleLayer[] {
  const { roles } = context.config;
  const made: RoleLayer[] = [];
  if (roles.includes('api')) {
    made.push(createApiRole(context, { checkQueryOutput: deps.checkQueryOutput ?? false }));
  }
  return made;
}

function urlsOf(config: Config, http: HttpLayer): RuntimeUrls {
  const base = `http://${urlHost(config.host)}:${http.port}`;
  return { http: base, ...(config.roles.includes('api') ? { docs: `${base}/docs` } : {}) };
}

function assemble(
  app: AnyApp,
  config: Config,
  deps: RuntimeDeps,
  prepared: { readonly url: string; readonly signer: Signer; readonly phase: () => Phase },
): Assembly {
  const { logger } = deps;
  const databases = new Databases({ url: prepared.url, schema: config.schema, logger });
  const wakeups = new Wakeups();
  const context: Context = {
    app,
    config,
    logger,
    metrics: new MetricsRegistry(),
    databases,
    signer: prepared.signer,
    wakeups,
    announcer: wakeups,
  };
  const ops = databases.open('ops', OPS_CONNECTIONS, { connectTimeoutMs: 2_000, statementTimeoutMs: 2_000 });
  const roles = createRoles(context, deps);
  const health = new Health({
    roles: config.roles,
    phase: prepared.phase,
    projections: () => storedStatuses(ops, app),
  });
  const readiness = () => health.readiness();
  const http = createHttpLayer(context, { roles, version: VERSION, readiness });
  const pools: Layer = { ...service('pools', { start: async () => undefined, stop: () => databases.end() }) };
  const layers = [...embeddedLayer(deps), pools, ...roles, http];
  const stack = stackOf('tidemark', layers, { logger, stopTimeoutMs: config.stopTimeoutMs });
  return { stack, urls: () => urlsOf(config, http) };
}

function embeddedLayer({ embedded }: RuntimeDeps): Layer[] {
  if (!embedded) return [];
  const layer = service('embedded-postgres', { start: async () => undefined, stop: () => embedded.stop() });
  return [{ ...layer, stopWeight: 3 }];
}

/**
 * @param app what `defineApp` returned
 * @param config as `loadConfig` gave it
 */
export function createRuntime(app: AnyApp, config: Config, deps: RuntimeDeps): Runtime {
  const { logger, embedded } = deps;
  let phase: Phase = 'starting';
  let assembly: Assembly | undefined;
  const life = service('tidemark', {
    async start() {
      const url = config.databaseUrl ?? embedded?.url;
      if (url === undefined)
        throw new TidemarkError(
          'invalid_config',
          'DATABASE_URL: expected one, as there is no embedded Postgres',
        );
      logger.info(
        { app: app.name, roles: config.roles, database: showUrl(url), version: VERSION },
        'starting',
      );
      try {
        const signer = await prepareDatabase(app, { url, schema: config.schema, logger });
        assembly = assemble(app, config, deps, { url, signer, phase: () => phase });
      } catch (error) {
        await embedded?.stop();
        throw error;
      }
      await assembly.stack.start();
      if (phase === 'starting') phase = 'running';
      logger.info({ ...assembly.urls() }, 'ready');
    },
    async stop() {
      await assembly?.stack.stop();
      logger.info('stopped');
    },
  });
  return {
    name: life.name,
    start: life.start,
    stop() {
      phase = 'stopping';
      return life.stop();
    },
    get urls() {
      if (!assembly) throw new Error('the runtime has no URLs before it is started');
      return assembly.urls();
    },
  };
}
