/** Puts the parts of one process together, in the order in which they start; they stop in the reverse of it. */
import type { AnyApp } from '../domain/app.js';
import type { Inside } from './inside.js';
import type { RawEvent } from '../event-store/raw-reads.js';
import { service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import { Leases } from '../platform/postgres/leases.js';
import { ProgressTracker } from '../projections/progress-tracker.js';
import { ensureReadModel, type EnsureOptions } from '../projections/read-model.js';
import type { ChangeEntry, ProjectionStatus } from '../projections/types.js';
import { StateFollower } from '../projections/versions/following.js';
import { Presence } from '../projections/versions/presence.js';
import { ProjectionRegistry } from '../projections/versions/registry.js';
import { projectionStatuses } from '../projections/versions/statuses.js';
import type { Signer } from '../platform/signing.js';
import { Recent } from '../platform/recent.js';
import { Wakeups } from '../platform/wakeups.js';
import type { Config } from './config.js';
import type { Context } from './context.js';
import { Databases } from './databases.js';
import { Health, type Phase } from './health.js';
import { createHints } from './hints.js';
import { createHttpLayer } from './http/http-layer.js';
import { urlHost } from './http/listen.js';
import { kafkaFeedMetrics } from './metrics/kafka.js';
import { feedMetrics, projectionGauges } from './metrics/read-side.js';
import { MetricsRegistry } from './metrics/registry.js';
import { buildRunner } from './rebuild/runner.js';
import { createRoles } from './roles/roles.js';
import { stackOf, type Layer, type Stack } from './stack.js';
import { createGuard } from '../rights/guard.js';
import { VERSION } from './version.js';

/** A Postgres that belongs to this process; it is stopped last. */
export interface OwnPostgres {
  /** With the password. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface AssemblyOptions {
  readonly app: AnyApp;
  readonly config: Config;
  readonly logger: Logger;
  readonly url: string;
  readonly signer: Signer;
  readonly phase: () => Phase;
  readonly embedded: OwnPostgres | undefined;
  readonly checkQueryOutput: boolean;
  /** Absolute path of the module that `app` is the default export of; undefined where nobody knows. */
  readonly appModule: string | undefined;
  readonly ensuring: EnsureOptions;
  /** Absolute path of a built page to serve; undefined where there is none. */
  readonly pageDir: string | undefined;
}

export interface RuntimeUrls {
  /** `http://host:port`, with the port that was bound. */
  readonly http: string;
  /** The application's own page; where one is served. */
  readonly page?: string;
  /** The page that explains the API; where the process has the `api` role. */
  readonly docs?: string;
  /** `ws://host:port/realtime`; where the process has the `gateway` role. */
  readonly realtime?: string;
}

export interface Assembly {
  readonly stack: Stack;
  /** Undefined without the `api` role. */
  readonly inside: Inside | undefined;
  /** How the projections stand, as last heard. */
  readonly statuses: () => readonly ProjectionStatus[];
  /** Valid once the stack is started. */
  urls(): RuntimeUrls;
}

/** Well within the life of a lease, so that a connection that stands still is given up before another process takes over. */
const LEASE_TIMEOUT_MS = 3_000;
/** Connections for health, and for what this process knows and tells of the versions. */
const OPS_CONNECTIONS = 3;

function createContext(options: AssemblyOptions): { context: Context; ops: Database; base: Layer[] } {
  const { app, config, logger, url, signer, embedded } = options;
  const databases = new Databases({ url, schema: config.schema, logger });
  const wakeups = new Wakeups();
  const hints = createHints(app, { databases, wakeups, logger });
  // Its one connection stands for this process: while it lives, its leases do.
  const leases = new Leases({
    db: databases.open('leases', 1, { statementTimeoutMs: LEASE_TIMEOUT_MS }),
    logger,
  });
  const ops = databases.open('ops', OPS_CONNECTIONS, { connectTimeoutMs: 2_000, statementTimeoutMs: 2_000 });
  const metrics = new MetricsRegistry();
  const { announcer, probe } = hints;
  const { projections } = app;
  const registry = new ProjectionRegistry({ db: ops, projections, probe, logger });
  const ensureTables = () => ensureReadModel(ops, app, options.ensuring);
  const presence = new Presence({ db: ops, leases, projections, roles: config.roles, logger, ensureTables });
  const recent = { events: new Recent<RawEvent>(), changes: new Recent<ChangeEntry>() };
  const feedObserver = { ...feedMetrics(metrics), ...(config.kafka ? kafkaFeedMetrics(metrics) : {}) };
  const kafka = config.kafka && { ...config.kafka, clientId: app.name };
  const guard = createGuard(app, { logger });
  const shared = { app, guard, config, logger, metrics, feedObserver, databases, kafka, signer };
  const context = { ...shared, wakeups, announcer, probe, recent, leases, registry };
  const nothing = async (): Promise<void> => undefined;
  const pools = service('pools', { start: nothing, stop: () => databases.end() });
  const own = embedded && service('embedded-postgres', { start: nothing, stop: () => embedded.stop() });
  // Told before it reads, and before it decides what it may read.
  const base = [...(own ? [{ ...own, stopWeight: 3 }] : []), pools, hints, presence, registry];
  return { context, ops, base };
}

export function assemble(options: AssemblyOptions): Assembly {
  const { app, config, logger, url, appModule, checkQueryOutput, pageDir } = options;
  const { context, ops, base } = createContext(options);
  const { registry } = context;
  const build = buildRunner({ url, schema: config.schema, logger, logLevel: config.logLevel, appModule });
  const { gateway, projector, api, all, concerns, layers } = createRoles(context, {
    checkQueryOutput,
    build,
  });
  const { projections } = app;
  const tracker = new ProgressTracker({ projections, looks: registry });
  const follower = projector && new StateFollower({ db: ops, projections, registry, tracker, logger });
  const statuses = () => projectionStatuses(app, { tracker, directives: registry });
  projectionGauges(context.metrics, statuses, registry);
  const { phase } = options;
  const health = new Health({
    roles: config.roles,
    phase,
    database: ops,
    statuses,
    concerns,
    versions: registry,
  });
  const readiness = () => health.readiness();
  const realtimePort = () => gateway?.gateway.port ?? config.realtimePort;
  const page = api && pageDir !== undefined ? { dir: pageDir, realtimePort } : undefined;
  const realtimeUrl = () => config.realtimeUrl ?? `ws://${urlHost(config.host)}:${realtimePort()}/realtime`;
  const http = createHttpLayer(context, { roles: all, version: VERSION, readiness, realtimeUrl, page });
  const watching = service('progress', {
    start: async () => undefined,
    async stop() {
      tracker.stop();
      await follower?.stop();
    },
  });
  // The registry looks for the first time when it starts: who listens to it was made before.
  const whole = [...base, watching, ...layers, http];
  return {
    stack: stackOf('tidemark', whole, { logger, stopTimeoutMs: config.stopTimeoutMs }),
    inside: api?.inside,
    statuses,
    urls() {
      const host = urlHost(config.host);
      const at = `http://${host}:${http.port}`;
      return {
        http: at,
        ...(page ? { page: `${at}/` } : {}),
        ...(api ? { docs: `${at}/docs` } : {}),
        ...(gateway ? { realtime: `ws://${host}:${gateway.gateway.port}/realtime` } : {}),
      };
    },
  };
}
