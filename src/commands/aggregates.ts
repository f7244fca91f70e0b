/** Gives the state of a stream: cached, caught up after a conflict, or folded from snapshot and events. */
import type { AnyAggregate } from '../domain/aggregate.js';
import type { EventStore } from '../event-store/types.js';
import {
  grownState,
  measuredState,
  streamKey,
  type AggregateCache,
  type CachedState,
} from './aggregate-cache.js';
import { fromStore } from './failures.js';
import { emptyState, foldPage, foldStream, type Folded } from './folding.js';
import type { CommandObserver } from './observer.js';
import { loadSnapshot, type SnapshotWriter } from './snapshots.js';

export interface AggregatesDeps {
  readonly store: EventStore;
  readonly cache: AggregateCache;
  readonly snapshots: SnapshotWriter;
  /** Events between two snapshots. */
  readonly snapshotEvery: number;
  readonly observer: CommandObserver;
}

export class Aggregates {
  readonly #deps: AggregatesDeps;

  constructor(deps: AggregatesDeps) {
    this.#deps = deps;
  }

  /** The state that is in the cache. It may be stale: what is decided on it is confirmed by the append. */
  cached(aggregate: AnyAggregate, streamId: string): CachedState | undefined {
    const cached = this.#deps.cache.get(streamKey(aggregate.name, streamId));
    if (cached) this.#deps.observer.loaded?.({ aggregate: aggregate.name, from: 'cache', events: 0 });
    return cached;
  }

  /** The state of a stream that is taken not to be there, unread; the append will tell. */
  presumedNew(aggregate: AnyAggregate): CachedState {
    return measuredState(aggregate.initial, 0, 0);
  }

  /**
   * The state as Postgres has it. Reads a first page; only a stream that is longer is asked for its snapshot.
   * @throws TidemarkError `database_unavailable`; DomainError; whatever `evolve` throws
   */
  async loaded(aggregate: AnyAggregate, streamId: string): Promise<CachedState> {
    const { store, snapshotEvery } = this.#deps;
    const start = { category: aggregate.name, streamId, from: 1, limit: snapshotEvery };
    const page = await fromStore(store.readStream(start));
    const isShort = page.length < snapshotEvery;
    const snapshot = isShort ? undefined : await loadSnapshot(store, aggregate, streamId);
    const head = snapshot ?? foldPage(aggregate, emptyState(aggregate), page);
    const folded = isShort ? head : await foldStream(store, aggregate, streamId, head);
    return this.#keepFolded(aggregate, streamId, folded, snapshot?.version ?? 0);
  }

  /** The state after what others wrote since `stale`; only what is missing is read. */
  async caughtUp(
    aggregate: AnyAggregate,
    streamId: string,
    stale: CachedState,
    actual: number,
  ): Promise<CachedState> {
    this.forget(aggregate, streamId);
    // A stream that is shorter than it was: the database was restored.
    if (actual < stale.version || stale.version === 0) return this.loaded(aggregate, streamId);
    const from = { state: stale.state, version: stale.version, folded: 0 };
    const folded = await foldStream(this.#deps.store, aggregate, streamId, from);
    return this.#keepFolded(aggregate, streamId, folded, stale.snapshotVersion);
  }

  /** Keeps the state after events of our own that were written. */
  advance(
    aggregate: AnyAggregate,
    streamId: string,
    before: CachedState,
    after: { readonly state: unknown; readonly version: number; readonly chars: number },
  ): void {
    this.#keep(aggregate, streamId, grownState(before, after.state, after.version, after.chars));
  }

  /** Keeps a state that was confirmed; nothing else was learnt. */
  keep(aggregate: AnyAggregate, streamId: string, confirmed: CachedState): void {
    this.#deps.cache.set(streamKey(aggregate.name, streamId), confirmed);
  }

  forget(aggregate: AnyAggregate, streamId: string): void {
    this.#deps.cache.drop(streamKey(aggregate.name, streamId));
  }

  #keepFolded(
    aggregate: AnyAggregate,
    streamId: string,
    folded: Folded,
    snapshotVersion: number,
  ): CachedState {
    this.#deps.observer.loaded?.({ aggregate: aggregate.name, from: 'store', events: folded.folded });
    return this.#keep(aggregate, streamId, measuredState(folded.state, folded.version, snapshotVersion));
  }

  #keep(aggregate: AnyAggregate, streamId: string, cached: CachedState): CachedState {
    const key = streamKey(aggregate.name, streamId);
    const { version, state, snapshotVersion } = cached;
    const due = version - snapshotVersion >= this.#deps.snapshotEvery;
    const kept = due ? { ...cached, snapshotVersion: version } : cached;
    this.#deps.cache.set(key, kept);
    if (due) this.#deps.snapshots.offer(key, { aggregate, streamId, state, version });
    return kept;
  }
}
