/** All projections of an application in one process: their projectors, and how they are. */
import type { Feed } from '../broker/ports.js';
import type { AnyApp } from '../domain/app.js';
import type { StoredEvent } from '../domain/events.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import type { Leases } from '../platform/postgres/leases.js';
import type { Recent } from '../platform/recent.js';
import type { Announcer } from '../platform/wakeups.js';
import { Projector, type ProjectorObserver, type ProjectorOptions } from './projector.js';
import type { ChangeEntry, Directives } from './types.js';

export interface ProjectionsOptions {
  readonly app: AnyApp;
  /** The projector role's pool: about two connections per projection, at least three. */
  readonly db: Database;
  readonly feed: Feed<StoredEvent>;
  readonly leases: Pick<Leases, 'join'>;
  readonly announcer: Announcer;
  /** Gets what was written to the change logs, for followers in this process. */
  readonly recent?: Recent<ChangeEntry>;
  readonly logger: Logger;
  /** What operators want of the versions. */
  readonly directives?: Directives;
  readonly observer?: ProjectorObserver;
  readonly tuning?: Pick<ProjectorOptions, 'maxBatch' | 'lanes' | 'newerRetryMs'>;
}

/** All projectors of the process: one that halts takes none of the others down. */
export class Projections implements Service {
  readonly name = 'projections';
  readonly #projectors: ReadonlyMap<string, Projector>;
  readonly #life: Service;

  constructor(options: ProjectionsOptions) {
    const { app, tuning, ...shared } = options;
    this.#projectors = new Map(
      app.projections.map((projection) => [
        projection.name,
        new Projector({ ...shared, ...tuning, projection, shards: app.shards }),
      ]),
    );
    const all = [...this.#projectors.values()];
    this.#life = service(this.name, {
      start: async () => {
        await Promise.all(all.map((one) => one.start()));
      },
      stop: async () => {
        await Promise.all(all.map((one) => one.stop()));
      },
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  /** Resolves when no batch is under way. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  /** The projector of a projection, to ask for its worker's state. */
  projector(name: string): Projector | undefined {
    return this.#projectors.get(name);
  }
}
