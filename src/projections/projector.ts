/**
 * The projector of one projection: follows its events through the feed, and keeps the read model and its change log.
 * Rows of one stream each: shards are shared among processes. Rows of many streams: one elected writer reads all shards.
 */
import type { Feed, Membership, ShardReader } from '../broker/ports.js';
import type { StoredEvent } from '../domain/events.js';
import type { AnyReadModel } from '../domain/tables.js';
import { messageOf } from '../platform/errors.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import type { Lease, Leases, Participation } from '../platform/postgres/leases.js';
import type { Recent } from '../platform/recent.js';
import { progressLog, type Announcer } from '../platform/wakeups.js';
import { Beginnings } from './beginnings.js';
import type { Stop } from './decode.js';
import { Lane, type BatchWriter, type LaneOptions } from './lane.js';
import { changeLogOf } from './names.js';
import { faultMessage } from './parked/record.js';
import { TablesLane } from './tables/lane.js';
import type { ChangeEntry } from './types.js';
import { keepRecent, WriteConflict, type ConflictKind, type Fence } from './write.js';

/** What is counted; all calls are cheap and none may throw. */
export interface ProjectorObserver {
  wrote(info: { projection: string; events: number; changes: number }): void;
  /** Another worker was there first, so that nothing was written. */
  conflict(info: { projection: string; kind: ConflictKind }): void;
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
  /** After how long a shard with an event that is newer than the code is tried again; 30,000 ms unless told otherwise. */
  readonly newerRetryMs?: number;
}

const placeOf = (event: StoredEvent): string =>
  `${event.category}.${event.type} (stream ${JSON.stringify(event.streamId)} version ${event.version}, shard ${event.shard} seq ${event.seq})`;

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
  readonly #beginnings: Beginnings;
  readonly #memberships = new Set<Membership>();
  /** Shards given up because of an event that is newer than the code → reason, and when to try again. */
  readonly #newer = new Map<string, { reason: string; until: number }>();
  #election: Participation | undefined;
  #fence: Fence | undefined;
  #halted: string | undefined;
  #ending: Promise<void> | undefined;

  constructor(options: ProjectorOptions) {
    const { projection, logger } = options;
    this.name = `projector ${projection.name}`;
    this.#options = options;
    this.#logger = logger.child({ projection: projection.name, version: projection.version });
    this.#beginnings = new Beginnings(options.db, projection);
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

  /** What this process’s worker does, and why it does not. */
  get state(): { readonly state: WorkerState; readonly reason?: string } {
    if (this.#halted !== undefined) return { state: 'halted', reason: this.#halted };
    const [newer] = this.#newer.values();
    return newer ? { state: 'needs_newer_code', reason: newer.reason } : { state: 'working' };
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
      if (parks.length > 0) observer?.parked?.({ projection: projection.name, keys: parks.length });
      for (const { key, event, error } of parks) {
        this.#logger.error(
          { key, event: placeOf(event), reason: faultMessage(error) },
          'a key is parked; see `tidemark parked`',
        );
      }
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
    this.#election = this.#options.leases.join(`projector/${changeLogOf(this.#options.projection)}`, 1, {
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
    const group = `projector/${changeLogOf(projection)}`;
    const open = (shard: number): Promise<ShardReader<StoredEvent> | undefined> =>
      this.#open(source, shard, lease);
    const membership = await feed.join({ log: source, shards, group, mode, maxBatch, open });
    this.#memberships.add(membership);
    return membership;
  }

  async #leave(membership: Membership): Promise<void> {
    await membership.stop();
    this.#memberships.delete(membership);
  }

  async #open(
    source: string,
    shard: number,
    lease: Lease | undefined,
  ): Promise<ShardReader<StoredEvent> | undefined> {
    if (this.#halted !== undefined) return undefined;
    const id = `${source}/${shard}`;
    if ((this.#newer.get(id)?.until ?? 0) > performance.now()) return undefined;
    const lane = this.#lanes[shard % this.#lanes.length];
    lane?.forget();
    const begin = await this.#beginnings.read(source, shard);
    if (!begin || !lane) throw new Error(`the read model knows no shard ${shard} of ${source}`);
    const fence = this.#fenceOf(begin.epoch, lease);
    let position = begin.seq;
    return {
      after: position,
      handle: async (entries) => {
        if (this.#halted !== undefined) throw new Error('the projection has halted');
        const stop = await lane
          .submit({ source, shard, from: position, entries, fence })
          .catch((error: unknown) => this.#failed(error));
        if (stop) this.#stopAt(stop, id);
        this.#newer.delete(id);
        position = entries.at(-1)?.seq ?? position;
      },
      trimmed: (low) => {
        this.#halt(
          `events of ${source}, shard ${shard}, up to seq ${low} were trimmed, and this projection stands at ${position}`,
        );
      },
    };
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

  #stopAt({ kind, event, error }: Stop, id: string): never {
    const reason = `${placeOf(event)}: ${messageOf(error)}`;
    if (kind === 'needs_newer_code') {
      const until = performance.now() + (this.#options.newerRetryMs ?? 30_000);
      if (this.#newer.get(id)?.reason !== reason) {
        this.#logger.error({ reason }, 'an event is newer than this code; its shard waits for newer code');
      }
      this.#newer.set(id, { reason, until });
    } else this.#halt(reason, error);
    throw new Error(reason, { cause: error });
  }

  /** Stays so until the process is started again; others may take over what it held. */
  #halt(reason: string, err?: unknown): void {
    if (this.#halted !== undefined) return;
    this.#halted = reason;
    this.#logger.error({ err, reason }, 'projection halted');
    this.#options.observer?.halted({ projection: this.#options.projection.name });
    // Not awaited: it waits for the very call that brought us here.
    this.#end().catch((failure: unknown) => this.#logger.warn({ err: failure }, 'halting was not clean'));
  }

  #end(): Promise<void> {
    this.#ending ??= (async () => {
      await this.#election?.leave();
      await Promise.all([...this.#memberships].map((membership) => this.#leave(membership)));
    })();
    return this.#ending;
  }
}
