/** What operators do with versions: stop and go on, and build again. Each answers with how the version stands afterwards. */
import type { AnyApp } from '../../domain/app.js';
import type { AnyReadModel } from '../../domain/tables.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { isTimeout } from '../../platform/postgres/sqlstate.js';
import { selectProjection } from '../ddl.js';
import { requireSame } from '../definition.js';
import { rebuildProjection } from '../rebuild/rebuild.js';
import { rebuildTables } from '../tables/rebuild.js';
import * as pausing from '../versions/pausing.js';
import { findVersion } from './list.js';
import type { VersionReport } from './types.js';

/** Which projection, and which of its versions: the newest that is not retired without one. */
export interface Which {
  readonly name: string;
  readonly version?: number | undefined;
}

/**
 * No batch of it is in flight afterwards. Its rows can be read as they are.
 * @throws TidemarkError `unknown_projection`, `wrong_state`
 */
export async function pause(db: Database, { name, version }: Which): Promise<VersionReport> {
  const found = await findVersion(db, name, version);
  await pausing.pauseProjection(db, found);
  return findVersion(db, name, found.version);
}

/**
 * What was paused or stands still is tried again.
 * @throws TidemarkError `unknown_projection`, `wrong_state`
 */
export async function resume(db: Database, { name, version }: Which): Promise<VersionReport> {
  const found = await findVersion(db, name, version);
  await pausing.resumeProjection(db, found);
  return findVersion(db, name, found.version);
}

/** @throws TidemarkError `unknown_projection`, with those that there are */
export function inCode(app: AnyApp, name: string): AnyReadModel {
  const projection = app.projections.find((one) => one.name === name);
  if (projection) return projection;
  const known = app.projections.map((one) => one.name);
  const shown = JSON.stringify(name.slice(0, 100));
  throw new TidemarkError(
    'unknown_projection',
    `the application ${app.name} has no projection ${shown} (it has: ${known.join(', ') || 'none'})`,
    { extra: { known } },
  );
}

/** The version that is in the code, and how it stands. @throws TidemarkError `unknown_projection` */
export const reportInCode = (db: Database, app: AnyApp, name: string): Promise<VersionReport> =>
  findVersion(db, name, inCode(app, name).version);

export interface RebuildOptions {
  /** This process does the work, so that it matters not whether another one would. */
  readonly here?: boolean;
}

/**
 * Throws the rows of the version that is in the code away, and has them made again from the first event. Whoever reads the view
 * is answered `projection_building` until it is done.
 * @throws TidemarkError `unknown_projection`; `projection_changed` where the code is not what the table was made for, as
 *   another one would do the work; `wrong_state` where it is retired, or where no running process would do the
 *   work; `query_timeout` where somebody reads the table for so long that nothing was begun
 */
export async function rebuild(
  db: Database,
  app: AnyApp,
  name: string,
  { here = false }: RebuildOptions = {},
): Promise<VersionReport> {
  const projection = inCode(app, name);
  const { version } = projection;
  const { projectors, state } = await findVersion(db, name, version);
  if (state === 'retired') {
    throw new TidemarkError(
      'wrong_state',
      `${name} v${version} is retired: a start of its code makes it anew`,
    );
  }
  const [stored] = await db.query<[string, string]>(selectProjection(db), [name, version]);
  if (stored) requireSame(projection, { fingerprint: stored[0], definition: stored[1] });
  if (projectors === 0 && !here) {
    throw new TidemarkError(
      'wrong_state',
      `no running process with the role projector has ${name} v${version}, so that its view would stay empty: start one, or add --here`,
    );
  }
  try {
    if (projection.kind === 'tables') await rebuildTables(db, projection);
    else await rebuildProjection(db, projection);
  } catch (cause) {
    if (!isTimeout(cause)) throw cause;
    const message = `somebody reads ${name} v${version} for too long; nothing was begun, try again`;
    throw new TidemarkError('query_timeout', message, { cause });
  }
  return findVersion(db, name, version);
}
