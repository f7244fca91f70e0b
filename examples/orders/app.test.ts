/** The orders application as a whole, on a real Postgres: commands, read models, the query, a live view. */
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import orders from './app.js';
import { customerOrders } from './customer-orders.js';
import { CustomerTotals } from './customer-totals.js';
import { Order } from './order.js';
import { OrderSummary } from './order-summary.js';

let app: TestApp;
beforeAll(async () => {
  app = await testApp(orders);
});
afterAll(() => app.close());

const line = { sku: 'tea', quantity: 2, unitPriceCents: 350 };
const place = (orderId: string, customerId: string) =>
  app.execute(Order, orderId, 'place', { customerId, lines: [line] });

test('an order goes its way, and its row with it', async () => {
  await place('way-1', 'c-way');
  await app.execute(Order, 'way-1', 'pay', { paymentId: 'p-1' });
  await app.execute(Order, 'way-1', 'ship', { carrier: 'ups', trackingNumber: 't-1' });
  await expect(app.execute(Order, 'way-1', 'cancel', { reason: 'late' })).rejects.toMatchObject({
    code: 'order_already_shipped',
    status: 409,
  });
  await app.execute(Order, 'way-1', 'deliver', {});
  const row = await app.row(OrderSummary, 'way-1');
  expect(row).toMatchObject({ status: 'delivered', totalCents: 700, itemCount: 2, trackingNumber: 't-1' });
  expect(row && row.updatedAt >= row.placedAt).toBe(true);
});

test('a customer’s totals leave out what was cancelled', async () => {
  for (const id of ['t-1', 't-2', 't-3']) await place(id, 'c-totals');
  await app.execute(Order, 't-2', 'cancel', { reason: 'late' });
  const latest = await app.row(OrderSummary, 't-3');
  expect(await app.row(CustomerTotals, 'c-totals')).toEqual({
    customerId: 'c-totals',
    orderCount: 2,
    totalCents: 1400,
    lastOrderAt: latest?.placedAt,
  });
});

test('a customer’s orders come newest first, page by page, each once', async () => {
  const ids = Array.from({ length: 25 }, (_, n) => `page-${String(n).padStart(2, '0')}`);
  await Promise.all(ids.map((id) => place(id, 'c-pages')));
  await place('page-other', 'c-other');
  const first = await app.query(customerOrders, { customerId: 'c-pages' });
  expect(first).toMatchObject({ total: 25, page: 1, limit: 20 });
  const second = await app.query(customerOrders, { customerId: 'c-pages', page: 2 });
  const all = [...first.items, ...second.items];
  expect(all.map(({ orderId }) => orderId).toSorted()).toEqual(ids);
  const inOrder = all.toSorted(
    (a, b) => b.placedAt.localeCompare(a.placedAt) || (a.orderId < b.orderId ? -1 : 1),
  );
  expect(all).toEqual(inOrder);
  const far = await app.query(customerOrders, { customerId: 'c-pages', page: 1_000_000_000, limit: 1_000 });
  expect(far).toMatchObject({ items: [], total: 25 });
});

test.each([
  { page: 0 },
  { page: 1.5 },
  { limit: 0 },
  { limit: 1_001 },
  { page: 1_000_000_001 },
  { customerId: ' ' },
])('%j is refused', async (change) => {
  const [field] = Object.keys(change);
  await expect(app.query(customerOrders, { customerId: 'c-1', ...change })).rejects.toMatchObject({
    status: 400,
    problem: { errors: [{ path: `/${field}` }] },
  });
});

test('a live view of a customer’s open orders loses an order when it is paid', async () => {
  await place('live-1', 'c-live');
  await app.caughtUp();
  const open = await app.subscribe(OrderSummary, { where: { customerId: 'c-live', status: 'placed' } });
  expect([...open.rows.keys()]).toEqual(['live-1']);
  await place('live-2', 'c-live');
  await app.execute(Order, 'live-1', 'pay', { paymentId: 'p-1' });
  const rows = await open.until((now) => now.has('live-2') && !now.has('live-1'));
  expect(rows.size).toBe(1);
});
