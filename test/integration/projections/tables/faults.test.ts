/** A handler's batches when connections die at the worst moments, and workers that come too late: each event counts once. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PostgresFeed } from '../../../../src/broker/postgres/feed.js';
import type { StoredEvent } from '../../../../src/domain/events.js';
import type { AnyTables } from '../../../../src/domain/tables.js';
import { silentLogger as logger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { Leases } from '../../../../src/platform/postgres/leases.js';
import { Projector } from '../../../../src/projections/projector.js';
import { SHARDS } from '../../../support/bank.js';
import { gate } from '../../../support/commands.js';
import { startFlakyProxy, type FlakyProxy } from '../../../support/flaky-proxy.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';
import { randomFrom } from '../../../support/random.js';
import { Takings, takingsFaults, till } from '../../../support/takings.js';

let pg: FreshDatabase;
let one: ProjectingProcess;
const ends: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, till, { idle: true });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await one.stop();
  await pg.drop();
});

const paid = (cents: number, owner = 'ann') => ({ type: 'Paid', data: { cents }, tags: { owner } });

interface Worker {
  readonly proxy: FlakyProxy;
  readonly told: string[];
  readonly leases: Leases;
}

/** A writer of its own process, whose connections for batches (and nothing else) go through a proxy. */
async function startWorker(
  around: (worker: Worker, run: () => Promise<unknown>) => Promise<unknown>,
  idleInTransactionTimeoutMs = 5_000,
): Promise<Worker> {
  const proxy = await startFlakyProxy(pg.url);
  const settings = { schema: 'tidemark', logger };
  const db = new Database({
    ...settings,
    connectionString: proxy.url,
    role: 'worker',
    max: 3,
    idleInTransactionTimeoutMs,
  });
  const pulse = new Database({ ...settings, connectionString: pg.url, role: 'worker-leases', max: 1 });
  const leases = new Leases({ db: pulse, logger, beatMs: 30 });
  const told: string[] = [];
  const worker = { proxy, told, leases };
  const projection: AnyTables = {
    ...Takings,
    // As often as the connection dies; what the handler itself does is not at fault.
    attempts: 100,
    handle: (request) => around(worker, () => Takings.handle(request)),
  };
  const { wakeups } = one;
  const read = one.store.readShard.bind(one.store);
  const feed = new PostgresFeed<StoredEvent>({ read, wakeups, leases, logger, notNowMs: 20 });
  const observer = {
    wrote: ({ events }: { events: number }) => told.push(`wrote ${events}`),
    conflict: ({ kind }: { kind: string }) => told.push(kind),
    halted: () => told.push('halted'),
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
  ends.push(async () => {
    proxy.poison = undefined;
    proxy.mode = 'pass';
    await projector.stop();
    await leases.stop();
    await Promise.all([db.end(), pulse.end()]);
    await proxy.stop();
  });
  return worker;
}

it('counts every event once, whatever becomes of its COMMIT', async () => {
  const seed = Number(process.env['TIDEMARK_SEED'] ?? Date.now() % 1_000_000);
  const random = randomFrom(seed);
  const fates = { answered: 0, lost: 0, never: 0, cut: 0 };
  const perhaps = async ({ proxy }: Worker, run: () => Promise<unknown>): Promise<unknown> => {
    proxy.poison = undefined;
    const fate = random(100);
    if (fate < 15) {
      const cut = run();
      fates.cut += 1;
      proxy.cut();
      return cut;
    }
    const value = await run();
    if (fate < 40) {
      // The server gets it and does it; nobody hears of it.
      fates.lost += 1;
      void proxy.interrupted().then(() => (proxy.mode = 'pass'));
      proxy.mode = 'lose-answers';
    } else if (fate < 60) {
      fates.never += 1;
      // As a simple query ends; its BEGIN says READ COMMITTED.
      proxy.poison = 'COMMIT\0';
    } else fates.answered += 1;
    return value;
  };
  // The server hears nothing of a cut, and frees the locks of a connection that says nothing for so long.
  const workers = [await startWorker(perhaps, 250), await startWorker(perhaps, 250)];
  for (let round = 0; round < 20; round++) {
    await append(one.store, 'account', `a-${round % 11}`, [paid(round), paid(1, `o-${round % 4}`), paid(2)]);
    // So that they do not all go together.
    if (round % 2 === 1) await one.caughtUp();
    // Now and then another is elected in the middle of it.
    if (round % 7 === 6)
      await one.db.query(
        `UPDATE ${one.db.table('leases')} SET holder = NULL WHERE scope = 'projector/takings.v1'`,
      );
  }
  await one.caughtUp();
  expect(await takingsFaults(one.db), `seed ${seed}`).toEqual([]);
  const [row] = await one.db.query(`SELECT sum(payments)::int FROM ${one.db.table('takings')}`);
  expect(row).toEqual([60]);
  expect(
    fates.lost + fates.never + fates.cut,
    JSON.stringify({ seed, fates, told: workers.map(({ told }) => told) }),
  ).toBeGreaterThan(0);
  expect(workers.flatMap(({ told }) => told)).not.toContain('halted');
});

describe('a worker that stood still in the middle of its handler', () => {
  it('has its transaction ended, and finds that another has written the batch', async () => {
    const [arrived, go] = [gate(), gate()];
    const slow = await startWorker(async (_worker, run) => {
      await run();
      arrived.open();
      await go.opened;
    }, 300);
    await append(one.store, 'account', 'a-1', [paid(5), paid(6)]);
    await arrived.opened;
    // Its lease is another's; the other waits for the locks that it still holds, until Postgres ends its transaction.
    const other = await startWorker((_worker, run) => run());
    await one.db.query(
      `UPDATE ${one.db.table('leases')} SET holder = $1, term = term + 1 WHERE scope = 'projector/takings.v1'`,
      [other.leases.member],
    );
    await one.caughtUp();
    await expect.poll(() => other.told).toContain('wrote 2');
    go.open();
    await append(one.store, 'account', 'a-1', [paid(7)]);
    await one.caughtUp();
    expect(slow.told).not.toContain('wrote 2');
    expect(await takingsFaults(one.db)).toEqual([]);
    const [row] = await one.db.query(`SELECT cents, payments FROM ${one.db.table('takings')}`);
    expect(row).toEqual([18, 3]);
  });
});
