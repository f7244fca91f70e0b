/**
 * How far the projections are behind the events, in events and in time. Fed by the head probe: after each look at the
 * heads, one query for all checkpoints, and none while nothing moves.
 */
import type { AnyReadModel } from '../domain/tables.js';
import type { HeadProbe, Heads } from '../platform/head-probe.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import { readCheckpoints, type Checkpoint } from './checkpoints.js';

export interface Behind {
  /** Events behind the heads, over all shards. Never clamped. */
  readonly lag: number;
  /** For how long the oldest event that is not in has been there; ms, to about a second. */
  readonly behindMs: number;
}

export interface ProgressTrackerOptions {
  readonly db: Database;
  readonly projections: readonly AnyReadModel[];
  readonly probe: Pick<HeadProbe, 'onHeads'>;
  readonly logger: Logger;
}

/** Heads that were seen and are not in yet, oldest first. */
interface Seen {
  readonly at: number;
  readonly heads: ReadonlyMap<string, number>;
}

/** Older looks are kept, newer ones come again. */
const MAX_SEEN = 120;

const idOf = (log: string, shard: number): string => `${log}/${shard}`;

export class ProgressTracker {
  readonly #options: ProgressTrackerOptions;
  readonly #end: () => void;
  readonly #behind = new Map<string, Behind>();
  readonly #seen = new Map<string, Seen[]>();
  #last = '';
  #asking = false;

  constructor(options: ProgressTrackerOptions) {
    this.#options = options;
    this.#end = options.probe.onHeads((heads) => void this.#look(heads));
  }

  /** Undefined until the first look. */
  behind(projection: string): Behind | undefined {
    return this.#behind.get(projection);
  }

  stop(): void {
    this.#end();
  }

  async #look({ at, heads }: Heads): Promise<void> {
    const seqs = new Map(heads.map(({ log, shard, head }) => [idOf(log, shard), head]));
    const fingerprint = [...seqs].join(';');
    const settled = [...this.#behind.values()].every(({ lag }) => lag === 0);
    if (this.#asking || (settled && fingerprint === this.#last)) return;
    this.#asking = true;
    try {
      const checkpoints = await readCheckpoints(this.#options.db, this.#options.projections);
      for (const projection of this.#options.projections) {
        const own = checkpoints.filter(
          (one) => one.projection === projection.name && one.version === projection.version,
        );
        this.#behind.set(projection.name, this.#measure(projection, { at, heads: seqs }, own));
      }
      this.#last = fingerprint;
    } catch (err) {
      this.#options.logger.debug({ err }, 'checkpoints cannot be read');
    } finally {
      this.#asking = false;
    }
  }

  #measure(projection: AnyReadModel, now: Seen, checkpoints: readonly Checkpoint[]): Behind {
    const lag = checkpoints.reduce(
      (sum, { source, shard, seq }) => sum + (now.heads.get(idOf(source, shard)) ?? seq) - seq,
      0,
    );
    const seen = this.#seen.get(projection.name) ?? [];
    if (seen.length < MAX_SEEN) seen.push(now);
    const isIn = ({ heads }: Seen): boolean =>
      checkpoints.every(({ source, shard, seq }) => seq >= (heads.get(idOf(source, shard)) ?? 0));
    while (seen[0] && isIn(seen[0])) seen.shift();
    this.#seen.set(projection.name, seen);
    return { lag, behindMs: seen[0] ? performance.now() - seen[0].at : 0 };
  }
}
