/** What must hold of every projection after whatever happened to its projectors. */
import type { AnyApp } from '../../../src/domain/app.js';
import type { PostgresEventStore } from '../../../src/event-store/store.js';
import type { Database } from '../../../src/platform/postgres/database.js';
import { replayAllParked } from '../../../src/projections/parked/operations.js';
import { verifyProjection } from '../../../src/projections/verify/verify.js';
import { readModelFaults } from '../read-model-check.js';
import { takingsFaults } from '../takings.js';
import { mendedApp, parking } from './app.js';

export interface TornOptions {
  /** Events are parked or were skipped, so that rows are only a fold of what is in; else of all events. */
  readonly parked?: boolean;
}

/**
 * What is wrong, a line each: rows are a fold of all events, the change logs have every change once and in order, and the
 * tables of the handler count every payment once. Two programs that do not share their folding say so (`readModelFaults`
 * holds all in memory, `verifyProjection` reads it in parts).
 */
export async function tornFaults(
  db: Database,
  store: PostgresEventStore,
  app: AnyApp,
  { parked = false }: TornOptions = {},
): Promise<string[]> {
  const faults: string[] = [];
  for (const projection of app.views) {
    const { listed, differences } = await verifyProjection(db, app, projection.name, { all: true });
    if (differences > 0)
      faults.push(`verify ${projection.name}: ${differences}, as ${JSON.stringify(listed.slice(0, 3))}`);
    if (parked && parking.some(({ name }) => name === projection.name)) continue;
    for (const fault of await readModelFaults(db, store, projection, app.shards))
      faults.push(`${projection.name}: ${fault}`);
  }
  if (app.projections.some(({ name }) => name === 'takings'))
    for (const fault of await takingsFaults(db)) faults.push(`takings: ${fault}`);
  return faults;
}

/** Replays what is parked with folds that take it; then nothing is parked, and rows are a fold of all events (but for skipped ones). */
export async function mendedFaults(
  db: Database,
  store: PostgresEventStore,
  { skipped = false }: { readonly skipped?: boolean } = {},
): Promise<string[]> {
  const faults: string[] = [];
  for (const projection of parking) {
    for await (const { key, fault } of replayAllParked({ db, projection }))
      if (fault) faults.push(`${projection.name}: ${key} cannot be replayed: ${fault.error}`);
  }
  return [...faults, ...(await tornFaults(db, store, mendedApp, { parked: skipped }))];
}
