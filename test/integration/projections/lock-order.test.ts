/** Batches that touch the same rows and change shards in any order take their locks in one order: no deadlock. */
import { expect, it, onTestFinished } from 'vitest';
import { NO_ROW, type KnownRow } from '../../../src/projections/rows.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { writeBatch, WriteConflict, type Change } from '../../../src/projections/write.js';
import { bank, Owners, SHARDS } from '../../support/bank.js';
import { freshDatabase } from '../../support/postgres.js';
import { startProjecting } from '../../support/projecting.js';
import { readModelFaults } from '../../support/read-model-check.js';

it('never deadlocks, and every batch is either in as a whole or not at all', async () => {
  const pg = await freshDatabase();
  onTestFinished(() => pg.drop());
  const one = await startProjecting(pg.url, bank, { idle: true });
  onTestFinished(() => one.stop());
  const { epoch } = await readSnapshot(one.db, Owners, {}, 1);
  const fence = { epoch, lease: undefined };
  // Beyond U+FFFF, code units and code points sort differently: the order must be Postgres's.
  const keys = ['a', 'b', 'c', 'd', '\ufffd', '😀', 'é', 'zz'];
  const shuffled = (): string[] =>
    keys
      .map((key) => ({ key, by: Math.random() }))
      .toSorted((a, b) => a.by - b.by)
      .map(({ key }) => key);
  let written = 0;
  let conflicts = 0;
  const worker = async (shard: number): Promise<void> => {
    for (let from = 0; from < 25;) {
      const known = new Map<string, KnownRow>();
      for (const [key, rev, json] of (await readSnapshot(one.db, Owners, {}, 100)).rows) {
        known.set(key, { rev, json, row: JSON.parse(json) });
      }
      const changes = shuffled().map((key): Change => {
        const before = known.get(key) ?? NO_ROW;
        const row = { owner: key, cents: Number(before.row?.['cents'] ?? 0) + 1, events: shard };
        return { key, before, after: { row, json: JSON.stringify(row) } };
      });
      try {
        await writeBatch(
          one.db,
          Owners,
          fence,
          [{ source: 'account', shard, from, til: from + 1 }],
          changes,
          SHARDS,
        );
        from++;
        written++;
      } catch (error) {
        if (!(error instanceof WriteConflict)) throw error;
        conflicts++;
      }
    }
  };
  await Promise.all([0, 1, 2, 3].map(worker));
  const { rows } = await readSnapshot(one.db, Owners, {}, 100);
  expect(written).toBe(100);
  expect(conflicts).toBeGreaterThan(0);
  expect(rows.map(([, , json]) => JSON.parse(json).cents)).toEqual(keys.map(() => 100));
  await one.db.query('SELECT pg_stat_force_next_flush()');
  const [stat] = await one.db.query(
    `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`,
  );
  expect(stat).toEqual([0]);
  // There are no events behind it, so only what the log says of itself counts.
  const faults = await readModelFaults(one.db, one.store, Owners, SHARDS);
  expect(faults.filter((fault) => !fault.includes('a fold of the events gives'))).toEqual([]);
});
