/** A build begins, or goes on where it was left. */
import { readHeads } from '../../platform/postgres/logs.js';
import { readModelTable } from '../names.js';
import { partTable } from '../parts/ddl.js';
import { move } from '../states.js';
import { checkFence } from './fence.js';
import { deleteStops, endLoaders, insertBuild, LOADER_ROLE, selectBuild } from './statements.js';
import type { BuildOptions, BuildShard } from './types.js';
import type { Queryable } from '../../platform/postgres/database.js';

type Builder = Pick<BuildOptions, 'projection' | 'db' | 'lease'>;

/** How far each shard is. */
export async function readBuild(
  { projection, db }: Pick<BuildOptions, 'projection' | 'db'>,
  on: Queryable = db,
): Promise<BuildShard[]> {
  const { name, version } = projection;
  const rows = await on.query<[string, number, number, number]>(selectBuild(db), [name, version]);
  return rows.map(([source, shard, seq, upto]) => ({ source, shard, seq, upto }));
}

/**
 * Up to which seq each shard is loaded is told once, when a build begins; what comes later is followed.
 * @param again a build that has stopped is tried again
 * @throws Superseded; as `Database.query`
 */
export async function beginBuild(builder: Builder, again: boolean): Promise<BuildShard[]> {
  const { projection, db } = builder;
  const { name, version } = projection;
  return db.transaction(async (tx) => {
    const scoped = { query: tx.query, table: (table: string) => db.table(table) };
    if (again) await move(scoped, projection, 'build');
    await checkFence(tx, builder);
    // Under the fence: whoever was replaced must not end who replaced it.
    for (const table of [readModelTable(projection), partTable(projection)])
      await tx.query(endLoaders, [db.table(table), `tidemark:${LOADER_ROLE}`]);
    await tx.query(deleteStops(db), [name, version]);
    const known = await readBuild(builder, tx);
    if (known.length > 0) return known;
    const events = projection.sources.map(({ aggregate }) => aggregate.name);
    const heads = await readHeads(scoped, { events, changes: [] });
    await tx.query(insertBuild(db), [
      name,
      version,
      heads.map(({ log }) => log),
      heads.map(({ shard }) => shard),
      heads.map(({ head }) => head),
    ]);
    return readBuild(builder, tx);
  });
}
