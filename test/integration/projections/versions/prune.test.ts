/** What nobody serves any more goes, and nothing else does. */
import pg from 'pg';
import { z } from 'zod';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AnyApp } from '../../../../src/domain/app.js';
import { projection } from '../../../../src/domain/projection.js';
import { silentLogger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { Leases } from '../../../../src/platform/postgres/leases.js';
import { migrate } from '../../../../src/platform/postgres/migrate.js';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { dropSlot, openNext, readSlots } from '../../../../src/projections/trimming/slots.js';
import { Presence } from '../../../../src/projections/versions/presence.js';
import { pruneProjections, type PruneOptions } from '../../../../src/projections/versions/prune.js';
import { swapView } from '../../../../src/projections/versions/swap-view.js';
import { Account } from '../../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting } from '../../../support/projecting.js';
import { bankOf, bankWith, HoldersV1, HoldersV2 } from '../../../support/versions.js';

const logger = silentLogger;
let postgres: FreshDatabase;
let db: Database;
const serving: { stop(): Promise<void> }[] = [];

const open = (role: string, max = 1): Database =>
  new Database({ connectionString: postgres.url, schema: 'tidemark', role, logger, max });

beforeAll(async () => {
  postgres = await freshDatabase();
  db = open('test', 4);
});
afterAll(async () => {
  await db.end();
  await postgres.drop();
});
beforeEach(async () => {
  await db.query('DROP SCHEMA IF EXISTS tidemark CASCADE');
  await migrate(db);
  for (const app of [bankWith(HoldersV1), bankWith(HoldersV2)]) await ensureReadModel(db, app);
  await db.query('UPDATE tidemark.projections SET ready_at = now()');
});
afterEach(async () => {
  for (const one of serving.splice(0)) await one.stop();
});

/** A process that serves an application's versions. */
async function serve(app: AnyApp, roles = ['api']): Promise<Presence> {
  const pulse = open('leases');
  const leases = new Leases({ db: pulse, logger, beatMs: 30, ttlMs: 600_000 });
  const { projections } = app;
  const presence = new Presence({
    db,
    leases,
    projections,
    roles,
    logger,
    ensureTables: () => ensureReadModel(db, app),
  });
  serving.push({ stop: () => presence.stop().then(() => pulse.end()) });
  await presence.start();
  await expect
    .poll(() => db.query('SELECT FROM tidemark.members WHERE member = $1', [leases.member]), {
      timeout: 60_000,
    })
    .toHaveLength(1);
  return presence;
}

const v1 = { name: 'holders', version: 1 };
const v2 = { name: 'holders', version: 2 };
const owners = { name: 'owners', version: 1 };
/** Asked by the newest code. */
const prune = (options: Partial<PruneOptions> = {}) =>
  pruneProjections(db, { keep: [v2, owners], graceMs: 0, lockTimeoutMs: 60_000, ...options });
const whyV1 = async (options: Partial<PruneOptions> = {}) =>
  (await prune(options)).kept.find(({ name, version }) => name === 'holders' && version === 1)?.why;

/** Everything in the schema or in its tables that has to do with the version. */
async function traces(version: number): Promise<string[]> {
  const named = await db.query<[string]>(
    `SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'tidemark' AND relname LIKE '%holders\\_\\_v' || $1 || '%' AND relkind IN ('r', 'p', 'v')
     UNION ALL SELECT proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = 'tidemark' AND proname LIKE '%holders\\_\\_v' || $1`,
    [version],
  );
  const rows: string[] = [];
  for (const table of ['checkpoints', 'projection_stops', 'parked', 'parked_events', 'builds', 'serving']) {
    const found = await db.query(
      `SELECT FROM tidemark.${table} WHERE projection = 'holders' AND version = $1`,
      [version],
    );
    if (found.length > 0) rows.push(table);
  }
  for (const table of ['shards', 'change_slots']) {
    const found = await db.query(`SELECT FROM tidemark.${table} WHERE log = 'holders.v' || $1`, [version]);
    if (found.length > 0) rows.push(table);
  }
  const leases = await db.query(`SELECT FROM tidemark.leases WHERE scope LIKE '%holders.v' || $1 || '%'`, [
    version,
  ]);
  if (leases.length > 0) rows.push('leases');
  return [...named.map(([name]) => name), ...rows].toSorted();
}

describe('is kept', () => {
  it('what the SQL view shows', async () => {
    expect(await whyV1()).toBe('the view tidemark.holders shows it');
    await swapView(db, v2);
    await db.query('CREATE VIEW public.old AS SELECT * FROM tidemark.holders__v1');
    expect(await whyV1()).toBe('the view public.old shows it');
    await db.query('DROP VIEW public.old');
    expect(await whyV1()).toBeUndefined();
  });

  it('what a live process serves, until it has ended', async () => {
    await swapView(db, v2);
    await serve(bankWith(HoldersV1));
    expect(await whyV1()).toBe('1 process serves it');
    await serving.pop()?.stop();
    expect(await prune()).toMatchObject({ dropped: [v1] });
  });

  it('what a process of Tidemark 0.1 follows, which says nothing of itself', async () => {
    await swapView(db, v2);
    const pulse = open('leases');
    const leases = new Leases({ db: pulse, logger, beatMs: 30, ttlMs: 600_000 });
    serving.push({ stop: () => leases.stop().then(() => pulse.end()) });
    await leases.start();
    leases.join('projector/holders.v1/account', 4, { gained: () => undefined, lost: async () => undefined });
    await expect.poll(() => whyV1({ dryRun: true }), { timeout: 60_000 }).toBe('1 process serves it');
  });

  it('what was served or made within the grace time', async () => {
    await swapView(db, v2);
    const graceMs = 60_000;
    expect(await whyV1({ graceMs })).toMatch(/^it was made at \S+Z, and the grace time ends at \S+Z$/);
    await db.query(`UPDATE tidemark.projections SET created_at = now() - interval '1 hour'`);
    await serve(bankWith(HoldersV1));
    await serving.pop()?.stop();
    expect(await whyV1({ graceMs })).toMatch(/^it was served at/);
    await db.query(`UPDATE tidemark.serving SET seen_at = now() - interval '61 seconds'`);
    expect(await whyV1({ graceMs })).toBeUndefined();
  });

  it('what the application that asks has, though nobody serves it', async () => {
    const { dropped, kept } = await prune({ keep: [v1, v2, owners] });
    expect(dropped).toEqual([]);
    expect(kept.map(({ why }) => why)).toEqual(Array(3).fill('the application has it'));
  });

  it('what somebody uses just now; it goes the next time', async () => {
    await swapView(db, v2);
    const busy = new pg.Client({ connectionString: postgres.url });
    await busy.connect();
    await busy.query('BEGIN; SELECT * FROM tidemark.holders__v1');
    expect(await whyV1({ lockTimeoutMs: 100 })).toBe('somebody uses its tables (waited 100 ms); try again');
    expect(
      await db.query(`SELECT state FROM tidemark.projections WHERE name = 'holders' ORDER BY version`),
    ).toEqual([['catching_up'], ['catching_up']]);
    await busy.end();
    expect(await prune()).toMatchObject({ dropped: [v1] });
  });
});

describe('goes', () => {
  it('with all that was its own, and nothing of the others', async () => {
    const one = await startProjecting(postgres.url, bankWith(HoldersV1));
    await append(one.store, 'account', 'a-1', [{ type: 'Opened', data: { owner: 'ann' } }]);
    await one.caughtUp();
    await one.stop();
    await swapView(db, v2);
    await db.query(
      `INSERT INTO tidemark.projection_stops (projection, version, source, shard, kind, reason, seq) SELECT 'holders', v, 'account', 0, 'halted', 'why', 1 FROM generate_series(1, 2) v`,
    );
    expect(await traces(1)).toContain('holders__v1');
    const others = await traces(2);
    expect(await prune({ dryRun: true })).toMatchObject({ dropped: [v1] });
    expect(await traces(1)).toContain('holders__v1');
    expect(await prune()).toMatchObject({ dropped: [v1] });
    expect(await traces(1)).toEqual([]);
    expect(await traces(2)).toEqual(others);
    expect(
      await db.query(`SELECT version, state FROM tidemark.projections WHERE name = 'holders' ORDER BY 1`),
    ).toEqual([
      [1, 'retired'],
      [2, 'catching_up'],
    ]);
    expect(await prune()).toMatchObject({ dropped: [] });
  });

  /** A call that was cut off when version 1 had gone, and its change log was half out. */
  async function cutOff(): Promise<void> {
    await swapView(db, v2);
    const busy = new pg.Client({ connectionString: postgres.url });
    await busy.connect();
    // Whoever reads any change log holds it up.
    await busy.query('BEGIN; SELECT FROM tidemark.changes LIMIT 1');
    const tight = open('tight', 1);
    const failed = expect(pruneProjections(tight, { keep: [v2, owners], graceMs: 0 })).rejects.toThrow();
    await expect
      .poll(() => traces(1), { timeout: 60_000 })
      .toEqual(['_log_holders__v1', '_log_holders__v1__s0']);
    // Cut off where it waits: the log is half out.
    await expect
      .poll(() => db.query(`SELECT FROM pg_inherits WHERE inhdetachpending`), { timeout: 60_000 })
      .toHaveLength(1);
    // Waited for: its locks go after it has said that it ends.
    await db.query(
      `SELECT pg_terminate_backend(pid, 25000) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'tidemark:tight'`,
    );
    await failed;
    await tight.end();
    await busy.end();
  }

  it('in a second call when the first was cut off before the change log was out', async () => {
    await cutOff();
    expect(await prune()).toMatchObject({ dropped: [] });
    expect(await traces(1)).toEqual([]);
  });

  it('also where the second call has others to drop before what the first has left', async () => {
    await cutOff();
    const Audit = projection('audit', {
      version: 1,
      row: z.object({ id: z.string(), owner: z.string() }),
      key: 'id',
    }).on(Account, { fold: { Opened: (_row, { data }) => ({ owner: data.owner }) } });
    await ensureReadModel(db, bankOf(Audit));
    await db.query('DROP VIEW tidemark.audit');
    expect(await prune()).toMatchObject({ dropped: [{ name: 'audit', version: 1 }] });
    expect(await traces(1)).toEqual([]);
    expect(await db.query(`SELECT FROM pg_class WHERE relname = '_log_audit__v1'`)).toEqual([]);
  });

  it('and comes back whole after a call that was cut off', async () => {
    await cutOff();
    const one = await startProjecting(postgres.url, bankWith(HoldersV1));
    try {
      await append(one.store, 'account', 'a-7', [{ type: 'Opened', data: { owner: 'eve' } }]);
      await one.caughtUp();
      expect(await db.query('SELECT id, owner FROM tidemark.holders__v1')).toEqual([['a-7', 'eve']]);
      expect(await db.query(`SELECT key FROM tidemark.changes WHERE log = 'holders.v1'`)).toEqual([['a-7']]);
    } finally {
      await one.stop();
    }
  });

  it('and comes back whole though the change log, which was trimmed, could not be taken out at all', async () => {
    const [log] = (await readSlots(db)).filter((one) => one.log === 'holders.v1');
    expect(log && (await openNext(db, log))).toBe(true);
    expect(await dropSlot(db, 'holders.v1', 0, 60_000)).toBe(true);
    await swapView(db, v2);
    const busy = new pg.Client({ connectionString: postgres.url });
    await busy.connect();
    await busy.query('BEGIN; LOCK TABLE ONLY tidemark.changes IN SHARE UPDATE EXCLUSIVE MODE');
    const hasty = new Database({
      connectionString: postgres.url,
      schema: 'tidemark',
      role: 'test',
      logger,
      lockTimeoutMs: 100,
    });
    try {
      expect(await pruneProjections(hasty, { keep: [v2, owners], graceMs: 0 })).toMatchObject({
        dropped: [v1],
      });
    } finally {
      await hasty.end();
      await busy.end();
    }
    expect(await traces(1)).toEqual(['_log_holders__v1', '_log_holders__v1__s1']);
    const one = await startProjecting(postgres.url, bankWith(HoldersV1));
    try {
      await append(one.store, 'account', 'a-7', [{ type: 'Opened', data: { owner: 'eve' } }]);
      await one.caughtUp();
      expect(await db.query(`SELECT key FROM tidemark.parked`)).toEqual([]);
      expect(await db.query('SELECT id, owner FROM tidemark.holders__v1')).toEqual([['a-7', 'eve']]);
      expect(await db.query(`SELECT key FROM tidemark.changes WHERE log = 'holders.v1'`)).toEqual([['a-7']]);
    } finally {
      await one.stop();
    }
  });

  it('and comes back when code with it is started again', async () => {
    await swapView(db, v2);
    await prune();
    const one = await startProjecting(postgres.url, bankWith(HoldersV1));
    try {
      await append(one.store, 'account', 'a-7', [{ type: 'Opened', data: { owner: 'eve' } }]);
      await one.caughtUp();
      expect(await db.query('SELECT id, owner FROM tidemark.holders__v1')).toEqual([['a-7', 'eve']]);
    } finally {
      await one.stop();
    }
  });

  it('also while a process starts with it: that one makes the tables again before it serves', async () => {
    await swapView(db, v2);
    // Its tables were made sure of; then they go.
    await prune();
    await serve(bankOf(HoldersV1));
    expect(await db.query('SELECT FROM tidemark.holders__v1')).toEqual([]);
    expect(await whyV1()).toBe('1 process serves it');
  });
});
