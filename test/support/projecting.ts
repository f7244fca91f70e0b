/** The projectors of one process on a real Postgres; several on one database are several processes. */
import { randomUUID } from 'node:crypto';
import { PostgresFeed } from '../../src/broker/postgres/feed.js';
import type { AnyApp } from '../../src/domain/app.js';
import type { StoredEvent } from '../../src/domain/events.js';
import { PostgresEventStore } from '../../src/event-store/store.js';
import { HeadProbe } from '../../src/platform/head-probe.js';
import { silentLogger, type Logger } from '../../src/platform/logger.js';
import { Database, type DatabaseOptions } from '../../src/platform/postgres/database.js';
import { Leases } from '../../src/platform/postgres/leases.js';
import { readHeads } from '../../src/platform/postgres/logs.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { progressLog, Wakeups } from '../../src/platform/wakeups.js';
import { readCheckpoints } from '../../src/projections/checkpoints.js';
import { ProgressTracker } from '../../src/projections/progress-tracker.js';
import { Projections, type ProjectionsOptions } from '../../src/projections/projections.js';
import { ensureReadModel } from '../../src/projections/read-model.js';
import type { ProjectionStatus } from '../../src/projections/types.js';
import { StateFollower } from '../../src/projections/versions/following.js';
import { ProjectionRegistry } from '../../src/projections/versions/registry.js';
import { projectionStatuses } from '../../src/projections/versions/statuses.js';

export interface ProjectingProcess {
  readonly db: Database;
  readonly store: PostgresEventStore;
  readonly wakeups: Wakeups;
  readonly leases: Leases;
  readonly probe: HeadProbe;
  readonly registry: ProjectionRegistry;
  readonly projections: Projections;
  statuses(): ProjectionStatus[];
  /** Resolves when every projection has all events that are there now (waits for hints, not for time). */
  caughtUp(): Promise<void>;
  stop(): Promise<void>;
}

export interface ProjectingOptions {
  readonly logger?: Logger;
  readonly tuning?: ProjectionsOptions['tuning'];
  /** Milliseconds between beats of leases and looks at heads. */
  readonly beatMs?: number;
  /** For how long a shard that it cannot work on is left to others; `beatMs` unless told otherwise. */
  readonly notNowMs?: number;
  /** After how many milliseconds a process that stands still has lost its leases. */
  readonly ttlMs?: number;
  readonly observer?: ProjectionsOptions['observer'];
  /** How long its pool waits for locks, statements and connections. */
  readonly database?: Pick<DatabaseOptions, 'connectTimeoutMs' | 'lockTimeoutMs' | 'statementTimeoutMs'>;
  /** Does not start the projectors. */
  readonly idle?: boolean;
}

export async function startProjecting(
  url: string,
  app: AnyApp,
  options: ProjectingOptions = {},
): Promise<ProjectingProcess> {
  const { logger = silentLogger, beatMs = 100, ttlMs = 2_000, tuning, observer } = options;
  const { notNowMs = beatMs } = options;
  const open = (role: string, max: number): Database =>
    new Database({ connectionString: url, schema: 'tidemark', role, logger, max, ...options.database });
  const db = open('projector', 6);
  const pulse = open('leases', 1);
  await migrate(db);
  const wakeups = new Wakeups();
  const categories = app.aggregates.map(({ name }) => name);
  const store = new PostgresEventStore({
    database: db,
    categories,
    shards: app.shards,
    announcer: wakeups,
    logger,
  });
  await store.start();
  await ensureReadModel(db, app);
  const leases = new Leases({ db: pulse, logger, beatMs, ttlMs });
  const probe = new HeadProbe({
    db,
    wakeups,
    logger,
    intervalMs: beatMs,
    logs: { events: categories, changes: [] },
  });
  const { projections: definitions } = app;
  const registry = new ProjectionRegistry({ db, projections: definitions, probe, logger });
  const tracker = new ProgressTracker({ projections: definitions, looks: registry });
  const follower = new StateFollower({ db, projections: definitions, registry, tracker, logger });
  const read = store.readShard.bind(store);
  const feed = new PostgresFeed<StoredEvent>({ read, wakeups, leases, logger, notNowMs });
  const projections = new Projections({
    app,
    db,
    feed,
    leases,
    announcer: wakeups,
    logger,
    directives: registry,
    ...(tuning && { tuning }),
    ...(observer && { observer }),
  });
  await leases.start();
  await probe.start();
  await registry.start();
  if (!options.idle) await projections.start();
  let stopping: Promise<void> | undefined;
  const process: ProjectingProcess = {
    db,
    store,
    wakeups,
    leases,
    probe,
    registry,
    projections,
    statuses: () => projectionStatuses(app, { tracker, directives: registry }),
    caughtUp: () => caughtUp(process, app),
    stop: () =>
      (stopping ??= (async () => {
        await projections.stop();
        await leases.stop();
        tracker.stop();
        await follower.stop();
        await registry.stop();
        await probe.stop();
        await store.stop();
        await Promise.all([db.end(), pulse.end()]);
      })()),
  };
  return process;
}

async function caughtUp({ db, wakeups, probe }: ProjectingProcess, app: AnyApp): Promise<void> {
  const heads = await readHeads(db, { events: app.aggregates.map(({ name }) => name), changes: [] });
  const headOf = new Map(heads.map(({ log, shard, head }) => [`${log}/${shard}`, head]));
  let wake: () => void = () => undefined;
  const ends = app.projections.flatMap(({ name, version, sources }) =>
    sources.map(({ aggregate }) => wakeups.on(progressLog(name, version, aggregate.name), () => wake())),
  );
  ends.push(probe.onHeads(() => wake()));
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const points = await readCheckpoints(db, app.projections);
      if (points.every(({ source, shard, seq }) => seq >= (headOf.get(`${source}/${shard}`) ?? 0))) return;
      await woken;
    }
  } finally {
    for (const end of ends) end();
  }
}

/** Appends events to one stream, whatever its version; resolves when they are committed. */
export async function append(
  store: PostgresEventStore,
  category: string,
  streamId: string,
  events: readonly {
    readonly type: string;
    readonly data: unknown;
    readonly tags?: Record<string, string>;
    readonly schemaVersion?: number;
  }[],
): Promise<void> {
  const metadata = { correlationId: 'test', causationId: 'test', actor: 'anonymous' };
  const outcome = await store.append({
    streams: [
      {
        category,
        streamId,
        expected: 'any',
        events: events.map(({ type, data, tags = {}, schemaVersion = 1 }) => ({
          eventId: randomUUID(),
          type,
          schemaVersion,
          data: JSON.stringify(data),
          tags,
          metadata,
        })),
      },
    ],
  });
  if (outcome.kind !== 'appended') throw new Error(`not appended: ${outcome.kind}`);
}
