/** Locks of an append: their order, who waits for whom and how long, and that no row is updated. */
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { shardOf } from '../../../src/platform/murmur2.js';
import { Database, type Queryable } from '../../../src/platform/postgres/database.js';
import { silentLogger } from '../../../src/platform/logger.js';
import {
  account,
  allEvents,
  appended,
  claim,
  faultsOf,
  openStore,
  order,
  type OpenStore,
} from '../../support/event-store.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let open: OpenStore;

beforeAll(async () => {
  pg = await freshDatabase();
  // Transactions of these tests stand still on purpose.
  open = await openStore(pg.url, { database: { idleInTransactionTimeoutMs: 60_000 } });
});
afterAll(async () => {
  expect(faultsOf(await allEvents(open.db))).toEqual([]);
  await open.close();
  await pg.drop();
});

/** A stream id whose events go to a shard. */
function idFor(shard: number, prefix: string): string {
  for (let n = 0; ; n++) {
    const id = `${prefix}-${n}`;
    if (shardOf(id, 16) === shard) return id;
  }
}

/** Takes a shard as an append does. */
const lock = (tx: Queryable, log: string, shard: number, how = ''): Promise<unknown> =>
  tx.query(`SELECT FROM ${open.db.table('shards')} WHERE log = $1 AND shard = $2 FOR NO KEY UPDATE ${how}`, [
    log,
    shard,
  ]);

const waiting = async (): Promise<number> => {
  const [row] = await open.db.query<[number]>(
    `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return row?.[0] ?? 0;
};

test('shards are locked by log and shard, whatever the order of the request', async () => {
  const other = await openStore(pg.url, { database: { idleInTransactionTimeoutMs: 60_000 } });
  const low = account(idFor(9, 'low'), 0);
  const high = order(idFor(2, 'high'), 0);
  for (const [round, streams] of [
    [high, low],
    [low, high],
  ].entries()) {
    let append: Promise<unknown> = Promise.resolve();
    await other.db.transaction(async (tx) => {
      await lock(tx, 'account', 9);
      const again = streams.map((stream) => ({ ...stream, expected: round, events: order('x', 0).events }));
      append = open.store.append({ streams: again });
      await expect.poll(waiting, { timeout: 60_000 }).toBe(1);
      // It waits for the first of its locks and holds none of the later ones.
      await lock(tx, 'order', 2, 'NOWAIT');
    });
    expect(await append).toMatchObject({ kind: 'appended' });
  }
  await other.close();
});

test('appends over many shards from several stores never deadlock', async () => {
  const database = { role: 'contender' };
  const stores = await Promise.all([
    openStore(pg.url, { database, options: { lanes: 2 } }),
    openStore(pg.url, { database }),
    openStore(pg.url, { database }),
  ]);
  await Promise.all(
    stores.flatMap(({ store }, at) =>
      Array.from({ length: 60 }, async (_, n) => {
        const streams = [
          order(`d-${n % 7}`, 'any'),
          account(`d-${(n * 5 + at) % 11}`, 'any'),
          order(`e-${n % 3}`, 'any'),
        ];
        if (n % 4 > 0) streams.splice(1);
        const idempotency = claim(`d-${n}`, 'same');
        const outcome = await store.append({ streams: n % 2 ? streams : streams.toReversed(), idempotency });
        expect(['appended', 'duplicate']).toContain(outcome.kind);
      }),
    ),
  );
  for (const store of stores) await store.close();
  const backends = async (): Promise<number> =>
    (await open.db.query(`SELECT FROM pg_stat_activity WHERE application_name = 'tidemark:contender'`))
      .length;
  const deadlocks = async (): Promise<number> => {
    const [row] = await open.db.query<[number]>(
      `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`,
    );
    return row?.[0] ?? -1;
  };
  // Backends report their figures when they end.
  await expect.poll(backends, { timeout: 60_000 }).toBe(0);
  expect(await deadlocks()).toBe(0);
});

test('a process that froze while it held a shard is let go, and those behind it go on', async () => {
  const frozen = new Database({
    connectionString: pg.url,
    schema: open.db.schema,
    role: 'frozen',
    logger: silentLogger,
    max: 1,
    idleInTransactionTimeoutMs: 300,
  });
  const session = await frozen.connect();
  await session.query('BEGIN');
  await lock(session, 'order', 3);
  const outcome = await open.store.append({ streams: [order(idFor(3, 'thawed'), 0)] });
  expect(outcome).toMatchObject({ kind: 'appended' });
  await expect(session.query('COMMIT')).rejects.toThrow();
  session.release(true);
  await frozen.end();
});

test('who waits too long for a shard is told that nothing was written; other lanes do not wait', async () => {
  const hasty = await openStore(pg.url, {
    database: { lockTimeoutMs: 50 },
    options: { lanes: 2, appendTimeoutMs: 300 },
  });
  const blocked = idFor(4, 'blocked');
  // The time of the store stands still but while it is the matter that it passes: what goes may take as long as it likes.
  const standsStill = () => vi.spyOn(performance, 'now').mockReturnValue(performance.now());
  onTestFinished(() => void vi.restoreAllMocks());
  await open.db.transaction(async (tx) => {
    await lock(tx, 'order', 4);
    const still = standsStill();
    const attempt = hasty.store.append({ streams: [order(blocked, 'any')] });
    // Shard 5 is the other lane's.
    expect(await hasty.store.append({ streams: [order(idFor(5, 'free'), 0)] })).toMatchObject({
      kind: 'appended',
    });
    still.mockRestore();
    await expect(attempt).rejects.toMatchObject({ code: 'overloaded', retryAfter: 1 });
  });
  standsStill();
  expect(await hasty.store.append({ streams: [order(blocked, 0)] })).toMatchObject({
    streams: [{ version: 1 }],
  });
  await hasty.close();
});

test('time never runs backwards in a shard, also when the clock does', async () => {
  const id = idFor(6, 'time');
  await open.store.append({ streams: [order(id, 0)] });
  await open.db.query(
    `UPDATE ${open.db.table('events')} SET recorded_at = date_trunc('milliseconds', now() + interval '1 hour') WHERE stream_id = $1`,
    [id],
  );
  const [before] = await open.store.readStream({ category: 'order', streamId: id, limit: 1 });
  const one = appended(await open.store.append({ streams: [order(id, 1)] }));
  const two = appended(await open.store.append({ streams: [order(id, 2, 2)] }));
  expect(one.recordedAt).toBe(before?.recordedAt);
  expect(two.recordedAt).toBe(before?.recordedAt);
  await open.db.query(`DELETE FROM ${open.db.table('events')} WHERE stream_id = $1`, [id]);
});

test('while a snapshot is held, appends update no row and leave no dead one', async () => {
  const other = await openStore(pg.url, { schema: 'held' });
  const tables = ['shards', 'events', 'idempotency_keys'];
  await open.db.transaction(
    async (tx) => {
      await tx.query(`SELECT count(*) FROM ${other.db.table('shards')}`);
      for (let round = 0; round < 20; round++) {
        await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            other.store.append({
              streams: [order(`h-${n}`, round, 1 + (n % 2))],
              idempotency: claim(`${round}-${n}`),
            }),
          ),
        );
      }
      // Its backends report their figures when they end.
      await other.close();
      await expect
        .poll(
          () =>
            open.db.query(
              `SELECT relname, n_tup_ins > 0, n_tup_upd, n_tup_del, n_dead_tup FROM pg_stat_user_tables
               WHERE schemaname = 'held' AND relname = ANY($1) ORDER BY relname`,
              [tables],
            ),
          { timeout: 60_000 },
        )
        .toEqual(tables.toSorted().map((name) => [name, true, 0, 0, 0]));
    },
    { isolation: 'repeatable read', readOnly: true },
  );
});
