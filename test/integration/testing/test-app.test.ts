/** The test application: the orders example end to end, through the kit that product teams use. */
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { customerOrders } from '../../../examples/orders/customer-orders.js';
import { CustomerTotals } from '../../../examples/orders/customer-totals.js';
import { Order } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';
import orders from '../../../examples/orders/app.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let database: FreshDatabase;
let app: TestApp;

beforeAll(async () => {
  database = await freshDatabase();
  app = await testApp(orders, { databaseUrl: database.url });
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

const line = { sku: 'tea', quantity: 2, unitPriceCents: 350 };
const place = (id: string, customerId: string) =>
  app.execute(Order, id, 'place', { customerId, lines: [line] });

describe('commands', () => {
  test('a command answers with its events, and the state follows', async () => {
    const placed = await place('o-1', 'c-1');
    expect(placed).toMatchObject({
      streamId: 'o-1',
      version: 1,
      events: [{ type: 'OrderPlaced', version: 1 }],
    });
    expect(await app.stream(Order, 'o-1')).toMatchObject({
      version: 1,
      state: { status: 'placed', customerId: 'c-1', totalCents: 700 },
    });
    expect(await app.stream(Order, 'o-nowhere')).toBeNull();
  });

  test('a rejection, a bad payload and a missed precondition are thrown with their code', async () => {
    await place('o-2', 'c-1');
    await expect(place('o-2', 'c-1')).rejects.toMatchObject({ code: 'order_already_placed', status: 409 });
    await expect(app.execute(Order, 'o-nowhere', 'pay', { paymentId: 'p' })).rejects.toMatchObject({
      code: 'order_not_found',
      status: 404,
    });
    await expect(app.execute(Order, 'o-2', 'pay', { paymentId: ' ' })).rejects.toThrow(
      /\/paymentId: expected a text/,
    );
    await expect(
      app.execute(Order, 'o-2', 'pay', { paymentId: 'p' }, { expectedVersion: 7 }),
    ).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(
      app.execute(Order, 'o-2', 'place', { customerId: 'c', lines: [line] }, { expectedVersion: 0 }),
    ).rejects.toMatchObject({ status: 412 });
  });

  test('the same key gives the same answer', async () => {
    const once = { idempotencyKey: 'k-1' };
    const payload = { customerId: 'c-1', lines: [line] };
    const first = await app.execute(Order, 'o-3', 'place', payload, once);
    const second = await app.execute(Order, 'o-3', 'place', payload, once);
    expect(second.events).toEqual(first.events);
    expect(second.version).toBe(1);
  });
});

describe('reads have what was executed before', () => {
  test('rows by key and by filter, totals, a query', async () => {
    for (const id of ['a', 'b', 'c']) await place(`o-${id}`, 'c-reads');
    await app.execute(Order, 'o-b', 'cancel', { reason: 'late' });
    expect(await app.row(OrderSummary, 'o-b')).toMatchObject({ orderId: 'o-b', status: 'cancelled' });
    expect(await app.row(OrderSummary, 'o-nowhere')).toBeNull();
    expect(await app.row(CustomerTotals, 'c-reads')).toMatchObject({ orderCount: 2, totalCents: 1400 });
    const rows = await app.rows(OrderSummary, { customerId: 'c-reads' }, { sort: '-placedAt', limit: 2 });
    expect(rows).toHaveLength(2);
    const page = await app.query(customerOrders, { customerId: 'c-reads', limit: 2, page: 2 });
    expect(page).toMatchObject({ total: 3, page: 2, limit: 2 });
    expect(page.items).toHaveLength(1);
    const all = await app.query(customerOrders, { customerId: 'c-reads' });
    const placedAt = all.items.map((item) => item.placedAt);
    expect(placedAt).toEqual(placedAt.toSorted().reverse());
  });
});

describe('live views', () => {
  test('a snapshot, then every change once', async () => {
    await place('o-live-1', 'c-live');
    await app.caughtUp();
    const live = await app.subscribe(OrderSummary, { where: { customerId: 'c-live' } });
    expect([...live.rows.keys()]).toEqual(['o-live-1']);
    await place('o-live-2', 'c-live');
    await app.execute(Order, 'o-live-1', 'pay', { paymentId: 'p' });
    const rows = await live.until((now) => now.size === 2 && now.get('o-live-1')?.status === 'paid');
    expect(rows.get('o-live-2')).toMatchObject({ status: 'placed', totalCents: 700 });
    await live.close();
    await expect(live.until(() => false)).rejects.toThrow('closed');
  });

  test('a subscription that the server refuses fails with its code', async () => {
    await expect(app.subscribe(OrderSummary, { where: { totalCents: 1 } })).rejects.toThrow(/invalid_filter/);
  });

  test('a wait that is never over says what the rows are', async () => {
    const live = await app.subscribe(OrderSummary, { key: 'o-live-1' });
    await expect(live.until((rows) => rows.size === 9, 10)).rejects.toThrow(
      /not as expected after 10 ms.*o-live-1/,
    );
  });
});

test('a closed application leaves nothing in the database it was lent', async () => {
  const other = await testApp(orders, { databaseUrl: database.url });
  await other.execute(Order, 'o-1', 'place', { customerId: 'c-1', lines: [line] });
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const schemas = async () =>
    (await client.query<{ nspname: string }>(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'test_%'`))
      .rows;
  expect(await schemas()).toHaveLength(2);
  await other.close();
  await other.close();
  expect(await schemas()).toHaveLength(1);
  await client.end();
});

test('a database that does not answer is one clear error', async () => {
  await expect(testApp(orders, { databaseUrl: 'postgres://nobody:hush@127.0.0.1:1/none' })).rejects.toThrow(
    /127\.0\.0\.1:1(?![\s\S]*hush)/,
  );
});
