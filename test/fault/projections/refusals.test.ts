/** Transactions that Postgres ends, whatever for and whenever, locks that others hold, and a pool without a free connection. */
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { Queryable } from '../../../src/platform/postgres/database.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { startProjecting, type ProjectingOptions, type ProjectingProcess } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { torn } from '../../support/tearing/app.js';
import { mendedFaults, tornFaults } from '../../support/tearing/faults.js';
import { Season } from '../../support/tearing/season.js';

let pg: FreshDatabase;
let one: ProjectingProcess;
let seed: number;
let below: (below: number) => number;
let season: Season;

beforeEach(async () => {
  seed = Date.now() % 1_000_000;
  below = randomFrom(seed);
  pg = await freshDatabase();
  one = await startProjecting(pg.url, torn, { idle: true, beatMs: 50 });
  season = new Season(one.store, below, { badOneIn: 60 });
  onTestFinished(async () => {
    await one.stop();
    await pg.drop();
  });
});

async function work(database: NonNullable<ProjectingOptions['database']> = {}): Promise<ProjectingProcess> {
  const worker = await startProjecting(pg.url, torn, { beatMs: 50, database });
  onTestFinished(() => worker.stop());
  return worker;
}

async function expectWhole(worker: ProjectingProcess): Promise<void> {
  await one.caughtUp();
  const faults = await tornFaults(one.db, one.store, torn, { parked: true });
  expect({ seed, faults }).toEqual({ seed, faults: [] });
  await worker.stop();
  expect({ seed, faults: await mendedFaults(one.db, one.store) }).toEqual({ seed, faults: [] });
}

/** Serialization failure, deadlock, lock timeout, cancel, out of memory, out of disk, a bug. */
const STATES = ['40001', '40P01', '55P03', '57014', '53200', '53100', 'XX000'];

it('errors of every kind, in the middle of a transaction and at its commit', async () => {
  // Every so often, by a sequence, which a rollback does not set back; only forty times, as a batch of five rows or more is struck each time, and tried again after a while.
  await one.db.query(`CREATE SEQUENCE public.hits`);
  await one.db.query(`CREATE FUNCTION public.strike() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE n bigint := nextval('public.hits'); states text[] := '{${STATES.join(',')}}';
    BEGIN
      IF n % 5 = 0 AND n < 200 THEN RAISE EXCEPTION 'struck' USING ERRCODE = states[1 + (n / 5) % ${STATES.length}]; END IF;
      RETURN NULL;
    END $$`);
  const tables = ['checkpoints', 'changes', ...torn.views.map(({ name, version }) => `${name}__v${version}`)];
  const [at, commit] = [tables[below(tables.length)], 'checkpoints'];
  await one.db.query(
    `CREATE TRIGGER strike AFTER INSERT OR UPDATE ON tidemark.${at} FOR EACH ROW EXECUTE FUNCTION public.strike()`,
  );
  await one.db.query(
    `CREATE CONSTRAINT TRIGGER strike_late AFTER UPDATE ON tidemark.${commit} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.strike()`,
  );
  const worker = await work();
  for (let round = 0; round < 8; round++) {
    for (let n = 0; n < 3; n++) await season.act();
    await one.caughtUp();
  }
  const [hits] = await one.db.query<[number]>(`SELECT last_value FROM public.hits`);
  expect(hits?.[0]).toBeGreaterThan(STATES.length * 5);
  await expectWhole(worker);
}, 120_000);

/** Resolves once a write of a projection waits for a lock. @returns its backend */
async function waitingWrite(): Promise<number> {
  let pid: number | undefined;
  await expect
    .poll(async () => {
      const [row] = await one.db.query<[number]>(
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ '_apply' LIMIT 1`,
      );
      pid = row?.[0];
      return pid !== undefined;
    })
    .toBe(true);
  return pid ?? 0;
}

it('locks that others hold: deadlocks, time that is over, statements that are cancelled', async () => {
  const worker = await work({ lockTimeoutMs: 1_500 });
  for (let n = 0; n < 3; n++) await season.act();
  await one.caughtUp();
  const ways: ((tx: Queryable) => Promise<unknown>)[] = [
    // In the other order than the one that all keep to: a deadlock, of which one is the victim.
    (tx) => tx.query(`SELECT FROM tidemark.checkpoints FOR UPDATE`).catch(() => undefined),
    async (tx) => tx.query(`SELECT pg_cancel_backend($1)`, [await waitingWrite()]),
    async (tx) => {
      const pid = await waitingWrite();
      await expect
        .poll(
          async () =>
            (
              await one.db.query(`SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, [
                pid,
              ])
            ).length,
          { timeout: 60_000 },
        )
        .toBe(0);
      await tx.query('SELECT 1');
    },
  ];
  for (const way of ways) {
    const holding = one.db.transaction(
      async (tx) => {
        await tx.query(`SELECT FROM tidemark.shards WHERE position('.' in log) > 0 FOR UPDATE`);
        await season.act();
        await waitingWrite();
        await way(tx);
      },
      { retries: 0 },
    );
    await holding.catch((error: unknown) =>
      expect(error).toMatchObject({ code: expect.stringMatching(/40P01|25P02/) }),
    );
    await one.caughtUp();
  }
  await expectWhole(worker);
}, 120_000);

it('a pool that others have used up', async () => {
  const worker = await work({ connectTimeoutMs: 2_000 });
  await season.act();
  await one.caughtUp();
  for (let round = 0; round < 2; round++) {
    const taken = await Promise.all(Array.from({ length: 6 }, () => worker.db.connect()));
    await season.act();
    // Whoever asks is told that there is none, which ends what it was about to do.
    await expect(worker.db.query('SELECT 1')).rejects.toThrow('timeout');
    for (const session of taken) session.release();
    await one.caughtUp();
  }
  await expectWhole(worker);
}, 120_000);
