/**
 * What this process itself committed a moment ago. A follower of the log in the same process takes it from here and spares
 * the read from Postgres; its arithmetic stays the same, and whatever is not here, or not surely the next, is read there.
 *
 * Entries are offered only after their commit was confirmed. They are given out for a short time only, so that a log
 * that was restored under a running process is never followed from memory.
 */
import { systemClock, type Clock } from './clock.js';

export interface RecentOptions {
  /** Entries kept of a shard at the most; 64 unless told otherwise. */
  readonly maxEntries?: number;
  /** Bytes kept of a shard at the most, as the offers count them; 256 KiB unless told otherwise. */
  readonly maxBytes?: number;
  /** For how long an entry is given out; 500 ms unless told otherwise. */
  readonly maxAgeMs?: number;
  readonly clock?: Clock;
}

export interface Offer<E> {
  readonly seq: number;
  /** Of the log, where entries know it: one of another epoch does not follow, whatever its seq. */
  readonly epoch?: string;
  /** About what it holds in memory. */
  readonly bytes: number;
  /** Shared by all who read it: nothing of it may be changed. */
  readonly entry: E;
}

interface Kept<E> {
  readonly seq: number;
  readonly bytes: number;
  readonly entry: E;
  readonly at: number;
}

interface Shard<E> {
  epoch: string | undefined;
  kept: Kept<E>[];
  bytes: number;
}

const DEFAULTS = { maxEntries: 64, maxBytes: 256 * 1024, maxAgeMs: 500 };

export class Recent<E> {
  readonly #shards = new Map<string, Shard<E>>();
  readonly #options: typeof DEFAULTS;
  readonly #clock: Clock;

  constructor({ clock, ...options }: RecentOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#clock = clock ?? systemClock;
  }

  /** Takes an entry that was committed. One that does not follow the last begins anew; an older one is passed over. */
  offer(log: string, shard: number, entry: Offer<E>): void {
    const id = `${log}/${shard}`;
    const { maxEntries, maxBytes } = this.#options;
    const { epoch } = entry;
    let known = this.#shards.get(id);
    if (!known || known.epoch !== epoch) this.#shards.set(id, (known = { epoch, kept: [], bytes: 0 }));
    const last = known.kept.at(-1)?.seq ?? entry.seq - 1;
    if (entry.seq <= last) return;
    if (entry.seq > last + 1 || entry.bytes > maxBytes) {
      known.kept = [];
      known.bytes = 0;
    }
    if (entry.bytes > maxBytes) return;
    const { seq, bytes } = entry;
    known.kept.push({ seq, bytes, entry: entry.entry, at: this.#clock.monotonic() });
    known.bytes += entry.bytes;
    while (known.kept.length > maxEntries || known.bytes > maxBytes)
      known.bytes -= known.kept.shift()?.bytes ?? 0;
  }

  /** The entries after a seq, in order and without a hole; undefined when Postgres has to be asked. */
  after(log: string, shard: number, after: number, limit: number): E[] | undefined {
    const { kept, begin } = this.#from(log, shard, after + 1);
    return begin === undefined ? undefined : kept.slice(begin, begin + limit).map(({ entry }) => entry);
  }

  /** The entry at a seq, if it is here. */
  at(log: string, shard: number, seq: number): E | undefined {
    const { kept, begin } = this.#from(log, shard, seq);
    return begin === undefined ? undefined : kept[begin]?.entry;
  }

  /** Where a seq stands among those that are kept; undefined where it does not, or is too old. */
  #from(log: string, shard: number, seq: number): { kept: readonly Kept<E>[]; begin: number | undefined } {
    const kept = this.#shards.get(`${log}/${shard}`)?.kept ?? [];
    const begin = seq - (kept[0]?.seq ?? 0);
    const oldest = kept[begin];
    const isFresh = oldest !== undefined && this.#clock.monotonic() - oldest.at <= this.#options.maxAgeMs;
    return { kept, begin: isFresh ? begin : undefined };
  }
}
