/** A projection that is rebuilt in place under live subscribers: nothing half-built, a reset, and the rows of the new table. */
import { randomInt } from 'node:crypto';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { Order } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { rebuildProjection } from '../../../src/projections/rebuild/rebuild.js';
import type { ServerFrame } from '../../../src/protocol/frames.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { randomFrom } from '../../support/random.js';
import { SocketClient } from '../../support/realtime/socket-client.js';

let pg: FreshDatabase;
let app: TestApp;
let db: Database;
beforeAll(async () => {
  pg = await freshDatabase();
  app = await testApp(orders, { databaseUrl: pg.url });
  const connect = (schema: string): Database =>
    new Database({ connectionString: pg.url, schema, role: 'test', logger: silentLogger });
  const any = connect('public');
  const [schema] = await any.query<[string]>(
    `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'test\\_%'`,
  );
  await any.end();
  db = connect(schema?.[0] ?? '');
});
afterAll(async () => {
  await app?.close();
  await db?.end();
  await pg?.drop();
});

const lines = [{ sku: 'tea', quantity: 1, unitPriceCents: 100 }];

it('gives live subscribers a reset and the same rows again', async () => {
  const seed = randomInt(2 ** 31);
  const random = randomFrom(seed);
  const place = async (n: number): Promise<void> => {
    await app.execute(Order, `o-${n}`, 'place', { customerId: `c-${random(3)}`, lines });
  };
  for (let n = 0; n < 60; n++) await place(n);
  await app.caughtUp();
  const raw = await SocketClient.connect(app.urls.realtime ?? '', { protocols: ['tidemark.v1'] });
  raw.send({ t: 'sub', id: 's', view: 'order_summary' });
  const frames = (): ServerFrame[] => raw.received.map((text): ServerFrame => JSON.parse(text));
  const isLive = (times: number) => () =>
    frames().filter(({ t }) => t === 'live').length >= times ? true : undefined;
  await raw.until(isLive(1));
  const views = [
    await app.subscribe(OrderSummary),
    await app.subscribe(OrderSummary, { where: { customerId: 'c-1' } }),
  ];
  try {
    await rebuildProjection(db, OrderSummary);
    for (let n = 60; n < 80; n++) await place(n);
    await raw.until(isLive(2));
    await app.caughtUp();
    const rows = await app.rows(OrderSummary, {}, { limit: 1_000 });
    expect(rows).toHaveLength(80);
    const [all, some] = views;
    await all?.until((now) => now.size === 80);
    const own = rows.filter(({ customerId }) => customerId === 'c-1');
    await some?.until((now) => now.size === own.length);
    expect(new Map(all?.rows)).toEqual(new Map(rows.map((row) => [row.orderId, row])));
    const told = frames().filter(({ t }) => t === 'snap' || t === 'reset' || t === 'live' || t === 'err');
    expect(told.map(({ t }) => t)).toEqual(['snap', 'live', 'reset', 'snap', 'live']);
    // Never a part of the table: what is loaded is in the snapshot as a whole.
    const [, snap] = told.flatMap((frame) => (frame.t === 'snap' ? [frame] : []));
    expect(snap?.rows.length).toBeGreaterThanOrEqual(60);
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  } finally {
    await raw.end();
  }
});
