/**
 * Reads changes again that the rings do not hold any more, into the rings. Everyone who waits for a shard shares one
 * read: queries grow with shards, not with sockets or channels.
 */
import { TidemarkError } from '../platform/errors.js';
import type { LogPage } from '../event-store/types.js';
import type { ChangeEntry } from '../projections/types.js';
import { Change } from './change.js';
import { Coalesced } from '../platform/coalesced.js';
import type { Ring } from './ring.js';

const PAGE = 500;

export interface BackfillOptions {
  readonly tuples: readonly (readonly string[])[];
  /** The ring as it is now; another after a reload. */
  ring(shard: number): Ring;
  read(shard: number, after: number, limit: number): Promise<LogPage<ChangeEntry>>;
  /** Bytes that may be taken in on top of what the rings hold, by all shards together. */
  room(): number;
  filled(changes: number): void;
}

interface Lane {
  wanted: number;
  /** Bytes that were read and are not in the ring yet. */
  loading: number;
  readonly fill: Coalesced<void>;
}

export class Backfill {
  readonly #options: BackfillOptions;
  readonly #lanes: Lane[];
  readonly #low: number[];

  constructor(shards: number, options: BackfillOptions) {
    this.#options = options;
    this.#low = Array.from({ length: shards }, () => 0);
    this.#lanes = Array.from({ length: shards }, (_, shard) => {
      const lane: Lane = {
        wanted: Infinity,
        loading: 0,
        fill: new Coalesced(() => this.#fill(shard, lane)),
      };
      return lane;
    });
  }

  /** Entries up to it are known to be trimmed. */
  low(shard: number): number {
    return this.#low[shard] ?? 0;
  }

  /** The log began anew: what was trimmed of it before says nothing. */
  restart(): void {
    this.#low.fill(0);
  }

  /**
   * Brings the entries after `after` into the shard's ring. When it resolves and the ring does not reach back so far,
   * they were trimmed (see `low`) or are too much to hold.
   * @throws whatever the read throws
   */
  async fill(shard: number, after: number): Promise<void> {
    const lane = this.#lanes[shard];
    if (!lane) throw new RangeError(`shard ${shard} of ${this.#lanes.length}`);
    lane.wanted = Math.min(lane.wanted, after);
    await lane.fill.call();
  }

  async #fill(shard: number, lane: Lane): Promise<void> {
    let after = Math.max(lane.wanted, this.low(shard));
    lane.wanted = Infinity;
    const { ring: ringOf, tuples } = this.#options;
    const ring = ringOf(shard);
    let found: Change[] = [];
    try {
      // The ring may lose its oldest entries while a page is read: go on until both meet.
      while (after < ring.start) {
        const page = await this.#options.read(shard, after, Math.min(PAGE, ring.start - after));
        if (ringOf(shard) !== ring) return;
        if (page.kind === 'trimmed') {
          this.#low[shard] = Math.max(this.low(shard), page.low);
          if (page.low <= after) throw hole(shard, after);
          after = page.low;
          found = [];
          lane.loading = 0;
          continue;
        }
        for (const entry of page.entries) {
          if (entry.seq !== after + 1) throw hole(shard, after);
          const change = new Change(entry, tuples);
          found.push(change);
          lane.loading += change.bytes;
          after = entry.seq;
        }
        if (page.entries.length === 0) throw hole(shard, after);
        if (this.#loading > this.#options.room()) return;
      }
    } finally {
      // At once, for the other shards; from here on the ring counts what is kept.
      lane.loading = 0;
    }
    ring.prepend(found);
    this.#options.filled(found.length);
  }

  /** Bytes that were read and are in no ring yet. */
  get #loading(): number {
    return this.#lanes.reduce((sum, { loading }) => sum + loading, 0);
  }
}

const hole = (shard: number, after: number): TidemarkError =>
  new TidemarkError(
    'log_hole',
    `shard ${shard}: the entry after ${after} was expected and is not in the change log`,
  );
