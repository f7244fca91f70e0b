/** What operators do with parked keys: fold again, leave the event at fault out, serve a version in spite of them. */
import type { AnyApp } from '../../domain/app.js';
import { idFault } from '../../domain/identifiers.js';
import type { AnyProjection } from '../../domain/projection.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Announcer } from '../../platform/wakeups.js';
import * as parked from '../parked/operations.js';
import type { ReplayOptions, ReplayOutcome } from '../parked/replay.js';
import { inCode, reportInCode, type Which } from './control.js';
import { findVersion } from './list.js';
import { showParked } from './parked-list.js';
import type { VersionReport } from './types.js';

/** Events are folded by the code of the application, so only in the version that it has. */
export interface ParkedDeps {
  readonly db: Database;
  readonly app: AnyApp;
  /** Told of what was written; without it, followers find it within a second. */
  readonly announcer?: Announcer | undefined;
}

interface Cell {
  readonly projection: string;
  readonly key: string;
  /** Of a joined stream, the aggregate; the key is its id then. */
  readonly part?: string | undefined;
}

/** @throws TidemarkError `unknown_projection`, `wrong_state` */
async function optionsFor({ db, app, announcer }: ParkedDeps, name: string): Promise<ReplayOptions> {
  const projection = inCode(app, name);
  await reportInCode(db, app, name);
  if (projection.kind === 'tables')
    throw new TidemarkError('wrong_state', `${name} writes its tables by itself: nothing of it is parked`);
  return { db, projection, announcer };
}

async function cellIn(
  db: Database,
  projection: AnyProjection,
  cell: Cell,
): Promise<{ part: string; key: string }> {
  const { key, part = '' } = cell;
  // A key that cannot be one is told as any other that is not parked.
  if (idFault(key) !== undefined || part.includes('\u0000'))
    await showParked(db, { ...cell, version: projection.version });
  return { part, key };
}

/**
 * Folds the events that wait behind a key, in their order.
 * @returns what it came to: the key is parked no more, or another event is at fault now
 * @throws TidemarkError `unknown_projection`, `wrong_state`, `not_parked`
 */
export async function replay(deps: ParkedDeps, cell: Cell): Promise<ReplayOutcome> {
  const options = await optionsFor(deps, cell.projection);
  return parked.replayParked(options, await cellIn(deps.db, options.projection, cell));
}

/**
 * The same for every key that is parked now, one after the other.
 * @throws TidemarkError `unknown_projection`, `wrong_state`
 */
export async function* replayAll(deps: ParkedDeps, projection: string): AsyncGenerator<ReplayOutcome> {
  yield* parked.replayAllParked(await optionsFor(deps, projection));
}

/**
 * Leaves the event at fault out, for ever, and folds those after it.
 * @param why kept beside the event
 * @throws TidemarkError `unknown_projection`, `wrong_state`, `not_parked`
 */
export async function skip(deps: ParkedDeps, cell: Cell, why: string): Promise<ReplayOutcome> {
  const options = await optionsFor(deps, cell.projection);
  return parked.skipParked(options, await cellIn(deps.db, options.projection, cell), why);
}

/**
 * Says whether a version may be served for the first time though keys are parked.
 * @throws TidemarkError `unknown_projection`
 */
export async function accept(db: Database, which: Which, yes: boolean): Promise<VersionReport> {
  const { name, version } = await findVersion(db, which.name, which.version);
  await parked.acceptParked(db, { name, version }, yes);
  return findVersion(db, name, version);
}

/** @throws TidemarkError `fold_failed_again`, or `needs_newer_code` where the event is newer than the code, when the key is still parked */
export function requireReplayed(
  projection: string,
  { key, part, events, waiting, fault }: ReplayOutcome,
): void {
  if (!fault) return;
  const { kind, source, type, streamId, shard, seq, error } = fault;
  const event = `${source}.${type} (stream ${JSON.stringify(streamId)}, shard ${shard} seq ${seq})`;
  const code = kind === 'needs_newer_code' ? 'needs_newer_code' : 'fold_failed_again';
  throw new TidemarkError(
    code,
    `${JSON.stringify(key)} of ${projection} is still parked with ${waiting} events, ${events} are in; at fault is ${event}: ${error}`,
    { extra: { projection, part, key, events, waiting, fault } },
  );
}
