/** How the projections stand, as Postgres knows it: for processes that do not run them. */
import type { AnyApp } from '../domain/app.js';
import type { Database } from '../platform/postgres/database.js';
import { readHeads } from '../platform/postgres/logs.js';
import { readCheckpoints } from '../projections/checkpoints.js';
import type { ProjectionStatus } from '../projections/types.js';

/**
 * Heads and checkpoints are read one after the other, so that a lag may be a little too small and even negative; it is
 * not clamped. Why a projection stands still is only known to the process that runs it.
 */
export async function storedStatuses(database: Database, app: AnyApp): Promise<ProjectionStatus[]> {
  const heads = await readHeads(database, { events: app.aggregates.map(({ name }) => name), changes: [] });
  const checkpoints = await readCheckpoints(database, app.projections);
  const headOf = new Map(heads.map(({ log, shard, head }) => [`${log}/${shard}`, head]));
  const lags = new Map<string, number>();
  for (const { projection, source, shard, seq } of checkpoints) {
    const behind = (headOf.get(`${source}/${shard}`) ?? seq) - seq;
    lags.set(projection, (lags.get(projection) ?? 0) + behind);
  }
  return app.projections.map(({ name, version }) => {
    const lag = lags.get(name) ?? 0;
    return { name, version, lag, state: lag > 0 ? 'catching_up' : 'live' };
  });
}
