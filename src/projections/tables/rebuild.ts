/** Builds the tables of a projection that a handler writes anew, in place: empties them, and follows its events from the first. */
import type { AnyTables } from '../../domain/tables.js';
import type { Database } from '../../platform/postgres/database.js';
import { newEpoch } from '../../platform/postgres/logs.js';
import * as ddl from '../ddl.js';
import { readableTables, writerScope } from '../names.js';
import { move } from '../states.js';
import * as sql from './statements.js';

/**
 * One transaction, which waits for the batch in flight and for whoever reads the tables. After it they are answered with
 * `projection_building` until the tables are as far as the events. Without downtime: raise the version instead.
 * @returns false when there is no such version
 * @throws as `Database.transaction`; 55P03 when somebody reads for longer than the lock timeout: nothing has changed then
 */
export async function rebuildTables(db: Database, projection: AnyTables): Promise<boolean> {
  const { name, version } = projection;
  return db.transaction(async (tx) => {
    const scoped = { query: tx.query, table: (table: string) => db.table(table) };
    // Two moves: there is nothing to load, its handler follows the events one batch after the other.
    if ((await move(scoped, projection, 'rebuild')) === undefined) return false;
    await tx.query(sql.raiseTerm(db), [writerScope(projection)]);
    await tx.query(ddl.resetCheckpoints(db), [name, version]);
    await tx.query(
      sql.truncateTables(
        db,
        readableTables(projection).map(({ table }) => table),
      ),
    );
    for (const statement of ddl.forgetVersion(db)) await tx.query(statement, [name, version]);
    await tx.query(sql.restartVersion(db), [name, version, newEpoch()]);
    return (await move(scoped, projection, 'loaded')) !== undefined;
  });
}
