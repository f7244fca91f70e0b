/** What operators do with parked keys; any process may, while projectors run. */
import type { AnyReadModel } from '../../domain/tables.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import type { CellName } from '../parts/cells.js';
import { Replay, type ReplayOptions, type ReplayOutcome } from './replay.js';
import { selectInOrder, updateAccept } from './statements.js';

/** Keys that are looked up at once. */
const KEYS = 100;

/**
 * Folds the events that wait behind a key, in their order. Where one cannot be folded (again), those before it are in, and
 * the key stays parked with that one at fault.
 * @throws as `Replay.run`
 */
export const replayParked = (options: ReplayOptions, name: CellName): Promise<ReplayOutcome> =>
  new Replay(options, name).run();

/**
 * Leaves the event at fault out, for ever (it stays recorded, with the reason), and folds the rest as `replayParked`.
 * @param why for those who wonder later why the row is not a fold of all its events
 * @throws as `Replay.run`
 */
export const skipParked = (options: ReplayOptions, name: CellName, why: string): Promise<ReplayOutcome> =>
  new Replay(options, name, why).run();

/**
 * Replays every key that is parked now, one after the other, in the order in which they were parked; one that cannot be
 * replayed does not keep the others from it.
 * @throws as `Replay.run`, but for `not_parked`: somebody else replayed it
 */
export async function* replayAllParked(options: ReplayOptions): AsyncGenerator<ReplayOutcome> {
  const { db, projection } = options;
  for (let after = 0; ;) {
    const rows = await db.query<[number, string, string]>(selectInOrder(db), [
      projection.name,
      projection.version,
      after,
      KEYS,
    ]);
    for (const [order, part, key] of rows) {
      after = order;
      const outcome = await replayParked(options, { part, key }).catch((error: unknown) => {
        if (error instanceof TidemarkError && error.code === 'not_parked') return undefined;
        throw error;
      });
      if (outcome) yield outcome;
    }
    if (rows.length < KEYS) return;
  }
}

/**
 * Says whether a version may be served for the first time though keys are parked.
 * @throws TidemarkError `unknown_projection`
 */
export async function acceptParked(
  db: Database,
  { name, version }: Pick<AnyReadModel, 'name' | 'version'>,
  accept: boolean,
): Promise<void> {
  const [row] = await db.query(updateAccept(db), [name, version, accept]);
  if (!row) throw new TidemarkError('unknown_projection', `there is no projection ${name} v${version}`);
}
