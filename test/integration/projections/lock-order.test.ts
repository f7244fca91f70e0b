/** Batches that touch the same rows and change shards in any order take their locks in one order: no deadlock. */
import { expect, it, onTestFinished } from 'vitest';
import { shardOf } from '../../../src/platform/murmur2.js';
import { isRetryable } from '../../../src/platform/postgres/sqlstate.js';
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
  // Counted where they arrive: the batch is begun again after one, and Postgres's own figures come late.
  let deadlocks = 0;
  const query = one.db.query.bind(one.db);
  one.db.query = <R extends readonly unknown[]>(...args: Parameters<typeof query>): Promise<R[]> =>
    query<R>(...args).catch((error: unknown) => {
      if (isRetryable(error)) deadlocks++;
      throw error;
    });
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
  expect(deadlocks).toBe(0);
  // There are no events behind it, so only what the log says of itself counts.
  const faults = await readModelFaults(one.db, one.store, Owners, SHARDS);
  expect(faults.filter((fault) => !fault.includes('a fold of the events gives'))).toEqual([]);
});

it('locks rows by the bytes of their keys, and change shards by number, whatever the order of the changes', async () => {
  const pg = await freshDatabase();
  onTestFinished(() => pg.drop());
  const one = await startProjecting(pg.url, bank, { idle: true, database: { lockTimeoutMs: 60_000 } });
  onTestFinished(() => one.stop());
  const { epoch } = await readSnapshot(one.db, Owners, {}, 1);
  const keys = ['a', 'b', 'zz', 'é', '\ufffd', '😀'];
  const row = (key: string, cents: number) => ({ owner: key, cents, events: 1 });
  let from = 0;
  const write = async (): Promise<unknown> => {
    const known = new Map((await readSnapshot(one.db, Owners, {}, 100)).rows.map(([key, rev]) => [key, rev]));
    const changes = keys.toReversed().map((key): Change => {
      const rev = known.get(key) ?? 0;
      const json = JSON.stringify(row(key, from));
      const before = rev === 0 ? NO_ROW : { rev, row: row(key, from), json };
      const after = row(key, from + 1);
      return { key, before, after: { row: after, json: JSON.stringify(after) } };
    });
    const progress = [{ source: 'account', shard: 0, from, til: from + 1 }];
    from++;
    return writeBatch(one.db, Owners, { epoch, lease: undefined }, progress, changes, SHARDS);
  };
  const waiting = async (): Promise<number> =>
    (
      await one.db.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      )
    ).length;
  /** Whether a statement that locks would have to wait. */
  const isHeld = (statement: string, value: unknown): Promise<boolean> =>
    one.db.query(`${statement} FOR NO KEY UPDATE NOWAIT`, [value]).then(
      () => false,
      () => true,
    );
  const rowOf = `SELECT FROM tidemark.owners__v1 WHERE owner = $1`;
  const shardOfLog = `SELECT FROM tidemark.shards WHERE log = 'owners.v1' AND shard = $1::int`;
  const lockedBehind = async (
    statement: string,
    held: unknown,
    all: readonly unknown[],
  ): Promise<unknown[]> => {
    const found: unknown[] = [];
    let writing: Promise<unknown> = Promise.resolve();
    await one.db.transaction(async (tx) => {
      // It stands still on purpose: Postgres would end it after five seconds.
      await tx.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      await tx.query(`${statement} FOR NO KEY UPDATE`, [held]);
      writing = write();
      await expect.poll(waiting, { timeout: 60_000 }).toBe(1);
      for (const each of all) if (await isHeld(statement, each)) found.push(each);
    });
    await writing;
    return found;
  };
  await write();
  expect(await lockedBehind(rowOf, 'zz', keys)).toEqual(['a', 'b', 'zz']);
  expect(await lockedBehind(rowOf, '\ufffd', keys)).toEqual(['a', 'b', 'zz', 'é', '\ufffd']);
  const shards = [...new Set(keys.map((key) => shardOf(key, SHARDS)))].toSorted((a, b) => a - b);
  expect(shards.length).toBeGreaterThan(2);
  expect(await lockedBehind(shardOfLog, shards[1], shards)).toEqual(shards.slice(0, 2));
});
