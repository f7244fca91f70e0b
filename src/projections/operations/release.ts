/** After a new version is served: the SQL view is moved to it, and what nobody uses any more is dropped. */
import type { AnyApp } from '../../domain/app.js';
import { isTidemarkError, TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { pruneProjections, type PruneReport } from '../versions/prune.js';
import { swapView, type SwappedView } from '../versions/swap-view.js';
import type { Which } from './control.js';
import { findVersion, listProjections } from './list.js';
import type { VersionName } from './types.js';

export interface ViewSwap extends VersionName {
  readonly views: readonly SwappedView[];
}

/**
 * @param options.lockTimeoutMs how long it waits for those who read the view; who comes later waits behind it meanwhile
 * @throws TidemarkError `unknown_projection`, `wrong_state`, `view_has_dependents`, `view_in_use`
 */
export async function swapViewTo(
  db: Database,
  which: Which,
  options: { readonly lockTimeoutMs: number },
): Promise<ViewSwap> {
  const { name, version } = await findVersion(db, which.name, which.version);
  try {
    return { name, version, views: await swapView(db, { name, version }, options) };
  } catch (error) {
    if (!isTidemarkError(error, 'projection_name_taken')) throw error;
    throw new TidemarkError('wrong_state', error.message, { cause: error });
  }
}

/** Where nobody knows what the code has: the newest version of each projection. */
async function newest(db: Database): Promise<VersionName[]> {
  const byName = new Map<string, VersionName>();
  for (const { name, version, state } of await listProjections(db))
    if (state !== 'retired') byName.set(name, { name, version });
  return [...byName.values()];
}

export interface PruneRequest {
  /** Its versions are kept whoever uses them; without it, the newest of each projection. */
  readonly app: AnyApp | undefined;
  /** Versions that were served within this time are kept. */
  readonly graceMs: number;
  /** Only tells what would be dropped. */
  readonly dryRun: boolean;
}

/** Drops what belongs to versions that no live process has, that no view shows, and whose grace time is over. */
export async function prune(db: Database, { app, graceMs, dryRun }: PruneRequest): Promise<PruneReport> {
  if (!app)
    return pruneProjections(db, {
      keep: await newest(db),
      keptAs: 'it is the newest version',
      graceMs,
      dryRun,
    });
  const keep = app.projections.map(({ name, version }) => ({ name, version }));
  return pruneProjections(db, { keep, graceMs, dryRun });
}
