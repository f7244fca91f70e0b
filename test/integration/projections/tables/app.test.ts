/** A whole application with tables of a handler: reads by named queries, what has no view, and what operators do. */
import { randomBytes } from 'node:crypto';
import { query, defineApp } from 'tidemark';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../../src/app/runtime.js';
import { silentLogger as logger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { PostgresEventStore } from '../../../../src/event-store/store.js';
import { Wakeups } from '../../../../src/platform/wakeups.js';
import { pause, rebuild, resume } from '../../../../src/projections/operations/control.js';
import { subscribeTo } from '../../../../src/testing/subscription.js';
import { Account, SHARDS } from '../../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append } from '../../../support/projecting.js';
import { Takings, takingsFaults } from '../../../support/takings.js';

const takenBy = query('taken_by', {
  input: z.object({ owner: z.string() }),
  output: z.object({ cents: z.int(), notes: z.array(z.string()) }),
  reads: [Takings],
}).handle(async ({ db, input: { owner } }) => {
  const total = await db.selectFrom('takings').select('cents').where('owner', '=', owner).executeTakeFirst();
  const rows = await db
    .selectFrom('payments')
    .selectAll()
    .where('note', 'is not', null)
    .orderBy('note')
    .execute();
  const notes = rows.flatMap(({ note, detail }) =>
    note !== null && detail?.tags.includes(owner) ? [note] : [],
  );
  return { cents: total?.cents ?? 0, notes };
});

const shop = defineApp({
  auth: 'none',
  name: 'shop',
  aggregates: [Account],
  projections: [Takings],
  queries: [takenBy],
  shards: SHARDS,
});

let pg: FreshDatabase;
let runtime: Runtime;
let db: Database;
let store: PostgresEventStore;

beforeAll(async () => {
  pg = await freshDatabase();
  runtime = createRuntime(shop, loadConfig({ DATABASE_URL: pg.url, PORT: '0', REALTIME_PORT: '0' }), {
    logger,
    checkQueryOutput: true,
  });
  await runtime.start();
  db = new Database({ connectionString: pg.url, schema: 'tidemark', role: 'test', logger, max: 2 });
  store = new PostgresEventStore({
    database: db,
    categories: ['account'],
    shards: SHARDS,
    announcer: new Wakeups(),
    logger,
  });
  await store.start();
});
afterAll(async () => {
  await runtime.stop();
  await store.stop();
  await db.end();
  await pg.drop();
});

const paid = (cents: number, owner: string, note?: string) => ({
  type: 'Paid',
  data: { cents, ...(note && { note }) },
  tags: { owner },
});

/** Past the commands, with a token as those give it. */
async function pay(cents: number, owner: string): Promise<string> {
  const metadata = { correlationId: 'test', causationId: 'test', actor: 'anonymous' };
  const { type, data, tags } = paid(cents, owner);
  const event = {
    eventId: crypto.randomUUID(),
    type,
    schemaVersion: 1,
    data: JSON.stringify(data),
    tags,
    metadata,
  };
  const stream = {
    category: 'account',
    streamId: `s-${randomBytes(4).toString('hex')}`,
    expected: 0,
    events: [event],
  };
  return (await runtime.inside?.append(stream)) ?? '';
}

const get = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await fetch(runtime.urls.http + path);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};
const taken = (owner: string, after?: string) =>
  get(`/queries/taken_by?owner=${owner}&wait=30000${after ? `&after=${after}` : ''}`);

it('is read by named queries, which wait for what was just written', async () => {
  await append(store, 'account', 'a-1', [
    paid(1, 'ann', 'one'),
    paid(2, 'ann', 'two'),
    paid(4, 'bea', 'three'),
  ]);
  for (let n = 0; n < 10; n++) {
    const token = await pay(10, 'cyd');
    expect(await taken('cyd', token)).toMatchObject({ status: 200, body: { cents: (n + 1) * 10 } });
  }
  // Appended elsewhere, without a token.
  await expect.poll(() => taken('ann')).toEqual({ status: 200, body: { cents: 3, notes: ['one', 'two'] } });
});

it('has no view, no realtime, and no place in the description but that of its queries', async () => {
  expect(await get('/views/takings')).toMatchObject({ status: 404, body: { code: 'unknown_view' } });
  expect((await get('/views/payments/x')).body).toMatchObject({ code: 'unknown_view', known: [] });
  const refused = subscribeTo(runtime.urls.realtime ?? '', 'takings', {});
  await expect(refused).rejects.toThrow(/unknown_view/);
  const { body } = await get('/openapi.json');
  expect(Object.keys(body['paths'] ?? {}).filter((path) => /views|queries/.test(path))).toEqual([
    '/queries/taken_by',
  ]);
  expect(await get('/readyz')).toMatchObject({
    status: 200,
    body: { projections: { takings: { version: 1 } } },
  });
  expect(await db.query(`SELECT 1 FROM ${db.table('shards')} WHERE log LIKE 'takings%'`)).toEqual([]);
});

it('pauses and goes on', async () => {
  await pause(db, { name: 'takings' });
  const token = await pay(100, 'dan');
  const answer = await get(`/queries/taken_by?owner=dan&wait=0&after=${token}`);
  expect(answer.status).toBe(503);
  expect(await taken('dan')).toMatchObject({ body: { cents: 0 } });
  await resume(db, { name: 'takings' });
  expect(await taken('dan', token)).toMatchObject({ status: 200, body: { cents: 100 } });
});

it('is built anew, and never shows half of it', async () => {
  await append(
    store,
    'account',
    'many',
    Array.from({ length: 300 }, () => paid(1, 'eve')),
  );
  await pay(1, 'eve');
  await expect.poll(async () => (await taken('eve')).body['cents']).toBe(301);
  await rebuild(db, shop, 'takings');
  const seen = new Set<string>();
  for (;;) {
    const { status, body } = await taken('eve');
    seen.add(status === 200 ? `${String(body['cents'])} cents` : String(body['code']));
    if (status === 200) break;
  }
  expect([...seen].filter((one) => one !== 'projection_building')).toEqual(['301 cents']);
  expect(await takingsFaults(db)).toEqual([]);
});
