/** Puts the parts of one process together, in the order in which they start; they stop in the reverse of it. */
import type { AnyApp } from '../domain/app.js';
import type { StoredEvent } from '../domain/events.js';
import { service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { Leases } from '../platform/postgres/leases.js';
import { ProgressTracker } from '../projections/progress-tracker.js';
import { projectionStatuses, type Projections } from '../projections/projections.js';
import type { ChangeEntry, ProjectionState } from '../projections/types.js';
import type { Signer } from '../platform/signing.js';
import { Recent } from '../platform/recent.js';
import { Wakeups } from '../platform/wakeups.js';
import type { Config } from './config.js';
import type { Context, RoleLayer } from './context.js';
import { Databases } from './databases.js';
import { Health, type Phase } from './health.js';
import { createHints } from './hints.js';
import { createHttpLayer } from './http/http-layer.js';
import { urlHost } from './http/listen.js';
import { feedMetrics, projectionGauges } from './metrics/read-side.js';
import { MetricsRegistry } from './metrics/registry.js';
import { createApiRole } from './roles/api.js';
import { createGatewayRole } from './roles/gateway.js';
import { createProjectorRole } from './roles/projector.js';
import { stackOf, type Layer, type Stack } from './stack.js';
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
}

export interface RuntimeUrls {
  /** `http://host:port`, with the port that was bound. */
  readonly http: string;
  /** The page that explains the API; where the process has the `api` role. */
  readonly docs?: string;
  /** `ws://host:port/realtime`; where the process has the `gateway` role. */
  readonly realtime?: string;
}

export interface Assembly {
  readonly stack: Stack;
  /** Valid once the stack is started. */
  urls(): RuntimeUrls;
}

/** Well within the life of a lease, so that a connection that stands still is given up before another process takes over. */
const LEASE_TIMEOUT_MS = 3_000;
/** Connections for health. */
const OPS_CONNECTIONS = 2;

function createContext(options: AssemblyOptions): { context: Context; base: Layer[] } {
  const { app, config, logger, url, signer, embedded } = options;
  const databases = new Databases({ url, schema: config.schema, logger });
  const wakeups = new Wakeups();
  const hints = createHints(app, { databases, wakeups, logger });
  // Its one connection stands for this process: while it lives, its leases do.
  const leases = new Leases({
    db: databases.open('leases', 1, { statementTimeoutMs: LEASE_TIMEOUT_MS }),
    logger,
  });
  const metrics = new MetricsRegistry();
  const { announcer, probe } = hints;
  const recent = { events: new Recent<StoredEvent>(), changes: new Recent<ChangeEntry>() };
  const feedObserver = feedMetrics(metrics);
  const shared = { app, config, logger, metrics, feedObserver, databases, signer };
  const context = { ...shared, wakeups, announcer, probe, recent, leases };
  const nothing = async (): Promise<void> => undefined;
  const pools = service('pools', { start: nothing, stop: () => databases.end() });
  const own = embedded && service('embedded-postgres', { start: nothing, stop: () => embedded.stop() });
  return { context, base: [...(own ? [{ ...own, stopWeight: 3 }] : []), pools, hints] };
}

/** What this process’s own worker has come to; undefined where it has none, or one that works. */
function workerState(projections: Projections | undefined, name: string): ProjectionState | undefined {
  const state = projections?.projector(name)?.state.state;
  return state === 'working' ? undefined : state;
}

/** The relay has nothing to do without a broker. */
function createRoles(context: Context, checkQueryOutput: boolean) {
  const { roles } = context.config;
  const gateway = roles.includes('gateway') ? createGatewayRole(context) : undefined;
  const projector = roles.includes('projector') ? createProjectorRole(context) : undefined;
  const stateOf = (name: string) => workerState(projector?.projections, name);
  const api = roles.includes('api') ? createApiRole(context, { checkQueryOutput, stateOf }) : undefined;
  return { gateway, projector, api };
}

export function assemble(options: AssemblyOptions): Assembly {
  const { app, config, logger } = options;
  const { context, base } = createContext(options);
  const { gateway, projector, api } = createRoles(context, options.checkQueryOutput);
  const roles: RoleLayer[] = [gateway, projector, api].filter((role) => role !== undefined);
  const ops = context.databases.open('ops', OPS_CONNECTIONS, {
    connectTimeoutMs: 2_000,
    statementTimeoutMs: 2_000,
  });
  const tracker = new ProgressTracker({
    db: ops,
    projections: app.projections,
    probe: context.probe,
    logger,
  });
  const statuses = () => projectionStatuses(app, tracker, projector?.projections);
  projectionGauges(context.metrics, statuses);
  const health = new Health({ roles: config.roles, phase: options.phase, database: ops, statuses });
  const readiness = () => health.readiness();
  const http = createHttpLayer(context, { roles, version: VERSION, readiness });
  const watching = service('progress', { start: async () => undefined, stop: async () => tracker.stop() });
  const layers = [...base, watching, ...roles, http];
  return {
    stack: stackOf('tidemark', layers, { logger, stopTimeoutMs: config.stopTimeoutMs }),
    urls() {
      const host = urlHost(config.host);
      const at = `http://${host}:${http.port}`;
      return {
        http: at,
        ...(api ? { docs: `${at}/docs` } : {}),
        ...(gateway ? { realtime: `ws://${host}:${gateway.gateway.port}/realtime` } : {}),
      };
    },
  };
}
