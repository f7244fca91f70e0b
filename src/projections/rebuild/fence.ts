/** What a builder proves before its transactions commit, and how far it says that it is. */
import type { Queryable } from '../../platform/postgres/database.js';
import { advanceBuild, insertStop, selectFence } from './statements.js';
import { Superseded, type BuildOptions, type BuildShard, type BuildStop } from './types.js';

type Builder = Pick<BuildOptions, 'projection' | 'db' | 'lease'>;

/**
 * @param hold keeps the lease from being given to another until the transaction ends; only for the moment before it does
 * @throws Superseded when another is elected, or the version is not being built
 */
export async function checkFence(
  tx: Queryable,
  { projection, db, lease }: Builder,
  hold: 'hold' | 'look' = 'hold',
): Promise<void> {
  const { name, version } = projection;
  const values = [lease.scope, lease.holder, lease.term, name, version];
  const [row] = await tx.query<[string]>(selectFence(db, hold), values);
  if (row?.[0] !== 'building')
    throw new Superseded(`${name} v${version}: ${row ? `it is ${row[0]}` : 'another builds'}`);
}

/**
 * Moves shards on, in the transaction that has loaded their rows.
 * @param from as they are, `til` the seqs that they are at then
 * @throws Superseded when they are not there any more, as after a rebuild from the beginning
 */
export async function advance(
  tx: Queryable,
  builder: Builder,
  steps: readonly { readonly from: BuildShard; readonly til: number }[],
): Promise<void> {
  await checkFence(tx, builder);
  const { name, version } = builder.projection;
  const moved = await tx.query(advanceBuild(builder.db), [
    name,
    version,
    steps.map(({ from }) => from.source),
    steps.map(({ from }) => from.shard),
    steps.map(({ from }) => from.seq),
    steps.map(({ til }) => til),
  ]);
  if (moved.length !== steps.length)
    throw new Superseded(`${name} v${version}: it is built from the beginning`);
}

/** Keeps why a shard cannot be loaded, for everybody to see. @throws Superseded */
export async function keepStop(builder: Builder, stop: BuildStop): Promise<void> {
  const { db, projection } = builder;
  const { category, shard, seq } = stop.event;
  await db.transaction(async (tx) => {
    await checkFence(tx, builder);
    const { name, version } = projection;
    await tx.query(insertStop(db), [name, version, category, shard, stop.kind, stop.message, seq]);
  });
}
