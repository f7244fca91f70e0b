/** Stops a version of a projection, and has it go on. */
import { TidemarkError } from '../../platform/errors.js';
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { MOVES, move, type ProjectionState } from '../states.js';
import * as sql from './operation-statements.js';

export interface VersionName {
  readonly name: string;
  readonly version: number;
}

interface Locked {
  readonly state: ProjectionState;
  readonly loaded: boolean;
  readonly ready: boolean;
  /** JSON of the definition that its tables were made for. */
  readonly definition: string;
}

/**
 * The version as it is, held until the transaction ends.
 * @throws TidemarkError `unknown_projection`
 */
export async function lockVersion(
  tx: Queryable,
  db: Pick<Database, 'table'>,
  { name, version }: VersionName,
): Promise<Locked> {
  const [row] = await tx.query<[ProjectionState, boolean, boolean, string]>(sql.lockVersion(db), [
    name,
    version,
  ]);
  if (!row) throw new TidemarkError('unknown_projection', `there is no ${name} v${version}`);
  const [state, loaded, ready, definition] = row;
  return { state, loaded, ready, definition };
}

export const wrongState = ({ name, version }: VersionName, state: string, wanted: string): TidemarkError =>
  new TidemarkError('wrong_state', `${name} v${version} is ${state}; ${wanted}`, { extra: { state } });

/**
 * Pauses a version. When it resolves, no batch is in flight and none begins any more; its rows can be read as they are.
 * @throws TidemarkError `unknown_projection`, `wrong_state` (it is paused already, or gone)
 */
export async function pauseProjection(db: Database, version: VersionName): Promise<void> {
  await db.transaction(async (tx) => {
    const { state } = await lockVersion(tx, db, version);
    if (MOVES[state].pause === undefined) throw wrongState(version, state, 'only what runs can be paused');
    await move({ query: tx.query, table: (name) => db.table(name) }, version, 'pause');
  });
  // Committed: a batch that comes now sees it under the locks of its checkpoints. Those before it hold them until they end.
  // A handler may take its time.
  const wait = (tx: Queryable) => tx.query(sql.lockCheckpoints(db), [version.name, version.version]);
  await db.transaction(wait, { unbounded: true });
}

/**
 * Has a version go on that was paused or stands still: all of its shards are tried again, and a build goes on.
 * @returns what it does now
 * @throws TidemarkError `unknown_projection`, `wrong_state` (it does not stand still)
 */
export function resumeProjection(db: Database, version: VersionName): Promise<ProjectionState> {
  return db.transaction(async (tx) => {
    const { state, loaded } = await lockVersion(tx, db, version);
    const stands = state === 'paused' || state === 'halted' || state === 'needs_newer_code';
    if (!stands) throw wrongState(version, state, 'only what is paused or has halted can go on');
    await tx.query(sql.deleteStops(db), [version.name, version.version]);
    const scoped = { query: tx.query, table: (name: string) => db.table(name) };
    return (await move(scoped, version, loaded ? 'follow' : 'build')) ?? state;
  });
}
