/** States of streams that were lately decided on, bounded in number and in bytes. Always possibly stale. */
import { LRUCache } from 'lru-cache';

/** A state as it was folded up to `version`. `decide` freezes what it gets, so nothing spoils it in here. */
export interface CachedState {
  readonly state: unknown;
  /** 0: the stream had no event. */
  readonly version: number;
  /** Version of the newest snapshot that is known of (0: none). */
  readonly snapshotVersion: number;
  /** Bytes in memory, estimated. */
  readonly bytes: number;
  /** What `bytes` was when the state was last measured. */
  readonly measured: number;
}

const ENTRY_BYTES = 512;
const BYTES_PER_CHAR = 3;

/** Objects take a few times the room of their JSON; that is what an estimate can know. */
const measure = (state: unknown): number =>
  ENTRY_BYTES + BYTES_PER_CHAR * (JSON.stringify(state) ?? '').length;

/** A state that was just folded from the start or a snapshot; measured once. */
export function measuredState(state: unknown, version: number, snapshotVersion: number): CachedState {
  const bytes = measure(state);
  return { state, version, snapshotVersion, bytes, measured: bytes };
}

/**
 * The state after more events. Its size is taken to grow with the bytes of their data, and is measured again when
 * that would have doubled it: measuring each time would cost more than deciding.
 */
export function grownState(
  before: CachedState,
  state: unknown,
  version: number,
  addedChars: number,
): CachedState {
  const bytes = before.bytes + BYTES_PER_CHAR * addedChars;
  const { snapshotVersion, measured } = before;
  if (bytes > 2 * measured + 4_096) return measuredState(state, version, snapshotVersion);
  return { state, version, snapshotVersion, bytes, measured };
}

/** The cache and queue key of a stream; names of aggregates have no slash. */
export const streamKey = (aggregate: string, streamId: string): string => `${aggregate}/${streamId}`;

export class AggregateCache {
  readonly #states: LRUCache<string, CachedState>;

  /** A state larger than a quarter of `bytes` is not kept: it would push out too many others. */
  constructor(bounds: { readonly count: number; readonly bytes: number }) {
    this.#states = new LRUCache({
      max: bounds.count,
      maxSize: bounds.bytes,
      maxEntrySize: Math.max(1, Math.floor(bounds.bytes / 4)),
      sizeCalculation: (cached, key) => cached.bytes + key.length * 2,
    });
  }

  get count(): number {
    return this.#states.size;
  }

  get bytes(): number {
    return this.#states.calculatedSize;
  }

  get(key: string): CachedState | undefined {
    return this.#states.get(key);
  }

  set(key: string, cached: CachedState): void {
    this.#states.set(key, cached);
  }

  drop(key: string): void {
    this.#states.delete(key);
  }

  clear(): void {
    this.#states.clear();
  }
}
