/**
 * A new epoch for what clients have of a projection, though its rows stay: the database was restored, and what they saw of it need
 * not be what is there. Sockets get a reset, and no ETag of before fits a row of now.
 */
import type { AnyReadModel } from '../../domain/tables.js';
import { byteOrder, newEpoch } from '../../platform/postgres/logs.js';
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { changeLogOf } from '../names.js';

type Scoped = Queryable & Pick<Database, 'table'>;

/** Locks: the version's row. $1 name, $2 version, $3 epoch. */
const renewVersion = (db: Scoped): string =>
  `UPDATE ${db.table('projections')} SET epoch = $3 WHERE name = $1 AND version = $2::int`;

/** Locks: the log's rows of `shards`, in order; waits for batches that write to it. $1 log, $2 epoch. */
const renewShards = (db: Scoped): string =>
  `WITH mine AS (SELECT s.log, s.shard FROM ${db.table('shards')} s WHERE s.log = $1 ORDER BY s.shard FOR NO KEY UPDATE)
   UPDATE ${db.table('shards')} s SET epoch = $2 FROM mine m WHERE s.log = m.log AND s.shard = m.shard`;

/**
 * In a transaction of the caller, after what it has to lock of event logs.
 * @returns change log → its epoch, of those that have one
 */
export async function renewEpochs(
  tx: Scoped,
  projections: readonly AnyReadModel[],
): Promise<ReadonlyMap<string, string>> {
  const renewed = projections
    .map((projection) => ({ projection, log: changeLogOf(projection), epoch: newEpoch() }))
    .toSorted((a, b) => byteOrder(a.log, b.log));
  for (const { projection, epoch } of renewed)
    await tx.query(renewVersion(tx), [projection.name, projection.version, epoch]);
  const views = renewed.filter(({ projection }) => projection.kind !== 'tables');
  for (const { log, epoch } of views) await tx.query(renewShards(tx), [log, epoch]);
  return new Map(views.map(({ log, epoch }) => [log, epoch]));
}
