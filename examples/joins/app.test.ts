/** The theatre as a whole, on a real Postgres: names in orders, demand by thing, seats that are changed; also live. */
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import theatre from './app.js';
import { Booking } from './booking.js';
import { Customer } from './customer.js';
import { OrderList } from './order-list.js';
import { Order } from './order.js';
import { Seats } from './seats.js';
import { SkuDemand } from './sku-demand.js';

let app: TestApp;
beforeAll(async () => {
  app = await testApp(theatre);
});
afterAll(() => app.close());

const tea = { sku: 'tea', quantity: 2 };

test('an order has the names of who placed it and of whom it is for, as they are now', async () => {
  await app.execute(Order, 'names-1', 'place', { customerId: 'ann', giftFor: 'bob', items: [tea] });
  expect(await app.row(OrderList, 'names-1')).toMatchObject({ customerName: null, giftForName: null });
  await app.execute(Customer, 'ann', 'register', { name: 'Ann' });
  await app.execute(Customer, 'bob', 'register', { name: 'Bob' });
  expect(await app.row(OrderList, 'names-1')).toMatchObject({ customerName: 'Ann', giftForName: 'Bob' });
  await app.execute(Customer, 'ann', 'rename', { name: 'Anna' });
  await app.execute(Order, 'names-1', 'redirect', { giftFor: null });
  expect(await app.row(OrderList, 'names-1')).toMatchObject({ customerName: 'Anna', giftForName: null });
  await app.execute(Customer, 'ann', 'leave', {});
  expect(await app.row(OrderList, 'names-1')).toMatchObject({ customerId: 'ann', customerName: null });
});

test('an order counts for each thing that is in it', async () => {
  const cake = { sku: 'cake', quantity: 1 };
  await app.execute(Order, 'demand-1', 'place', { customerId: 'c', items: [cake, { ...cake, quantity: 3 }] });
  await app.execute(Order, 'demand-2', 'place', {
    customerId: 'c',
    items: [cake, { sku: 'pie', quantity: 5 }],
  });
  await app.execute(Order, 'demand-2', 'cancel', {});
  expect(await app.row(SkuDemand, 'cake')).toEqual({ sku: 'cake', orders: 1, pieces: 4 });
  expect(await app.row(SkuDemand, 'pie')).toEqual({ sku: 'pie', orders: 0, pieces: 0 });
});

test('a booking that is changed leaves its old seat, which another may take', async () => {
  await app.execute(Customer, 'cid', 'register', { name: 'Cid' });
  await app.execute(Booking, 'way-1', 'book', { customerId: 'cid', seat: 'A1' });
  const sitting = await app.row(Seats, 'A1');
  expect(sitting).toMatchObject({ bookingId: 'way-1', customerName: 'Cid' });
  await app.execute(Booking, 'way-1', 'change', { seat: 'B2' });
  expect(await app.row(Seats, 'A1')).toBeNull();
  expect(await app.row(Seats, 'B2')).toEqual({ ...sitting, seat: 'B2' });
  await app.execute(Booking, 'way-2', 'book', { customerId: 'dan', seat: 'A1' });
  expect(await app.row(Seats, 'A1')).toMatchObject({ bookingId: 'way-2', customerName: null });
});

test('who watches a customer’s orders sees all of them change their name, and who watches a name sees them leave', async () => {
  const ids = Array.from({ length: 50 }, (_, n) => `live-${n}`);
  const data = { customerId: 'eve', giftFor: null, items: [tea] };
  await app.execute(Customer, 'eve', 'register', { name: 'Eve' });
  await Promise.all(ids.map((id) => app.append(Order, id, [{ type: 'OrderPlaced', data }])));
  await app.caughtUp();
  const orders = await app.subscribe(OrderList, { where: { customerId: 'eve' } });
  const named = await app.subscribe(OrderList, { where: { customerName: 'Eve' } });
  expect([orders.rows.size, named.rows.size]).toEqual([50, 50]);
  await app.execute(Customer, 'eve', 'rename', { name: 'Eva' });
  const rows = await orders.until((now) => [...now.values()].every((row) => row.customerName === 'Eva'));
  expect([...rows.keys()].toSorted()).toEqual(ids.toSorted());
  await named.until((now) => now.size === 0);
});

test('a seat that is left is told to who watches it', async () => {
  await app.execute(Booking, 'seen-1', 'book', { customerId: 'fay', seat: 'F1' });
  await app.caughtUp();
  const seat = await app.subscribe(Seats, { key: 'F1' });
  const hers = await app.subscribe(Seats, { where: { customerId: 'fay' } });
  await app.execute(Booking, 'seen-1', 'change', { seat: 'F2' });
  await seat.until((now) => now.size === 0);
  const now = await hers.until((rows) => rows.has('F2') && !rows.has('F1'));
  expect(now.size).toBe(1);
});
