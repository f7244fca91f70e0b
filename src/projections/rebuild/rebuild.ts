/** A version is built again from its first event, in its own table: nobody reads it meanwhile. */
import type { AnyProjection } from '../../domain/projection.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { newEpoch } from '../../platform/postgres/logs.js';
import * as ddl from '../ddl.js';
import { changeLogOf, indexName, readModelTable } from '../names.js';
import { emptyParts, partTable } from '../parts/ddl.js';
import { move, type ProjectionState } from '../states.js';
import { isLoadable } from './loadable.js';
import { beginLog, endLoaders, LOADER_ROLE, setUnloaded, truncateRows } from './statements.js';

/**
 * Throws the rows of a version away, with its parked keys and its change log, and has it built again by a process with
 * the projector role. Workers in the middle of a batch are waited for, later ones see that they may not write; whoever has a
 * position in its change log is told to begin anew. To change rows without such a gap, raise the version instead.
 * @throws TidemarkError `unknown_projection` when the database does not know the version, `wrong_state` when it is retired; as
 *   `Database.query` when a reader holds the table for too long (nothing has happened then)
 */
export async function rebuildProjection(db: Database, projection: AnyProjection): Promise<void> {
  const { name, version } = projection;
  const log = changeLogOf(projection);
  const self = [name, version];
  const loads = isLoadable(projection);
  await db.transaction(async (tx) => {
    const scoped = { query: tx.query, table: (table: string) => db.table(table) };
    await tx.query(ddl.LOCK_READ_MODELS, [db.schema]);
    const [stored] = await tx.query<[string, string, ProjectionState]>(ddl.selectProjection(db), self);
    if (!stored)
      throw new TidemarkError('unknown_projection', `there is no version ${version} of projection ${name}`);
    if (stored[2] === 'retired')
      throw new TidemarkError(
        'wrong_state',
        `${name} v${version} is retired: a start of its code makes it anew`,
      );
    await move(scoped, projection, 'rebuild');
    // Waits for batches in flight; those that come later see the state.
    await tx.query(ddl.resetCheckpoints(db), self);
    for (const statement of ddl.forgetVersion(db)) await tx.query(statement, self);
    for (const table of [readModelTable(projection), partTable(projection)])
      await tx.query(endLoaders, [db.table(table), `tidemark:${LOADER_ROLE}`]);
    await tx.query(truncateRows(db, projection));
    for (const statement of emptyParts(db, projection)) await tx.query(statement);
    if (loads) {
      if (!projection.manyStreams) await tx.query(ddl.dropKey(db, projection));
      for (const columns of ddl.indexesOf(projection))
        await tx.query(ddl.dropIndex(db, indexName(projection, columns)));
    }
    await tx.query(ddl.renewLog(db), [log, newEpoch()]);
    if (loads) await tx.query(beginLog(db), [log]);
    await tx.query(ddl.emptyLog(db, projection));
    await tx.query(setUnloaded(db), [...self, !loads, log]);
    if (!loads) await move(scoped, projection, 'loaded');
  });
}
