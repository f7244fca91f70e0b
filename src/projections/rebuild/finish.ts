/** The end of a build: key, indexes, and the one transaction after which the version follows its events. */
import type { Queryable } from '../../platform/postgres/database.js';
import * as ddl from '../ddl.js';
import { indexName, readModelTable } from '../names.js';
import { makeRows } from '../parts/load-statements.js';
import { move } from '../states.js';
import { checkFence } from './fence.js';
import { LOADED_REVISION } from './row-lines.js';
import { analyze, deleteBuild, INDEX_MEMORY, moveCheckpoints, setLoaded } from './statements.js';
import { Superseded, type BuildOptions } from './types.js';

async function makeIndexes(tx: Queryable, { db, projection }: BuildOptions): Promise<void> {
  await tx.query(INDEX_MEMORY);
  const key = await tx.query(ddl.SELECT_KEY, [db.schema, readModelTable(projection)]);
  if (key.length === 0) await tx.query(ddl.addKey(db, projection));
  const names = ddl.indexesOf(projection).map((columns) => indexName(projection, columns));
  const there = await tx.query<[string]>(ddl.SELECT_INDEXES, [db.schema, names]);
  const known = new Set(there.map(([name]) => name));
  for (const columns of ddl.indexesOf(projection)) {
    if (!known.has(indexName(projection, columns))) await tx.query(ddl.createIndex(db, projection, columns));
  }
  await tx.query(analyze(db, projection));
}

/**
 * All or nothing: who comes after a crash begins it again. The version is locked before its checkpoints, as by whoever rebuilds,
 * pauses or replays.
 * @throws Superseded; as `Database.query`
 */
export async function finishBuild(options: BuildOptions): Promise<void> {
  const { db, projection } = options;
  const { name, version } = projection;
  await db.transaction(
    async (tx) => {
      await checkFence(tx, options);
      for (const { text, values } of makeRows(db, projection, LOADED_REVISION)) await tx.query(text, values);
      await makeIndexes(tx, options);
      const scoped = { query: tx.query, table: (table: string) => db.table(table) };
      await tx.query(setLoaded(db), [name, version]);
      if ((await move(scoped, projection, 'loaded')) === undefined)
        throw new Superseded(`${name} v${version}: it is not being built any more`);
      await tx.query(moveCheckpoints(db), [name, version]);
      const shards = await tx.query<[boolean]>(deleteBuild(db), [name, version]);
      // Whoever rebuilt it in between has begun a build anew, under the same lease.
      if (shards.length === 0 || shards.some(([whole]) => !whole))
        throw new Superseded(`${name} v${version}: it is built from the beginning`);
    },
    { unbounded: true },
  );
}
