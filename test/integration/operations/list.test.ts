/** What operators are told of projections: each figure of a report, on a real Postgres. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defineApp, projection } from 'tidemark';
import { z } from 'zod';
import { findVersion, listProjections, showProjection } from '../../../src/projections/operations/list.js';
import { ensureReadModel } from '../../../src/projections/read-model.js';
import { move } from '../../../src/projections/states.js';
import { Account, Accounts, bank, idsOf, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';

const next = defineApp({
  auth: 'none',
  name: 'bank',
  aggregates: [Account],
  projections: [
    projection('accounts', { version: 2, row: z.object({ id: z.string() }), key: 'id' }).on(Account, {
      fold: { Opened: () => ({}) },
    }),
  ],
  shards: SHARDS,
});

let pg: FreshDatabase;
let running: ProjectingProcess;
beforeAll(async () => {
  pg = await freshDatabase();
  running = await startProjecting(pg.url, bank, { idle: true });
});
afterAll(async () => {
  await running?.stop();
  await pg?.drop();
});

test('lag counts events of all shards, and falls as they come in', async () => {
  const [a, b] = [idsOf(0).next().value as string, idsOf(1).next().value as string];
  for (const id of [a, b])
    await append(running.store, 'account', id, [
      { type: 'Opened', data: { owner: 'me' }, tags: { owner: 'me' } },
      { type: 'Paid', data: { cents: 5 }, tags: { owner: 'me' } },
    ]);
  const before = await listProjections(running.db);
  expect(before.map(({ name, version, lag }) => [name, version, lag])).toEqual([
    ['accounts', 1, 4],
    ['owners', 1, 4],
  ]);
  await running.projections.start();
  await running.caughtUp();
  const after = await listProjections(running.db);
  expect(after.map(({ lag }) => lag)).toEqual([0, 0]);
  const [accounts] = after;
  expect(accounts).toMatchObject({ loaded: true, parkedKeys: 0, stops: [], progress: null, inView: true });
  expect(accounts?.bytes).toBeGreaterThan(8_000);
  expect(accounts?.since).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
});

test('a new version stands beside the old one, which the view still shows', async () => {
  await ensureReadModel(running.db, next);
  const versions = await showProjection(running.db, 'accounts');
  expect(versions.map(({ version, inView }) => [version, inView])).toEqual([
    [1, true],
    [2, false],
  ]);
  expect(await findVersion(running.db, 'accounts')).toMatchObject({ version: 2 });
  expect(await findVersion(running.db, 'accounts', 1)).toMatchObject({ version: 1 });
  await move(running.db, { name: 'accounts', version: 2 }, 'retire');
  expect(await findVersion(running.db, 'accounts')).toMatchObject({ version: 1 });
});

test('stops, parked keys and a build are told', async () => {
  const { db } = running;
  await db.query(
    `INSERT INTO ${db.table('projection_stops')} (projection, version, source, shard, kind, reason, seq)
     VALUES ('accounts', 1, 'account', 2, 'halted', 'an event: it threw', 7)`,
  );
  await db.query(`UPDATE ${db.table('projections')} SET progress = $1 WHERE name = 'owners'`, [
    JSON.stringify({
      startedAt: '2026-01-01T00:00:00.000Z',
      phase: 'loading',
      events: 1,
      total: 2,
      perSecond: 3,
    }),
  ]);
  const [accounts] = await showProjection(db, 'accounts');
  expect(accounts?.stops).toEqual([
    {
      source: 'account',
      shard: 2,
      kind: 'halted',
      reason: 'an event: it threw',
      seq: 7,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
    },
  ]);
  const [owners] = await showProjection(db, 'owners');
  expect(owners?.progress).toMatchObject({ events: 1, total: 2 });
});

test('a table that somebody changes just now costs its size, and no wait', async () => {
  const { db } = running;
  await db.transaction(async (tx) => {
    await tx.query(`LOCK TABLE ${db.table('accounts__v1')} IN ACCESS EXCLUSIVE MODE`);
    const [accounts] = await showProjection(db, 'accounts');
    expect(accounts).toMatchObject({ lag: 0, bytes: null });
  });
});

test.each(['nothing', 'x'.repeat(500), '\u0000', '', '"; DROP TABLE x'])('there is no %j', async (name) => {
  await expect(showProjection(running.db, name)).rejects.toMatchObject({
    code: 'unknown_projection',
    extra: { known: ['accounts', 'owners'] },
  });
});

test('a version that is not there is told with those that are', async () => {
  await expect(findVersion(running.db, Accounts.name, 9)).rejects.toMatchObject({
    code: 'unknown_projection',
    message: 'projection accounts has no version 9 (it has: v1, v2)',
  });
});
