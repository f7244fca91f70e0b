/** Makes the tables of a projection that a handler writes, with their views for people. */
import type { AnyTables } from '../../domain/tables.js';
import { TidemarkError } from '../../platform/errors.js';
import { newEpoch } from '../../platform/postgres/logs.js';
import { relkind, type Scoped } from '../creation.js';
import * as ddl from '../ddl.js';
import { definitionOf, fingerprintOf } from '../definition.js';
import { readableTables } from '../names.js';
import { move } from '../states.js';
import * as sql from './statements.js';

/** @throws TidemarkError `projection_name_taken` */
async function checkFree(tx: Scoped, projection: AnyTables): Promise<void> {
  for (const { name, table } of readableTables(projection)) {
    const view = await relkind(tx, name);
    const wrong = view !== undefined && view !== 'v' ? name : undefined;
    const taken = (await relkind(tx, table)) === undefined ? wrong : table;
    if (taken === undefined) continue;
    throw new TidemarkError(
      'projection_name_taken',
      `projection ${projection.name} v${projection.version}: schema "${tx.schema}" already has something named "${taken}" that is not this projection's`,
    );
  }
}

/**
 * To be called in the transaction that holds the lock of starts, for a version that is not there or was retired. It follows
 * its events from the first.
 * @throws TidemarkError `projection_name_taken`
 */
export async function createTables(tx: Scoped, projection: AnyTables): Promise<void> {
  const { name, version } = projection;
  await checkFree(tx, projection);
  for (const table of projection.tables) {
    await tx.query(sql.createTable(tx, table, version));
    for (const columns of table.indexes)
      await tx.query(ddl.createIndex(tx, { name: table.name, version }, columns));
  }
  for (const one of readableTables(projection)) {
    // An older version's view stays until it is swapped: the new table is still empty.
    if ((await relkind(tx, one.name)) === undefined) await tx.query(ddl.createViewOf(tx, one));
  }
  const definition = definitionOf(projection);
  const values = [name, version, fingerprintOf(definition), JSON.stringify(definition), newEpoch()];
  if ((await move(tx, projection, 'follow')) === undefined) {
    await tx.query(sql.insertVersion(tx), values);
    return;
  }
  // Of a retired version's life before, nothing counts any more.
  await tx.query(ddl.resetCheckpoints(tx), [name, version]);
  for (const statement of ddl.forgetVersion(tx)) await tx.query(statement, [name, version]);
  await tx.query(sql.renewVersion(tx), values);
}
