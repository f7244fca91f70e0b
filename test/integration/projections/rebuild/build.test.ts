/** Builds: what is loaded is what a fold of the events gives, and what comes after it is followed. */
import { beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { AnyProjection } from '../../../../src/domain/projection.js';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { beginBuild } from '../../../../src/projections/rebuild/begin.js';
import { finishBuild } from '../../../../src/projections/rebuild/finish.js';
import { rebuildProjection } from '../../../../src/projections/rebuild/rebuild.js';
import { Superseded } from '../../../../src/projections/rebuild/types.js';
import { silentLogger } from '../../../../src/platform/logger.js';
import { Accounts, bank, Owners, SHARDS } from '../../../support/bank.js';
import { build, electBuilder, loaderDatabase } from '../../../support/building.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';
import { readModelFaults } from '../../../support/read-model-check.js';
import { randomFrom } from '../../../support/random.js';

const seed = Number(process.env['TIDEMARK_TEST_SEED'] ?? 41);
const TEXTS = ['plain', 'tab\there', 'line\nend\r', 'back\\slash \\N', '"quoted" ’ 🦑 é', '', '\\', "it's"];

/** Of a transaction that waits for a build: Postgres would end it after five seconds. */
const BEGIN = 'BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0';

let pg: FreshDatabase;
let on: ProjectingProcess;

beforeAll(() => console.log(`seed ${seed}`));
beforeEach(async () => {
  pg = await freshDatabase();
  on = await startProjecting(pg.url, { ...bank, projections: [], views: [] } as unknown as typeof bank, {
    idle: true,
  });
  return async () => {
    await on.stop();
    await pg.drop();
  };
});

/** Some streams of some events each, interleaved. */
async function fill(streams: number, prefix = 'a'): Promise<void> {
  const random = randomFrom(seed + streams);
  const text = (): string => TEXTS[random(TEXTS.length)] ?? '';
  const tags = (): Record<string, string> => ({ owner: `owner-${random(12)}` });
  const one = async (n: number): Promise<void> => {
    const id = `${prefix}-${n}`;
    await append(on.store, 'account', id, [{ type: 'Opened', data: { owner: text() }, tags: tags() }]);
    const events = Array.from({ length: random(9) }, () => {
      const kind = random(12);
      if (kind === 0) return { type: 'Closed', data: {}, tags: tags() };
      if (kind === 1) return { type: 'Ignored', data: {}, tags: tags() };
      if (kind === 2) return { type: 'Noted', data: { text: text() }, tags: tags() };
      if (kind === 3) {
        const to = Array.from({ length: random(4) }, () => `owner-${random(12)}`);
        return { type: 'Moved', data: { to, cents: random(50) }, tags: tags() };
      }
      return { type: 'Paid', data: { cents: random(500), note: text() }, tags: tags() };
    });
    for (let at = 0; at < events.length; at += 3) {
      await append(on.store, 'account', id, events.slice(at, at + 3));
    }
  };
  await Promise.all(Array.from({ length: streams }, (_, n) => one(n)));
}

const versionOf = async ({ name }: AnyProjection): Promise<unknown> => {
  const [row] = await on.db.query('SELECT state, loaded, reason FROM tidemark.projections WHERE name = $1', [
    name,
  ]);
  return row;
};

const progressOf = async (): Promise<unknown> =>
  on.db.query('SELECT count(*)::int FROM tidemark.builds').then(([row]) => row?.[0]);

test.each([Accounts, Owners])(
  '$name: what is loaded is a fold of the events, and then it is followed',
  async (view) => {
    await fill(150);
    await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
    expect(await build(pg.url, view)).toEqual({ kind: 'loaded', events: expect.any(Number) });
    expect(await readModelFaults(on.db, on.store, view, SHARDS)).toEqual([]);
    expect(await versionOf(view)).toEqual(['catching_up', true, null]);
    expect(await progressOf()).toBe(0);
    await build(pg.url, view === Accounts ? Owners : Accounts);
    const process = await startProjecting(pg.url, bank);
    try {
      await fill(40, 'b');
      await fill(30);
      await process.caughtUp();
      expect(await readModelFaults(on.db, on.store, view, SHARDS)).toEqual([]);
    } finally {
      await process.stop();
    }
  },
);

test('a table that was built has its key and its indexes, and its change log begins after the rows', async () => {
  await fill(20);
  await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
  await build(pg.url, Accounts);
  const indexes = await on.db.query<[string]>(
    `SELECT indexname FROM pg_indexes WHERE schemaname = 'tidemark' AND tablename = 'accounts__v1' ORDER BY 1`,
  );
  expect(indexes).toEqual([['_ix_accounts__v1__owner_id'], ['_pk_accounts__v1']]);
  expect(await on.db.query(`SELECT DISTINCT low FROM tidemark.shards WHERE log = 'accounts.v1'`)).toEqual([
    [1],
  ]);
  expect(await on.db.query(`SELECT DISTINCT _rev FROM tidemark.accounts__v1`)).toEqual([[1]]);
});

test.each([Accounts, Owners])('$name: a rebuild throws the rows away and comes to the same', async (view) => {
  await fill(60);
  const process = await startProjecting(pg.url, bank);
  await process.caughtUp();
  const rows = async () => on.db.query(`SELECT FROM tidemark.${view.name}__v1`);
  expect(await rows()).not.toEqual([]);
  const epoch = async () =>
    on.db.query(`SELECT DISTINCT epoch FROM tidemark.shards WHERE log = '${view.name}.v1'`);
  const old = await epoch();
  await rebuildProjection(on.db, view);
  expect(await versionOf(view)).toEqual(['building', false, null]);
  expect(await rows()).toEqual([]);
  expect(await epoch()).not.toEqual(old);
  // Its projectors stand by; they write nothing meanwhile.
  await fill(10, 'c');
  expect(await rows()).toEqual([]);
  expect(await build(pg.url, view)).toMatchObject({ kind: 'loaded' });
  await process.stop();
  const again = await startProjecting(pg.url, bank);
  await again.caughtUp();
  expect(await readModelFaults(on.db, on.store, view, SHARDS)).toEqual([]);
  await again.stop();
});

test('only the elected builder writes', async () => {
  await fill(30);
  await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
  const old = await electBuilder(on.db, Accounts, 'first');
  await electBuilder(on.db, Accounts, 'second');
  expect(await build(pg.url, Accounts, { lease: old })).toEqual({ kind: 'superseded' });
  expect(await on.db.query('SELECT FROM tidemark.accounts__v1')).toEqual([]);
  expect(await versionOf(Accounts)).toEqual(['building', false, null]);
});

test('a builder that was replaced before it began leaves the other in peace', async () => {
  await fill(30);
  await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
  const old = await electBuilder(on.db, Accounts, 'first');
  await electBuilder(on.db, Accounts, 'second');
  const db = loaderDatabase(pg.url);
  const other = await db.connect();
  try {
    await other.query(`${BEGIN}; LOCK TABLE tidemark.accounts__v1 IN ROW EXCLUSIVE MODE`);
    expect(await build(pg.url, Accounts, { lease: old })).toEqual({ kind: 'superseded' });
    await other.query('COMMIT');
  } finally {
    other.release(true);
    await db.end();
  }
});

test.each([Accounts, Owners])('$name: a build that is ended goes on where it was', async (view) => {
  await fill(120);
  await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
  for (let turns = 1; ; turns++) {
    const abort = new AbortController();
    let left = turns;
    const turn = async (): Promise<void> => {
      if (--left === 0) abort.abort();
    };
    const outcome = await build(pg.url, view, { signal: abort.signal, turn, flushMs: 0 });
    if (outcome.kind === 'loaded') break;
    expect(outcome).toEqual({ kind: 'superseded' });
    expect(await versionOf(view)).toEqual(['building', false, null]);
  }
  expect(await readModelFaults(on.db, on.store, view, SHARDS)).toEqual([]);
});

test.each([Accounts, Owners])(
  '$name: a build that is begun anew when all is loaded does not end as if it were still there',
  async (view) => {
    await fill(40);
    await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
    const lease = await electBuilder(on.db, view);
    const db = loaderDatabase(pg.url);
    const options = {
      projection: view,
      db,
      lease,
      logger: silentLogger,
      signal: new AbortController().signal,
      turn: async () => undefined,
    };
    try {
      expect(await beginBuild(options, false)).not.toEqual([]);
      await expect(finishBuild(options)).rejects.toThrow(Superseded);
      await rebuildProjection(on.db, view);
      await expect(finishBuild(options)).rejects.toThrow(Superseded);
    } finally {
      await db.end();
    }
    expect(await versionOf(view)).toEqual(['building', false, null]);
    expect(await build(pg.url, view, { lease })).toMatchObject({ kind: 'loaded' });
    expect(await readModelFaults(on.db, on.store, view, SHARDS)).toEqual([]);
  },
);

test('the end of a build and a rebuild from the beginning come one after the other', async () => {
  await fill(40);
  await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
  const operator = await on.db.connect();
  try {
    // As whoever rebuilds, pauses or replays does: the version first, then its checkpoints.
    await operator.query(BEGIN);
    await operator.query(`SELECT FROM tidemark.projections WHERE name = 'accounts' FOR UPDATE`);
    const building = build(pg.url, Accounts);
    await vi.waitFor(
      async () => {
        const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
          AND application_name = 'tidemark:loader' AND query NOT LIKE '%progress = $3%'`;
        expect(await on.db.query(waiting)).not.toEqual([]);
      },
      { timeout: 60_000 },
    );
    await operator.query(`SET LOCAL lock_timeout = 500`);
    await operator.query(`SELECT FROM tidemark.checkpoints WHERE projection = 'accounts' FOR UPDATE`);
    await operator.query('COMMIT');
    expect(await building).toMatchObject({ kind: 'loaded' });
  } finally {
    operator.release(true);
  }
});
