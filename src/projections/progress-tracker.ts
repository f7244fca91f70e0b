/** How far the projections are behind the events, in events and in time; measured at each look of the registry. */
import type { AnyReadModel } from '../domain/tables.js';
import type { Look, ProjectionRegistry } from './versions/registry.js';
import type { Point } from './versions/look.js';

export interface Behind {
  /** Events behind the heads, over all shards. Never clamped. */
  readonly lag: number;
  /** For how long the oldest event that is not in has been there; ms, to about a second. */
  readonly behindMs: number;
}

export interface ProgressTrackerOptions {
  readonly projections: readonly AnyReadModel[];
  readonly looks: Pick<ProjectionRegistry, 'onLook'>;
}

/** Heads that were seen and are not in yet, oldest first. */
type Seen = Pick<Look, 'at' | 'heads'>;

/** Older looks are kept, newer ones come again. */
const MAX_SEEN = 120;

const idOf = (log: string, shard: number): string => `${log}/${shard}`;

export class ProgressTracker {
  readonly #options: ProgressTrackerOptions;
  readonly #end: () => void;
  readonly #behind = new Map<string, Behind>();
  readonly #seen = new Map<string, Seen[]>();

  constructor(options: ProgressTrackerOptions) {
    this.#options = options;
    this.#end = options.looks.onLook((look) => this.#take(look));
  }

  /** Undefined until the first look. */
  behind(projection: string): Behind | undefined {
    return this.#behind.get(projection);
  }

  stop(): void {
    this.#end();
  }

  #take({ at, heads, sights }: Look): void {
    for (const { name } of this.#options.projections) {
      const points = sights.get(name)?.points;
      if (points) this.#behind.set(name, this.#measure(name, { at, heads }, points));
    }
  }

  #measure(projection: string, now: Seen, points: readonly Point[]): Behind {
    const lag = points.reduce(
      (sum, [source, shard, seq]) => sum + (now.heads.get(idOf(source, shard)) ?? seq) - seq,
      0,
    );
    const seen = this.#seen.get(projection) ?? [];
    if (seen.length < MAX_SEEN && seen.at(-1)?.at !== now.at) seen.push(now);
    const isIn = ({ heads }: Seen): boolean =>
      points.every(([source, shard, seq]) => seq >= (heads.get(idOf(source, shard)) ?? 0));
    while (seen[0] && isIn(seen[0])) seen.shift();
    this.#seen.set(projection, seen);
    return { lag, behindMs: seen[0] ? performance.now() - seen[0].at : 0 };
  }
}
