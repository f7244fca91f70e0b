/**
 * A new epoch for logs that part from Kafka: what Kafka has of them beyond the fork is of another life, and everything after the
 * fork is sent again under the new epoch. Readers tell the lives apart by it.
 */
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { byteOrder, newEpoch } from '../../platform/postgres/logs.js';
import type { LogFinding } from './inspect.js';
import { knowEpochs, renewCursors, renewEventLog } from './statements.js';

export interface Mended {
  readonly log: string;
  readonly epoch: string;
}

/**
 * In one transaction; appends to the logs wait for it.
 * @param findings event logs and change logs that get a new epoch
 * @param renewChanges gives change logs theirs, which is the business of the projections; in the transaction, after the event logs
 * @throws as `Database.query`: nothing has happened then
 */
export async function mendLogs(
  db: Database,
  findings: readonly LogFinding[],
  renewChanges: (tx: Queryable & Pick<Database, 'table'>) => Promise<ReadonlyMap<string, string>>,
): Promise<Mended[]> {
  const sorted = findings.toSorted((a, b) => byteOrder(a.log.log, b.log.log));
  return db.transaction(async (tx) => {
    const scoped = { query: tx.query, table: (name: string) => db.table(name) };
    const mended: Mended[] = [];
    for (const { log } of sorted) {
      if (log.kind !== 'events') continue;
      const epoch = newEpoch();
      await tx.query(renewEventLog(db), [log.log, epoch]);
      mended.push({ log: log.log, epoch });
    }
    for (const [log, epoch] of await renewChanges(scoped)) mended.push({ log, epoch });
    const epochs = new Map(mended.map(({ log, epoch }) => [log, epoch]));
    for (const { log, shards } of sorted) {
      const epoch = epochs.get(log.log);
      if (epoch === undefined) continue;
      const known = new Set([epoch, ...shards.flatMap(({ epochInKafka }) => epochInKafka ?? [])]);
      await tx.query(knowEpochs(db), [log.log, [...known]]);
      await tx.query(renewCursors(db), [
        log.log,
        epoch,
        shards.map(({ shard }) => shard),
        shards.map(({ fork }) => fork),
      ]);
    }
    return mended;
  });
}
