/** The roles of one process, put together as its environment says. */
import type { BuildersOptions } from '../../projections/rebuild/builders.js';
import type { Context, RoleLayer } from '../context.js';
import { awayGauge } from '../metrics/kafka.js';
import type { Layer } from '../stack.js';
import { TopicsLayer } from '../topics.js';
import { createWriteSide } from '../write-side.js';
import { createApiRole, type ApiRole } from './api.js';
import { createGatewayRole, type GatewayRole } from './gateway.js';
import { createIdleRelay } from './idle-relay.js';
import { createInbound } from './inbound.js';
import { createProjectorRole, type ProjectorRole } from './projector.js';
import { createRelayRole } from './relay.js';

export interface Roles {
  readonly gateway: GatewayRole | undefined;
  readonly projector: ProjectorRole | undefined;
  readonly api: ApiRole | undefined;
  readonly all: readonly RoleLayer[];
  /** What /readyz tells of them. */
  readonly concerns: () => readonly string[];
  /** What is to be started, in this order; roles, and what they share. */
  readonly layers: readonly Layer[];
}

export interface RolesOptions {
  readonly checkQueryOutput: boolean;
  /** Runs a build of a version. */
  readonly build: BuildersOptions['run'];
}

export function createRoles(context: Context, { checkQueryOutput, build }: RolesOptions): Roles {
  const { app, config, kafka, logger, metrics } = context;
  const has = (role: RoleLayer['name']): boolean => config.roles.includes(role);
  const topics = kafka && new TopicsLayer({ app, kafka, roles: config.roles, logger });
  const gateway = has('gateway') ? createGatewayRole(context) : undefined;
  const projector = has('projector') ? createProjectorRole(context, build) : undefined;
  const inbound = has('relay') && kafka !== undefined && app.consumers.length > 0;
  const writeSide = has('api') || inbound ? createWriteSide(context) : undefined;
  const api = has('api') && writeSide ? createApiRole(context, { writeSide, checkQueryOutput }) : undefined;
  const outgoing = kafka ? () => createRelayRole(context, kafka) : () => createIdleRelay(context);
  const relay = has('relay') ? outgoing() : undefined;
  const incoming = inbound && writeSide ? createInbound(context, kafka, writeSide.bus) : undefined;
  const there = <T>(layer: T | undefined): layer is T => layer !== undefined;
  const all = [gateway, projector, relay, incoming, api].filter(there);
  if (kafka) awayGauge(metrics, () => all.flatMap((role) => role.away?.() ?? []));
  return {
    gateway,
    projector,
    api,
    all,
    concerns: () => [...(topics?.concerns ?? []), ...all.flatMap((role) => role.concerns?.() ?? [])],
    // They stop in the reverse order: no new command, what was answered is sent on, then projected, then shown.
    layers: [topics, gateway, projector, writeSide, relay, incoming, api].filter(there),
  };
}
