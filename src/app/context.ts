/** What the roles of one process share. */
import type { FeedObserver } from '../broker/ports.js';
import type { KafkaSettings } from '../broker/kafka/settings.js';
import type { AnyApp } from '../domain/app.js';
import type { RawEvent } from '../event-store/raw-reads.js';
import type { HeadProbe } from '../platform/head-probe.js';
import type { Logger } from '../platform/logger.js';
import type { Leases } from '../platform/postgres/leases.js';
import type { Recent } from '../platform/recent.js';
import type { Signer } from '../platform/signing.js';
import type { Announcer, Wakeups } from '../platform/wakeups.js';
import type { ChangeEntry } from '../projections/types.js';
import type { ProjectionRegistry } from '../projections/versions/registry.js';
import type { Guard } from '../rights/guard.js';
import type { FastifyInstance } from 'fastify';
import type { Operations } from '../protocol/openapi.js';
import type { Config, Role } from './config.js';
import type { Databases } from './databases.js';
import type { MetricsRegistry } from './metrics/registry.js';
import type { Layer } from './stack.js';

export interface Context {
  readonly app: AnyApp;
  /** Who calls, and what of the application is theirs. */
  readonly guard: Guard;
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Of all feeds of the process: metrics have one owner. */
  readonly feedObserver: FeedObserver;
  readonly databases: Databases;
  /** How this process reaches Kafka; undefined where there is none. */
  readonly kafka: KafkaSettings | undefined;
  readonly signer: Signer;
  readonly wakeups: Wakeups;
  readonly announcer: Announcer;
  readonly probe: HeadProbe;
  /** What this process committed a moment ago, so that its own followers need not ask Postgres for it. */
  readonly recent: { readonly events: Recent<RawEvent>; readonly changes: Recent<ChangeEntry> };
  /** Who does what among the processes; runs in each, as its beat says that the process lives. */
  readonly leases: Leases;
  /** How the versions of this process stand: workers and readers ask it before they go on. */
  readonly registry: ProjectionRegistry;
}

/** A role of a process: starts and stops by itself. */
export interface RoleLayer extends Layer {
  readonly name: Role;
  /** Hangs its routes on the server on PORT. */
  routes?(server: FastifyInstance): void;
  /** What its routes look like in OpenAPI. */
  readonly operations?: readonly Operations[];
  /** What /readyz tells of it, though the process can serve: Kafka is away, a log stands still. One line each; no secrets. */
  concerns?(): readonly string[];
  /** Logs that it should get from Kafka and does not, so that it goes by Postgres. */
  away?(): readonly string[];
}
