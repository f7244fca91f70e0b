/** How far each projection has come in each log it follows, as this process knows it: from hints, and from Postgres when asked. */
import type { AnyReadModel } from '../domain/tables.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/postgres/database.js';
import { progressLog, type Wakeups } from '../platform/wakeups.js';
import { selectProgress } from './statements.js';

/** What is known of one projection over one event log. */
export class Track {
  readonly projection: AnyReadModel;
  readonly source: string;
  /** Epoch of the event log when Postgres was last asked. */
  epoch: string | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  readonly #shards = new Map<number, { seq: number; seenAt: number }>();

  constructor(projection: AnyReadModel, source: string) {
    this.projection = projection;
    this.source = source;
  }

  /** A hint: the checkpoint of the shard is at `seq` at least. */
  hint(shard: number, seq: number, now: number): void {
    const known = this.#shards.get(shard)?.seq ?? 0;
    this.#shards.set(shard, { seq: Math.max(known, seq), seenAt: now });
  }

  /**
   * What Postgres said, when asked at `at`. Takes the place of what hints said before, as a rebuild or a restore sets
   * checkpoints back; a hint that came since then may know better.
   */
  asked(epoch: string, shard: number, seq: number, at: number): void {
    this.epoch = epoch;
    this.#askedAt = at;
    const known = this.#shards.get(shard);
    const newer = known && known.seenAt >= at ? known : { seq: 0, seenAt: at };
    this.#shards.set(shard, { seq: Math.max(newer.seq, seq), seenAt: newer.seenAt });
  }

  has(shard: number, seq: number): boolean {
    return (this.#shards.get(shard)?.seq ?? 0) >= seq;
  }

  /** Both the epoch and the shard’s checkpoint were heard of since `since`. */
  freshSince(shard: number, since: number): boolean {
    return this.#askedAt >= since && (this.#shards.get(shard)?.seenAt ?? Number.NEGATIVE_INFINITY) >= since;
  }
}

export interface ProgressOptions {
  readonly projections: readonly AnyReadModel[];
  readonly db: Database;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Called after each hint, when the track already knows it. */
  readonly advanced: (track: Track, shard: number) => void;
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #tracks = new Map<string, Track>();
  readonly #ends: (() => void)[] = [];

  constructor(options: ProgressOptions) {
    this.#options = options;
    for (const projection of options.projections) {
      for (const { aggregate } of projection.sources) this.#follow(projection, aggregate.name);
    }
  }

  #follow(projection: AnyReadModel, source: string): void {
    const { wakeups, clock, advanced } = this.#options;
    const log = progressLog(projection.name, projection.version, source);
    const track = new Track(projection, source);
    this.#tracks.set(log, track);
    this.#ends.push(
      wakeups.on(log, (shard, seq) => {
        // Without a seq it only says that something moved, which the next poll finds.
        if (seq === 0) return;
        track.hint(shard, seq, clock.monotonic());
        advanced(track, shard);
      }),
    );
  }

  /** Undefined where the projection does not follow the log. */
  track(projection: AnyReadModel, source: string): Track | undefined {
    return this.#tracks.get(progressLog(projection.name, projection.version, source));
  }

  /** Asks Postgres about the given tracks in one statement. */
  async ask(tracks: readonly Track[]): Promise<void> {
    const at = this.#options.clock.monotonic();
    const { db } = this.#options;
    const rows = await db.query<[string, number, string, number, string, number]>(selectProgress(db), [
      tracks.map(({ projection }) => projection.name),
      tracks.map(({ projection }) => projection.version),
      tracks.map(({ source }) => source),
    ]);
    for (const [projection, version, source, shard, epoch, seq] of rows) {
      this.#tracks.get(progressLog(projection, version, source))?.asked(epoch, shard, seq, at);
    }
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}
