/** Makes what the projections of an application have in Postgres, and stops a start whose definitions do not fit it. */
import type { AnyApp } from '../domain/app.js';
import type { AnyProjection } from '../domain/projection.js';
import type { AnyReadModel } from '../domain/tables.js';
import type { Database, Queryable } from '../platform/postgres/database.js';
import { ensureLog } from '../platform/postgres/logs.js';
import { applyBody, createApply, createFormerApply, formerBody } from './apply.js';
import * as ddl from './ddl.js';
import { createVersion } from './creation.js';
import { requireSame } from './definition.js';
import { ensureIndexes } from './indexes.js';
import { applyFunction, changeLogOf, formerApplyFunction } from './names.js';
import type { ProjectionState } from './states.js';
import { createTables } from './tables/creation.js';

/** It waits for another start that makes tables. */
const UNBOUNDED = { unbounded: true };

export interface EnsureOptions {
  /** A version that is new while its sources hold more events than this is built by a loader, else it follows. 10,000 unless told otherwise. */
  readonly rebuildFrom?: number;
}

const REBUILD_FROM = 10_000;

/**
 * Makes the read-model tables, indexes, views, change logs and checkpoints of all projections where they are missing.
 * Safe with several processes at once, and beside running ones; does nothing when all is there. A table that is to be built
 * gets its key and indexes from its builder; an index that was added to a table in use is made beside its writers, which may
 * take long.
 * @throws TidemarkError `projection_changed` when a definition differs from the one its version's table was made for, with
 *   what differs; `projection_name_taken` when a table or view that is not the projection's stands under its name;
 *   `shard_count_changed`
 */
export async function ensureReadModel(db: Database, app: AnyApp, options: EnsureOptions = {}): Promise<void> {
  const { rebuildFrom = REBUILD_FROM } = options;
  await db.transaction(async (tx) => {
    await tx.query(ddl.LOCK_READ_MODELS, [db.schema]);
    const scoped = { query: tx.query, table: (name: string) => db.table(name), schema: db.schema };
    for (const projection of app.projections) {
      const known = await isKnown(db, tx, projection);
      const byKey = projection.kind === 'projection';
      if (byKey) await ensureLog(scoped, changeLogOf(projection), app.shards);
      if (!known && byKey) await createVersion(scoped, projection, rebuildFrom);
      if (!known && !byKey) await createTables(scoped, projection);
      for (const { aggregate } of projection.sources) {
        const { name, version } = projection;
        await tx.query(ddl.insertCheckpoints(db), [name, version, aggregate.name, app.shards]);
      }
      if (byKey) await ensureFunction(db, tx, projection);
    }
  }, UNBOUNDED);
  await ensureIndexes(db, app.projections);
}

/** Whether the version's table is there, for this very definition. One that was retired may come back as another. */
async function isKnown(db: Database, tx: Queryable, projection: AnyReadModel): Promise<boolean> {
  const { name, version } = projection;
  const [stored] = await tx.query<[string, string, ProjectionState]>(ddl.selectProjection(db), [
    name,
    version,
  ]);
  if (!stored || stored[2] === 'retired') return false;
  const [fingerprint, definition] = stored;
  requireSame(projection, { fingerprint, definition });
  return true;
}

/** Replaced only where its text differs, so that a start does not touch what others run. */
async function ensureFunction(db: Database, tx: Queryable, projection: AnyProjection): Promise<void> {
  const [stored] = await tx.query<[string]>(ddl.SELECT_FUNCTION, [db.schema, applyFunction(projection)]);
  if (stored?.[0] !== applyBody(db, projection)) await tx.query(createApply(db, projection));
  const [former] = await tx.query<[string]>(ddl.SELECT_FUNCTION, [
    db.schema,
    formerApplyFunction(projection),
  ]);
  if (former && former[0] !== formerBody) await tx.query(createFormerApply(db, projection));
}
