/** Makes what the projections of an application have in Postgres, and stops a start whose definitions do not fit it. */
import type { AnyApp } from '../domain/app.js';
import type { AnyProjection } from '../domain/projection.js';
import { TidemarkError } from '../platform/errors.js';
import type { Database, Queryable } from '../platform/postgres/database.js';
import { ensureLog } from '../platform/postgres/logs.js';
import { applyBody, createApply, createFormerApply, formerBody } from './apply.js';
import * as ddl from './ddl.js';
import { definitionOf, differences, fingerprintOf } from './definition.js';
import {
  applyFunction,
  changeLogOf,
  formerApplyFunction,
  indexName,
  readModelTable,
} from './names.js';

/** Building an index may take long. */
const UNBOUNDED = { unbounded: true };

/**
 * Makes the read-model tables, indexes, views, change logs and checkpoints of all projections where they are missing.
 * Safe with several processes at once, and beside running ones; does nothing when all is there.
 * @throws TidemarkError `projection_changed` when a definition differs from the one its version's table was made for, with
 *   what differs; `projection_name_taken` when a table or view that is not the projection's stands under its name;
 *   `shard_count_changed`
 */
export async function ensureReadModel(db: Database, app: AnyApp): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query(ddl.LOCK_READ_MODELS, [db.schema]);
    const scoped = { query: tx.query, table: (name: string) => db.table(name) };
    for (const projection of app.views) {
      const known = await isKnown(db, tx, projection);
      await ensureLog(scoped, changeLogOf(projection), app.shards);
      if (!known) await create(db, tx, projection);
      for (const columns of ddl.indexesOf(projection)) {
        // Asked first: CREATE INDEX IF NOT EXISTS waits for the table's writers even where it then does nothing.
        const there = await relkind(db, tx, indexName(projection, columns));
        if (there === undefined) await tx.query(ddl.createIndex(db, projection, columns));
      }
      for (const { aggregate } of projection.sources) {
        const { name, version } = projection;
        await tx.query(ddl.insertCheckpoints(db), [name, version, aggregate.name, app.shards]);
      }
      await ensureFunction(db, tx, projection);
    }
  }, UNBOUNDED);
}

/** Whether the version's table is there, for this very definition. */
async function isKnown(db: Database, tx: Queryable, projection: AnyProjection): Promise<boolean> {
  const { name, version } = projection;
  const definition = definitionOf(projection);
  const [stored] = await tx.query<[string, string]>(ddl.selectProjection(db), [name, version]);
  if (!stored) return false;
  if (stored[0] === fingerprintOf(definition)) return true;
  const changed = differences(JSON.parse(stored[1]), definition);
  throw new TidemarkError(
    'projection_changed',
    `projection ${name} v${version} is not what its table was made for; raise its version. What differs (stored → code):\n  ${changed.join('\n  ')}`,
    { extra: { projection: name, version, differences: changed } },
  );
}

async function relkind(db: Database, tx: Queryable, name: string): Promise<string | undefined> {
  const [row] = await tx.query<[string]>(ddl.SELECT_RELKIND, [db.table(name)]);
  return row?.[0];
}

async function create(db: Database, tx: Queryable, projection: AnyProjection): Promise<void> {
  const { name, version } = projection;
  const table = readModelTable(projection);
  const view = await relkind(db, tx, name);
  const taken =
    (await relkind(db, tx, table)) !== undefined
      ? table
      : view !== undefined && view !== 'v'
        ? name
        : undefined;
  if (taken !== undefined) {
    throw new TidemarkError(
      'projection_name_taken',
      `projection ${name} v${version}: schema "${db.schema}" already has something named "${taken}" that is not this projection's`,
    );
  }
  await tx.query(ddl.createTable(db, projection));
  for (const statement of ddl.createChangeLog(db, projection)) await tx.query(statement);
  // An older version's view stays until it is swapped: the new table is still empty.
  if (view === undefined) await tx.query(ddl.createView(db, projection));
  const definition = definitionOf(projection);
  await tx.query(ddl.insertProjection(db), [
    name,
    version,
    fingerprintOf(definition),
    JSON.stringify(definition),
    changeLogOf(projection),
  ]);
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
