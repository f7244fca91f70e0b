/** Reads streams for people: their history as it is stored, and their state at a version or a time. */
import type { AnyAggregate } from '../domain/aggregate.js';
import type { StoredEvent } from '../domain/events.js';
import type { EventStore } from '../event-store/types.js';
import { TidemarkError } from '../platform/errors.js';
import { asFailure, fromStore } from './failures.js';
import { emptyState, foldStream, type Folded } from './folding.js';
import { loadSnapshot } from './snapshots.js';

/** One event as the history shows it; `data` is as it was stored, of `schemaVersion`. */
type HistoryItem = Omit<StoredEvent, 'category' | 'streamId'>;

export interface HistoryPage {
  /** Items as JSON text, in the order of their versions. */
  readonly items: readonly string[];
  /** The version to go on from, or null when the stream ends here. */
  readonly next: number | null;
}

export interface StreamState {
  readonly streamId: string;
  readonly version: number;
  readonly state: unknown;
}

/** Where in its life a stream is looked at; neither: now. */
export interface StateAt {
  readonly atVersion?: number;
  /** Milliseconds since the epoch, UTC; events recorded then are in. */
  readonly atTime?: number;
}

/** An answer ends early when it has so many characters; `next` says where it goes on. */
const MAX_PAGE_CHARS = 8 * 1024 * 1024;
/** Events read at once: few while their size is not known, as one may have 512 KiB. */
const FIRST_READ = 64;
const MAX_READ = 256;

const notFound = (aggregate: AnyAggregate): TidemarkError =>
  new TidemarkError('stream_not_found', `there is no such stream of ${aggregate.name}`);

function toItem(event: StoredEvent): string {
  const { eventId, seq, shard, version, type, schemaVersion, data, tags, metadata, recordedAt } = event;
  const item: HistoryItem = {
    eventId,
    seq,
    shard,
    version,
    type,
    schemaVersion,
    data,
    tags,
    metadata,
    recordedAt,
  };
  return JSON.stringify(item);
}

export class StreamReader {
  readonly #store: EventStore;

  constructor(store: EventStore) {
    this.#store = store;
  }

  /**
   * @param from first version, inclusive
   * @param limit items at the most
   * @throws TidemarkError `stream_not_found` when the stream has no event at all
   */
  async history(
    aggregate: AnyAggregate,
    streamId: string,
    from: number,
    limit: number,
  ): Promise<HistoryPage> {
    const items: string[] = [];
    let chars = 0;
    for (let at = from; ;) {
      const room = limit - items.length + 1;
      const read = Math.min(room, readSize(items.length, chars));
      const events = await this.#read(aggregate, streamId, at, read);
      for (const event of events) {
        const isFull = items.length === limit || (items.length > 0 && chars >= MAX_PAGE_CHARS);
        if (isFull) return { items, next: event.version };
        const item = toItem(event);
        items.push(item);
        chars += item.length;
        at = event.version + 1;
      }
      if (events.length < read) break;
    }
    if (items.length === 0 && !(await this.#exists(aggregate, streamId, from))) throw notFound(aggregate);
    return { items, next: null };
  }

  /**
   * The state as the running code folds it. Version 0, and any time before the first event, is the state before it.
   * @throws TidemarkError `stream_not_found`, `version_not_found`, `needs_newer_code`, `event_unreadable`, `internal_error`
   */
  async state(aggregate: AnyAggregate, streamId: string, at: StateAt): Promise<StreamState> {
    try {
      const start = (await this.#start(aggregate, streamId, at)) ?? emptyState(aggregate);
      const folded = await foldStream(this.#store, aggregate, streamId, start, { until: lastOf(at) });
      if (folded.version === 0 && folded.atEnd) throw notFound(aggregate);
      if (at.atVersion !== undefined && folded.version < at.atVersion) {
        throw new TidemarkError('version_not_found', `the stream ends at version ${folded.version}`, {
          extra: { version: folded.version },
        });
      }
      return { streamId, version: folded.version, state: folded.state };
    } catch (thrown) {
      throw asFailure(thrown, `state of ${aggregate.name}`);
    }
  }

  /** The snapshot, where it is not later than what is asked for. */
  async #start(aggregate: AnyAggregate, streamId: string, at: StateAt): Promise<Folded | undefined> {
    const snapshot = await loadSnapshot(this.#store, aggregate, streamId);
    if (!snapshot) return undefined;
    if (at.atVersion !== undefined) return snapshot.version <= at.atVersion ? snapshot : undefined;
    if (at.atTime === undefined) return snapshot;
    const [event] = await this.#read(aggregate, streamId, snapshot.version, 1);
    return event && Date.parse(event.recordedAt) <= at.atTime ? snapshot : undefined;
  }

  #read(aggregate: AnyAggregate, streamId: string, from: number, limit: number): Promise<StoredEvent[]> {
    return fromStore(this.#store.readStream({ category: aggregate.name, streamId, from, limit }));
  }

  /** Whether a stream of which nothing was found from `from` on has events before it. */
  async #exists(aggregate: AnyAggregate, streamId: string, from: number): Promise<boolean> {
    return from > 1 && (await this.#read(aggregate, streamId, 1, 1)).length > 0;
  }
}

/** As many as the rest of the answer has room for, judged by those that were read; never far more than these. */
function readSize(items: number, chars: number): number {
  if (items === 0) return FIRST_READ;
  const fitting = Math.ceil((MAX_PAGE_CHARS - chars) / (chars / items));
  return Math.max(1, Math.min(MAX_READ, 2 * items, fitting));
}

function lastOf({ atVersion, atTime }: StateAt): (event: StoredEvent) => boolean {
  if (atVersion !== undefined) return (event) => event.version <= atVersion;
  if (atTime !== undefined) return (event) => Date.parse(event.recordedAt) <= atTime;
  return () => true;
}
