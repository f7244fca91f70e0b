/**
 * Moves versions between `catching_up` and `live`, in processes that have projectors. Only when one is crossed for good:
 * what is live must be well behind before it is not, so that the state does not flutter. Several processes see the same; the
 * table of moves lets one of them do it.
 */
import type { AnyReadModel } from '../../domain/tables.js';
import type { Logger } from '../../platform/logger.js';
import type { Database } from '../../platform/postgres/database.js';
import type { ProgressTracker } from '../progress-tracker.js';
import { move, type ProjectionMove } from '../states.js';
import type { VersionFacts } from '../types.js';
import type { ProjectionRegistry } from './registry.js';
import { FELL_BEHIND_MS } from './statuses.js';

/** Behind by less than this, a projection is live. */
const LIVE_WITHIN_MS = 3_000;

export interface StateFollowerOptions {
  readonly db: Database;
  readonly projections: readonly AnyReadModel[];
  readonly registry: Pick<ProjectionRegistry, 'onLook' | 'look'>;
  /** Made before: it measures a look before this class hears of it. */
  readonly tracker: Pick<ProgressTracker, 'behind'>;
  readonly logger: Logger;
}

export class StateFollower {
  readonly #options: StateFollowerOptions;
  readonly #end: () => void;
  readonly #moving = new Map<string, Promise<void>>();

  constructor(options: StateFollowerOptions) {
    this.#options = options;
    this.#end = options.registry.onLook(({ sights }) => {
      for (const projection of options.projections) {
        const what = this.#crossed(sights.get(projection.name)?.facts);
        if (what && !this.#moving.has(projection.name)) this.#move(projection, what);
      }
    });
  }

  /** Resolves when no move is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#moving.values());
  }

  /** Moves nothing any more; resolves as `settled`. */
  stop(): Promise<void> {
    this.#end();
    return this.settled();
  }

  #crossed(facts: VersionFacts | undefined): ProjectionMove | undefined {
    const behindMs = facts && this.#options.tracker.behind(facts.name)?.behindMs;
    if (behindMs === undefined) return undefined;
    if (facts?.state === 'catching_up' && facts.loaded && behindMs < LIVE_WITHIN_MS) return 'caught_up';
    if (facts?.state === 'live' && behindMs > FELL_BEHIND_MS) return 'fell_behind';
    return undefined;
  }

  #move({ name, version }: AnyReadModel, what: ProjectionMove): void {
    const { db, logger, registry } = this.#options;
    const moved = move(db, { name, version }, what).then(
      async (state) => {
        if (state === undefined) return;
        logger.info({ projection: name, version, state }, 'the projection has another state');
        await registry.look().catch(() => undefined);
      },
      (err: unknown) => logger.debug({ err, projection: name }, 'a state was not moved yet'),
    );
    this.#moving.set(
      name,
      moved.finally(() => this.#moving.delete(name)),
    );
  }
}
