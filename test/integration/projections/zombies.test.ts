/** Workers that come too late: what they fold must never count, whatever they believe. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoredEvent } from '../../../src/domain/events.js';
import { PostgresFeed } from '../../../src/broker/postgres/feed.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { Leases } from '../../../src/platform/postgres/leases.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { Projector } from '../../../src/projections/projector.js';
import { readCheckpoints } from '../../../src/projections/checkpoints.js';
import { NO_ROW } from '../../../src/projections/rows.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { writeBatch, type Change, type Fence } from '../../../src/projections/write.js';
import type { AnyProjection } from '../../../src/domain/projection.js';
import { Accounts, bank, Owners, SHARDS } from '../../support/bank.js';
import { gate } from '../../support/commands.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { readModelFaults } from '../../support/read-model-check.js';

let pg: FreshDatabase;
let one: ProjectingProcess;

beforeEach(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, bank, { idle: true });
});
afterEach(async () => {
  await one.stop();
  await pg.drop();
});

const opened = (owner: string) => ({ type: 'Opened', data: { owner } });
const paid = (cents: number, owner = 'ann') => ({ type: 'Paid', data: { cents }, tags: { owner } });

/** For a transaction that waits on purpose: Postgres would end it after five seconds. */
const STANDS_STILL = 'SET LOCAL idle_in_transaction_session_timeout = 0';

/** A database on which the call that writes a batch stands still until told to go on. */
class HeldDatabase extends Database {
  readonly arrived = gate();
  readonly go = gate();

  override async query<R extends readonly unknown[]>(
    text: string,
    values: readonly unknown[] = [],
    name?: string,
  ): Promise<R[]> {
    if (name?.startsWith('_apply')) {
      this.arrived.open();
      await this.go.opened;
    }
    return super.query<R>(text, values, name);
  }
}

/** A worker that has folded its first batch and is about to write it, when it loses touch: its leases are free. */
async function zombie(projection: AnyProjection) {
  const settings = { connectionString: pg.url, schema: 'tidemark', logger };
  const db = new HeldDatabase({ ...settings, role: 'zombie' });
  const pulse = new Database({ ...settings, role: 'zombie-leases', max: 1 });
  const leases = new Leases({ db: pulse, logger, beatMs: 50 });
  const conflicts: string[] = [];
  const wakeups = new Wakeups();
  const read = one.store.readShard.bind(one.store);
  const feed = new PostgresFeed<StoredEvent>({ read, wakeups, leases, logger });
  const observer = {
    wrote: () => conflicts.push('wrote'),
    conflict: ({ kind }: { kind: string }) => conflicts.push(kind),
    halted: () => conflicts.push('halted'),
  };
  const projector = new Projector({
    projection,
    db,
    feed,
    leases,
    announcer: wakeups,
    logger,
    shards: SHARDS,
    observer,
  });
  await leases.start();
  await projector.start();
  await db.arrived.opened;
  await pulse.end();
  return {
    conflicts,
    wakes: () => db.go.open(),
    end: async () => {
      await projector.stop();
      await leases.stop();
      await db.end();
    },
  };
}

describe('a worker that lost its lease while it folded', () => {
  it.each([
    ['checkpoint', Accounts],
    ['fenced', Owners],
  ] as const)('writes nothing: %s', async (kind, projection) => {
    await append(one.store, 'account', 'a-1', [opened('ann'), paid(5)]);
    const dead = await zombie(projection);
    await one.projections.start();
    await append(one.store, 'account', 'a-2', [opened('ann'), paid(7)]);
    await one.caughtUp();
    dead.wakes();
    await expect.poll(() => dead.conflicts).toContain(kind);
    await append(one.store, 'account', 'a-1', [paid(1)]);
    await one.caughtUp();
    await dead.end();
    expect(dead.conflicts).not.toContain('wrote');
    expect(await readModelFaults(one.db, one.store, projection, SHARDS)).toEqual([]);
  });
});

describe('two writers and a row that neither has', () => {
  const fence = async (): Promise<Fence> => ({
    epoch: (await readSnapshot(one.db, Owners, {}, 1)).epoch,
    lease: undefined,
  });
  const row = { owner: 'ann', cents: 1, events: 1 };
  const change: Change = { key: 'ann', before: NO_ROW, after: { row, json: JSON.stringify(row) } };
  const progress = (shard: number) => [{ source: 'account', shard, from: 0, til: 1 }];

  it('cannot both have it, even without a lease between them', async () => {
    const by = await fence();
    const outcomes = await Promise.allSettled(
      [0, 1, 2, 3].map((shard) => writeBatch(one.db, Owners, by, progress(shard), [change], SHARDS)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const failed = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason.kind] : [],
    );
    expect(failed).toEqual(['row', 'row', 'row']);
    const points = await readCheckpoints(one.db, [Owners]);
    expect(points.map(({ seq }) => seq).sort()).toEqual([0, 0, 0, 1]);
  });

  it('cannot both change a row from the same revision, or move one checkpoint twice', async () => {
    const by = await fence();
    await writeBatch(one.db, Owners, by, progress(0), [change], SHARDS);
    const before = { rev: 1, row, json: JSON.stringify(row) };
    const next = { ...change, before, after: { row: null, json: null } };
    await writeBatch(one.db, Owners, by, progress(1), [next], SHARDS);
    await expect(writeBatch(one.db, Owners, by, progress(2), [next], SHARDS)).rejects.toMatchObject({
      kind: 'row',
    });
    await expect(writeBatch(one.db, Owners, by, progress(1), [], SHARDS)).rejects.toMatchObject({
      kind: 'checkpoint',
    });
    const other = { ...by, epoch: 'other' };
    await expect(writeBatch(one.db, Owners, other, progress(3), [], SHARDS)).rejects.toMatchObject({
      kind: 'epoch',
    });
    expect((await readSnapshot(one.db, Owners, {}, 1)).rows).toEqual([]);
  });

  it('holds the row of a lease while a batch is written, so that nobody takes it over meanwhile', async () => {
    await one.db.query(`INSERT INTO tidemark.leases (scope, item, holder, term) VALUES ('s', 0, 'me', 4)`);
    const lease = { scope: 's', item: 0, holder: 'me', term: 4 };
    const by = { ...(await fence()), lease };
    // The same holder, but of a term that is over: what it began then may still be under way.
    const former = { ...by, lease: { ...lease, term: 3 } };
    await expect(writeBatch(one.db, Owners, former, progress(0), [change], SHARDS)).rejects.toMatchObject({
      kind: 'fenced',
    });
    const held = gate();
    const locked = gate();
    const holding = one.db.transaction(async (tx) => {
      await tx.query(STANDS_STILL);
      await tx.query(`SELECT FROM tidemark.shards WHERE log = 'owners.v1' FOR NO KEY UPDATE`);
      locked.open();
      await held.opened;
    });
    await locked.opened;
    const writing = writeBatch(one.db, Owners, by, progress(0), [change], SHARDS);
    await expect
      .poll(
        async () =>
          (
            await one.db.query(
              `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
            )
          ).length,
      )
      .toBe(1);
    const [taken] = await one.db.query<[string]>(
      `SELECT scope FROM tidemark.lease_beat_v1('you', 1000, '{s}', '{1}', '{}', '{}') WHERE item IS NOT NULL`,
    );
    expect(taken).toBeUndefined();
    held.open();
    await Promise.all([holding, writing]);
    const after = await one.db.query<[number, number]>(
      `SELECT item, term FROM tidemark.lease_beat_v1('you', 1000, '{s}', '{1}', '{}', '{}')`,
    );
    expect(after).toEqual([[0, 5]]);
    await expect(writeBatch(one.db, Owners, by, progress(1), [], SHARDS)).rejects.toMatchObject({
      kind: 'fenced',
    });
  });
});
