/**
 * The projector of one projection: follows its events through the feed, and keeps the read model and its change log.
 * Rows of one stream each: shards are shared among processes. Rows of many streams: one elected writer reads all shards.
 */
import type { Feed, Membership, ShardReader } from '../broker/ports.js';
import type { StoredEvent } from '../domain/events.js';
import type { AnyReadModel } from '../domain/tables.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import type { Lease, Leases, Participation } from '../platform/postgres/leases.js';
import type { Recent } from '../platform/recent.js';
import { parkedLog, progressLog, type Announcer } from '../platform/wakeups.js';
import { Beginnings, type Beginning } from './beginnings.js';
import type { Stop } from './decode.js';
import { Lane, type BatchWriter, type LaneOptions } from './lane.js';
import { changeLogOf, writerScope } from './names.js';
import { faultMessage } from './parked/record.js';
import { eventText, tellParks } from './parked/told.js';
import { TablesLane } from './tables/lane.js';
import { CLOSED } from './states.js';
import { ShardGate } from './stops/gate.js';
import { isStored } from './stops/store.js';
import type { ChangeEntry, Directives } from './types.js';
import { keepRecent, WriteConflict, type ConflictKind, type Fence } from './write.js';

/** What is counted; all calls are cheap and none may throw. */
export interface ProjectorObserver {
  wrote(info: { projection: string; events: number; changes: number }): void;
  /** Another worker was there first, so that nothing was written. */
  conflict(info: { projection: string; kind: ConflictKind }): void;
  /** A shard stands still until somebody acts. */
  halted(info: { projection: string }): void;
  /** Keys were parked: their folds threw. */
  parked?(info: { projection: string; keys: number }): void;
}

export interface ProjectorOptions {
  readonly projection: AnyReadModel;
  /** The projector role's pool. */
  readonly db: Database;
  readonly feed: Feed<StoredEvent>;
  readonly leases: Pick<Leases, 'join'>;
  readonly announcer: Announcer;
  /** Gets what was written to the change log, for followers in this process. */
  readonly recent?: Recent<ChangeEntry>;
  readonly logger: Logger;
  /** Shards of every log. */
  readonly shards: number;
  readonly observer?: ProjectorObserver;
  /** Events in one call of the feed at the most; 1,000 unless told otherwise. */
  readonly maxBatch?: number;
  /** Transactions under way at once, where rows come from one stream each; 2 unless told otherwise. */
  readonly lanes?: number;
  /** What operators want of the version, as this process knows it; without it, Postgres is asked where it matters. */
  readonly directives?: Directives;
  /**
   * After how long a shard with an event that is newer than the code is tried again, and any shard that stands still is left
   * to others; 30,000 ms unless told otherwise.
   */
  readonly newerRetryMs?: number;
}

const EVENTS_A_TRANSACTION = 4_000;
/** Of JSON of remembered rows, per projection. */
const CACHE_CHARS = 8 * 1024 * 1024;

export type WorkerState = 'working' | 'halted' | 'needs_newer_code';

export class Projector implements Service {
  readonly name: string;
  readonly #options: ProjectorOptions;
  readonly #life: Service;
  readonly #logger: Logger;
  readonly #lanes: readonly BatchWriter[];
  readonly #memberships = new Set<Membership>();
  readonly #gate: ShardGate;
  /** What closes each shard that is open, for a while. */
  readonly #opened = new Map<string, () => void>();
  readonly #deaf: (() => void) | undefined;
  #election: Participation | undefined;
  #fence: Fence | undefined;

  constructor(options: ProjectorOptions) {
    const { projection, logger } = options;
    this.name = `projector ${projection.name}`;
    this.#options = options;
    this.#logger = logger.child({ projection: projection.name, version: projection.version });
    this.#gate = new ShardGate({
      db: options.db,
      projection,
      beginnings: new Beginnings(options.db, projection),
      directives: options.directives,
      logger: this.#logger,
      stopped: ({ kind }) => {
        if (kind === 'halted') options.observer?.halted({ projection: projection.name });
      },
      retryMs: options.newerRetryMs ?? 30_000,
    });
    this.#deaf = options.directives?.onChange(() => this.#obey());
    const count = projection.manyStreams ? 1 : (options.lanes ?? 2);
    this.#lanes = Array.from({ length: count }, () => this.#lane(Math.floor(CACHE_CHARS / count)));
    this.#life = service(this.name, {
      start: () => (projection.manyStreams ? this.#stand() : this.#share()),
      stop: () => this.#end(),
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  /** Resolves when no batch is under way. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  /** What this process’s workers came to, and why: the worst of all shards. */
  get state(): { readonly state: WorkerState; readonly reason?: string } {
    const [stop] = this.#gate.stops;
    return stop ? { state: stop.kind, reason: stop.reason } : { state: 'working' };
  }

  #lane(cacheChars: number): BatchWriter {
    const { projection, db, shards } = this.#options;
    const wrote = this.#wrote();
    if (projection.kind === 'tables') return new TablesLane({ db, projection, wrote });
    return new Lane({ db, projection, shards, maxEvents: EVENTS_A_TRANSACTION, cacheChars, wrote });
  }

  #wrote(): LaneOptions['wrote'] {
    const { projection, announcer, recent, observer } = this.#options;
    return ({ progress, heads, entries, events, changes, parks }) => {
      if (recent) keepRecent(recent, entries);
      for (const { shard, seq } of heads) announcer.announce(changeLogOf(projection), shard, seq);
      for (const { source, shard, til } of progress) {
        announcer.announce(progressLog(projection.name, projection.version, source), shard, til);
      }
      observer?.wrote({ projection: projection.name, events, changes });
      if (parks.length > 0) {
        announcer.announce(parkedLog(projection.name), 0, 0);
        observer?.parked?.({ projection: projection.name, keys: parks.length });
      }
      tellParks(this.#logger, parks);
    };
  }

  /** One stream, one row: every process takes a share of the shards. */
  async #share(): Promise<void> {
    for (const { aggregate } of this.#options.projection.sources) {
      await this.#join(aggregate.name, 'shared', undefined);
    }
  }

  /** Many streams, one row: stands for election, and reads all shards of all sources while elected. */
  #stand(): Promise<void> {
    const terms = new Map<number, { joined: Promise<Membership[]> }>();
    this.#election = this.#options.leases.join(writerScope(this.#options.projection), 1, {
      gained: (lease) => {
        this.#logger.info({ term: lease.term }, 'elected to write');
        const sources = this.#options.projection.sources.map(({ aggregate }) => aggregate.name);
        const joined = Promise.all(sources.map((source) => this.#join(source, 'every', lease)));
        joined.catch((err: unknown) => this.#logger.error({ err }, 'cannot follow events'));
        terms.set(lease.term, { joined });
      },
      lost: async (lease) => {
        const term = terms.get(lease.term);
        terms.delete(lease.term);
        const memberships = (await term?.joined.catch(() => [])) ?? [];
        await Promise.all(memberships.map((membership) => this.#leave(membership)));
      },
    });
    return Promise.resolve();
  }

  async #join(source: string, mode: 'shared' | 'every', lease: Lease | undefined): Promise<Membership> {
    const { projection, feed, shards, maxBatch: most = 1_000 } = this.#options;
    const maxBatch = projection.kind === 'tables' ? Math.min(most, projection.batch) : most;
    const group = writerScope(projection);
    const joined: { membership?: Membership } = {};
    const open = async (shard: number): Promise<ShardReader<StoredEvent> | undefined> => {
      const begin = await this.#admit(source, shard);
      return begin && this.#reader(source, shard, begin, lease, () => joined.membership?.reopen(shard));
    };
    const membership = await feed.join({ log: source, shards, group, mode, maxBatch, open });
    joined.membership = membership;
    this.#memberships.add(membership);
    return membership;
  }

  async #leave(membership: Membership): Promise<void> {
    await membership.stop();
    this.#memberships.delete(membership);
  }

  /** Where a shard begins, once it may be worked on. Its lane forgets all first: what it knows may be older than that. */
  async #admit(source: string, shard: number): Promise<Beginning | undefined> {
    const begin = await this.#gate.admit(source, shard);
    if (begin) this.#laneOf(shard).forget();
    return begin;
  }

  #laneOf(shard: number): BatchWriter {
    const lane = this.#lanes[shard % this.#lanes.length];
    if (!lane) throw new Error('a projector has a lane');
    return lane;
  }

  #reader(
    source: string,
    shard: number,
    begin: Beginning,
    lease: Lease | undefined,
    reopen: () => void,
  ): ShardReader<StoredEvent> {
    const id = `${source}/${shard}`;
    const fence = this.#fenceOf(begin.epoch, lease);
    let position = begin.seq;
    let { stoppedAt } = begin;
    this.#opened.set(id, reopen);
    return {
      after: position,
      handle: async (entries) => {
        const stop = await this.#laneOf(shard)
          .submit({ source, shard, from: position, entries, fence })
          .catch((error: unknown) => this.#failed(error));
        if (stop) await this.#stopAt(source, stop);
        position = entries.at(-1)?.seq ?? position;
        if (stoppedAt === undefined || position < stoppedAt) return;
        stoppedAt = undefined;
        await this.#gate.open(source, shard);
      },
      trimmed: (low) => {
        const reason = `events of ${source}, shard ${shard}, up to seq ${low} were trimmed, and this projection stands at ${position}`;
        void this.#gate.close({ source, shard, kind: 'halted', reason, seq: position + 1 }).then(reopen);
      },
      closed: () => {
        if (this.#opened.get(id) === reopen) this.#opened.delete(id);
      },
    };
  }

  /** Closes what is open when nobody may write any more; it is opened again once somebody may (the gate knows). */
  #obey(): void {
    const facts = this.#options.directives?.facts(this.#options.projection.name);
    if (!facts || (facts.loaded && !CLOSED.includes(facts.state))) return;
    for (const reopen of this.#opened.values()) reopen();
  }

  /** Batches of the same fence may go together, so there is one object per epoch and lease. */
  #fenceOf(epoch: string, lease: Lease | undefined): Fence {
    const { epoch: known, lease: held } = this.#fence ?? {};
    if (!this.#fence || known !== epoch || held !== lease) this.#fence = { epoch, lease };
    return this.#fence;
  }

  #failed(error: unknown): never {
    if (error instanceof WriteConflict) {
      this.#options.observer?.conflict({ projection: this.#options.projection.name, kind: error.kind });
    }
    throw error;
  }

  async #stopAt(source: string, { kind, event, error }: Stop): Promise<never> {
    if (!(await isStored(this.#options.db, event))) this.#failed(new WriteConflict('ghost', error));
    const { shard, seq } = event;
    const reason = `${eventText(event)}: ${faultMessage(error)}`;
    const stopped = kind === 'poison' ? 'halted' : kind;
    await this.#gate.close({ source, shard, kind: stopped, reason, seq }, error);
    throw new Error(reason, { cause: error });
  }

  async #end(): Promise<void> {
    this.#deaf?.();
    this.#gate.end();
    await this.#election?.leave();
    await Promise.all([...this.#memberships].map((membership) => this.#leave(membership)));
  }
}
