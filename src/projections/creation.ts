/**
 * A version is made: its table, its change log, its view. Where its sources hold many events already, its table begins bare and a
 * builder loads it (rebuild/); else it follows from the first event on.
 */
import type { AnyProjection } from '../domain/projection.js';
import type { AnyReadModel } from '../domain/tables.js';
import { TidemarkError } from '../platform/errors.js';
import type { Database, Queryable } from '../platform/postgres/database.js';
import { newEpoch, readHeads } from '../platform/postgres/logs.js';
import * as ddl from './ddl.js';
import { definitionOf, fingerprintOf } from './definition.js';
import { changeLogOf, changeTable, readModelTable, slotOfTable } from './names.js';
import { createParts } from './parts/ddl.js';
import { isLoadable } from './rebuild/loadable.js';
import { beginLog } from './rebuild/statements.js';
import { move } from './states.js';
import { SELECT_ATTACHED } from './versions/prune-statements.js';

export type Scoped = Queryable & Pick<Database, 'table' | 'schema'>;

export async function relkind(tx: Scoped, name: string): Promise<string | undefined> {
  const [row] = await tx.query<[string]>(ddl.SELECT_RELKIND, [tx.table(name)]);
  return row?.[0];
}

async function manyEvents(tx: Scoped, projection: AnyReadModel, limit: number): Promise<boolean> {
  const events = projection.sources.map(({ aggregate }) => aggregate.name);
  const heads = await readHeads(tx, { events, changes: [] });
  return heads.reduce((sum, { head }) => sum + head, 0) > limit;
}

/** Whether the change log is there and in use. What pruning left of one, half out or out, is taken away. */
async function isLogged(tx: Scoped, log: string): Promise<boolean> {
  const table = tx.table(changeTable(log) ?? '');
  const [attached] = await tx.query<[boolean]>(SELECT_ATTACHED, [table]);
  if (attached?.[0] === false) return true;
  if (attached) await tx.query(`ALTER TABLE ${tx.table('changes')} DETACH PARTITION ${table} FINALIZE`);
  await tx.query(`DROP TABLE IF EXISTS ${table}`);
  return false;
}

/** What an earlier life has left of the change log is emptied; what was trimmed of it is gone: its newest slot takes what comes. */
async function useLog(tx: Scoped, projection: AnyProjection): Promise<void> {
  const log = changeLogOf(projection);
  await tx.query(ddl.emptyLog(tx, projection));
  const tables = await tx.query<[string]>(ddl.SELECT_SLOTS, [tx.table(changeTable(log) ?? '')]);
  await tx.query(ddl.setSlot(tx), [log, Math.max(...tables.map(([table]) => slotOfTable(table)?.slot ?? 0))]);
}

/**
 * To be called in the transaction that holds the lock of starts, for a version that is not there or was retired.
 * @param rebuildFrom it is built when its sources hold more events than this
 * @throws TidemarkError `projection_name_taken`
 */
export async function createVersion(
  tx: Scoped,
  projection: AnyProjection,
  rebuildFrom: number,
): Promise<void> {
  const { name, version } = projection;
  const table = readModelTable(projection);
  const log = changeLogOf(projection);
  const view = await relkind(tx, name);
  const wrong = view !== undefined && view !== 'v' ? name : undefined;
  const taken = (await relkind(tx, table)) === undefined ? wrong : table;
  if (taken !== undefined) {
    throw new TidemarkError(
      'projection_name_taken',
      `projection ${name} v${version}: schema "${tx.schema}" already has something named "${taken}" that is not this projection's`,
    );
  }
  const builds = isLoadable(projection) && (await manyEvents(tx, projection, rebuildFrom));
  await tx.query(ddl.createTable(tx, projection));
  for (const statement of createParts(tx, projection)) await tx.query(statement);
  if (!builds || projection.manyStreams) await tx.query(ddl.addKey(tx, projection));
  if (!builds) {
    for (const columns of ddl.indexesOf(projection)) await tx.query(ddl.createIndex(tx, projection, columns));
  }
  const logged = await isLogged(tx, log);
  if (!logged) for (const statement of ddl.createChangeLog(tx, projection)) await tx.query(statement);
  // An older version's view stays until it is swapped: the new table is still empty.
  if (view === undefined) await tx.query(ddl.createView(tx, projection));
  const definition = definitionOf(projection);
  const values = [name, version, fingerprintOf(definition), JSON.stringify(definition), log, builds];
  // Of a retired version's life before, nothing counts any more.
  const retired = await move(tx, projection, builds ? 'rebuild' : 'follow');
  if (retired === undefined) await tx.query(ddl.insertProjection(tx), values);
  else {
    await tx.query(ddl.resetCheckpoints(tx), [name, version]);
    for (const statement of ddl.forgetVersion(tx)) await tx.query(statement, [name, version]);
    await tx.query(ddl.renewLog(tx), [log, newEpoch()]);
    if (logged) await useLog(tx, projection);
    await tx.query(ddl.renewProjection(tx), values);
  }
  if (builds) await tx.query(beginLog(tx), [log]);
}
