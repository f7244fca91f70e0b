/** What can be found wrong in Postgres after any fault: read models that are no fold of their events; and waiting until all have arrived. */
import type { AnyApp } from '../../../src/domain/app.js';
import { PostgresEventStore } from '../../../src/event-store/store.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { verifyProjection } from '../../../src/projections/verify/verify.js';
import { readModelFaults } from '../../support/read-model-check.js';

/** For everything that is on its way to arrive. */
export const PATIENCE_MS = 120_000;
/** Faults that are listed of each kind. */
const LISTED = 5;

/** The first few. */
export const some = (faults: readonly string[]): string[] =>
  faults.length <= LISTED
    ? [...faults]
    : [...faults.slice(0, LISTED), `… and ${faults.length - LISTED} more`];

export const openDatabase = (url: string): Database =>
  new Database({ connectionString: url, schema: 'tidemark', role: 'judge', logger, max: 4 });

/** @returns whether it holds within the time */
export async function until(holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return holds();
}

/** Whether every projection has every event that is there now. */
export async function isCaughtUp(db: Database, app: AnyApp): Promise<boolean> {
  const [row] = await db.query<[number, number]>(
    `SELECT count(*)::int, count(*) FILTER (WHERE c.seq < coalesce(
       (SELECT max(e.seq) FROM ${db.table('events')} e WHERE e.category = c.source AND e.shard = c.shard), 0))::int
     FROM ${db.table('checkpoints')} c`,
  );
  return row?.[0] === app.projections.length * app.shards && row[1] === 0;
}

/** Every view against a fold of the events, twice over, and its change log. */
export async function readModelFindings(db: Database, app: AnyApp): Promise<string[]> {
  const faults: string[] = [];
  const categories = app.aggregates.map(({ name }) => name);
  const store = new PostgresEventStore({
    database: db,
    categories,
    shards: app.shards,
    announcer: { announce: () => undefined },
    logger,
  });
  for (const projection of app.views) {
    const { listed, differences } = await verifyProjection(db, app, projection.name, { all: true });
    if (differences > 0)
      faults.push(`verify ${projection.name}: ${differences}, as ${JSON.stringify(listed.slice(0, 3))}`);
    for (const fault of await readModelFaults(db, store, projection, app.shards))
      faults.push(`${projection.name}: ${fault}`);
  }
  return faults;
}
