/** The Postgres event store: appends by lanes and group commit, reads, snapshots, and the life of idempotency keys. */
import type { StoredEvent } from '../domain/events.js';
import { systemClock, type Clock } from '../platform/clock.js';
import { TidemarkError } from '../platform/errors.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import { ensureLog } from '../platform/postgres/logs.js';
import type { Recent } from '../platform/recent.js';
import type { RawEvent } from './raw-reads.js';
import type { Announcer } from '../platform/wakeups.js';
import { Appender } from './appender.js';
import { Lane } from './lane.js';
import { EventStoreOptions, type EventStoreOptionsInput } from './options.js';
import { pend, type Pending } from './pending.js';
import type { EventStoreObserver } from './observer.js';
import { keyPurger } from './purge.js';
import { readShard, readStream } from './reads.js';
import { eventStoreStatements, type EventStoreStatements } from './statements.js';
import type {
  AppendOutcome,
  AppendRequest,
  EventStore,
  LogPage,
  Snapshot,
  StreamReadOptions,
} from './types.js';

export interface EventStoreDeps {
  /** Its pool should have a connection for each lane, one for appends to several streams, and some for reads. */
  readonly database: Database;
  /** Aggregate names, each the name of its event log. */
  readonly categories: readonly string[];
  /** Shards of each of these logs. */
  readonly shards: number;
  readonly announcer: Announcer;
  /** Gets what was appended, for followers in this process. */
  readonly recent?: Recent<RawEvent>;
  readonly logger: Logger;
  readonly observer?: EventStoreObserver;
  readonly clock?: Clock;
}

/**
 * Exactly one request wins a stream's version, seqs of a shard have no hole, and every request gets its own answer; see DESIGN §1.
 * `start` makes the logs; `stop` takes no more appends and resolves when those that wait are answered.
 */
export class PostgresEventStore implements EventStore, Service {
  readonly name = 'event-store';
  readonly #database: Database;
  readonly #statements: EventStoreStatements;
  readonly #shardCounts: ReadonlyMap<string, number>;
  readonly #clock: Clock;
  readonly #options: EventStoreOptions;
  readonly #lanes: readonly Lane[];
  /** Requests of several streams: each a call of its own; the locks keep it right beside the lanes. */
  readonly #atomic: Lane;
  readonly #life: Service;
  #stopping = false;

  constructor(deps: EventStoreDeps, options: EventStoreOptionsInput = {}) {
    this.#options = EventStoreOptions.parse(options);
    this.#database = deps.database;
    this.#statements = eventStoreStatements(deps.database);
    this.#shardCounts = new Map(deps.categories.map((category) => [category, deps.shards]));
    this.#clock = deps.clock ?? systemClock;
    const shared = { database: deps.database, statements: this.#statements, logger: deps.logger };
    const appender = new Appender({
      ...shared,
      ...this.#options,
      announcer: deps.announcer,
      recent: deps.recent,
      clock: this.#clock,
    });
    const work = async (batch: readonly Pending[]): Promise<void> => {
      const begun = this.#clock.monotonic();
      await appender.settle(batch);
      const milliseconds = this.#clock.monotonic() - begun;
      deps.observer?.batch?.({ requests: batch.length, milliseconds });
    };
    this.#lanes = Array.from({ length: this.#options.lanes }, () => new Lane(work, this.#options));
    this.#atomic = new Lane(work, { ...this.#options, maxBatch: 1 });
    const purger = keyPurger({ ...shared, ...this.#options });
    this.#life = service(this.name, {
      start: async () => {
        for (const category of deps.categories) await ensureLog(deps.database, category, deps.shards);
        await purger.start();
      },
      stop: async () => {
        await purger.stop();
        await Promise.all([...this.#lanes, this.#atomic].map((lane) => lane.drained()));
      },
    });
  }

  /** @throws TidemarkError `shard_count_changed` */
  start(): Promise<void> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    this.#stopping = true;
    return this.#life.stop();
  }

  /** Requests that wait in the queues of the lanes. */
  get queued(): number {
    return [...this.#lanes, this.#atomic].reduce((sum, lane) => sum + lane.queued, 0);
  }

  append(request: AppendRequest): Promise<AppendOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#stopping)
        throw new TidemarkError('not_ready', 'the event store is stopping', { retryAfter: 1 });
      const deadline = this.#clock.monotonic() + this.#options.appendTimeoutMs;
      const pending = pend(request, this.#shardCounts, deadline, resolve, reject);
      this.#laneOf(pending).add(pending);
    });
  }

  #laneOf({ streams: [first, ...more] }: Pending): Lane {
    const lane = more.length > 0 ? undefined : this.#lanes[(first?.shard ?? 0) % this.#lanes.length];
    return lane ?? this.#atomic;
  }

  readStream(options: StreamReadOptions): Promise<StoredEvent[]> {
    return readStream(this.#database, this.#statements, options);
  }

  readShard(category: string, shard: number, after: number, limit: number): Promise<LogPage<StoredEvent>> {
    return readShard(this.#database, this.#statements, category, shard, after, limit);
  }

  async loadSnapshot(category: string, streamId: string, fingerprint: string): Promise<Snapshot | undefined> {
    const { text, name } = this.#statements.loadSnapshot;
    const [row] = await this.#database.query<[number, string]>(text, [category, streamId, fingerprint], name);
    return row && { version: row[0], state: row[1] };
  }

  async saveSnapshot(
    category: string,
    streamId: string,
    fingerprint: string,
    { version, state }: Snapshot,
  ): Promise<void> {
    const { text, name } = this.#statements.saveSnapshot;
    await this.#database.query(text, [category, streamId, fingerprint, version, state], name);
  }
}
