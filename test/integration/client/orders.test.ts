/** The client against the orders application: commands, reads, live views, optimistic changes; over cut connections too. */
import { createClient, type Client, type LiveStore } from 'tidemark/client';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import orders from '../../../examples/orders/app.js';
import { Order } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { until } from '../../support/client/until.js';

let pg: FreshDatabase;
let app: TestApp;
let client: Client<typeof orders>;

beforeAll(async () => {
  pg = await freshDatabase();
  app = await testApp(orders, { databaseUrl: pg.url });
  client = connect();
});
afterAll(async () => {
  client?.close();
  await app?.close();
  await pg?.drop();
});

function connect(): Client<typeof orders> {
  const { http, realtime } = app.urls;
  if (realtime === undefined) throw new Error('no realtime socket');
  return createClient<typeof orders>({ url: http, realtimeUrl: realtime, WebSocket, lingerMs: 0 });
}

/** As long as a read may wait, ms. */
const WAIT = 30_000;
const lines = [{ sku: 'tea', quantity: 2, unitPriceCents: 350 }];
const place = (id: string, customerId: string) => client.command('order', id, 'place', { customerId, lines });
const listed = (store: LiveStore<{ orderId: string; status: string }>): string[] =>
  store.rows.map(({ orderId, status }) => `${orderId} ${status}`);

test('a command, its repeat, its rejection, and reads that have it', async () => {
  const placed = await client.command(
    Order,
    'r/1',
    'place',
    { customerId: 'c-read', lines },
    { idempotencyKey: 'place-r-1' },
  );
  expect(placed).toMatchObject({ streamId: 'r/1', version: 1, events: [{ type: 'OrderPlaced' }] });
  const again = await client.command(
    'order',
    'r/1',
    'place',
    { customerId: 'c-read', lines },
    { idempotencyKey: 'place-r-1' },
  );
  expect(again).toEqual(placed);
  await expect(place('r/1', 'c-read')).rejects.toMatchObject({
    name: 'ClientError',
    code: 'order_already_placed',
    status: 409,
  });
  await expect(
    client.command('order', 'r/1', 'pay', { paymentId: 'p' }, { expectedVersion: 7 }),
  ).rejects.toMatchObject({ code: 'precondition_failed', status: 412 });
  await expect(
    client.command('order', 'r/1', 'place', { customerId: 'c-read', lines }, { expectedVersion: 0 }),
  ).rejects.toMatchObject({ code: 'precondition_failed' });
  const paid = await client.command('order', 'r/1', 'pay', { paymentId: 'p' }, { expectedVersion: 1 });
  const after = { after: [placed.token, paid.token], wait: WAIT };
  expect(await client.view('order_summary', 'r/1', after)).toMatchObject({ status: 'paid', totalCents: 700 });
  expect(await client.view(OrderSummary, 'nowhere')).toBeNull();
  const found = await client.query(
    'customer_orders',
    { customerId: 'c-read' },
    { after: paid.token, wait: WAIT },
  );
  expect(found).toMatchObject({ total: 1, items: [{ orderId: 'r/1' }] });
  await expect(client.command('order', '..', 'pay', { paymentId: 'p' })).rejects.toMatchObject({
    code: 'unsendable_id',
  });
  await expect(client.command('order', 'r/2', 'place', { customerId: ' ', lines })).rejects.toMatchObject({
    code: 'invalid_payload',
    problem: { errors: [{ path: '/customerId' }] },
  });
});

test('a listing page by page, filtered and sorted', async () => {
  const ids = Array.from({ length: 7 }, (_, n) => `page-${n}`);
  const answers = await Promise.all(ids.map((id) => place(id, 'c-pages')));
  const after = answers.map(({ token }) => token);
  const seen: string[] = [];
  const request = {
    where: { customerId: 'c-pages' },
    sort: ['-status', '-orderId'],
    limit: 3,
    after,
    wait: WAIT,
  } as const;
  for await (const { items, cursor } of client.pages('order_summary', request)) {
    expect(cursor).toEqual(expect.any(String));
    seen.push(...items.map(({ orderId }) => orderId));
  }
  expect(seen).toEqual(ids.toReversed());
  const first = await client.view('order_summary', { where: { customerId: 'c-pages' }, limit: 2 });
  expect(first.items.map(({ orderId }) => orderId)).toEqual(['page-0', 'page-1']);
  expect(first.next).toEqual(expect.any(String));
});

test('a live view follows its filter, and equal ones are one', async () => {
  const { token } = await place('l-1', 'c-live');
  await client.view('order_summary', 'l-1', { after: token, wait: WAIT });
  const store = client.live(OrderSummary, { where: { customerId: 'c-live', status: 'placed' } });
  const twin = client.live('order_summary', { where: { status: 'placed', customerId: 'c-live' } });
  expect(store.status).toBe('connecting');
  expect((await store.ready()).map(({ orderId }) => orderId)).toEqual(['l-1']);
  const before = store.getSnapshot();
  expect(twin.getSnapshot()).toBe(before);
  expect(client.peek('order_summary', { where: { customerId: 'c-live', status: 'placed' } })).toBe(before);
  await place('l-2', 'c-live');
  await until(store, () => listed(store).join() === 'l-1 placed,l-2 placed');
  expect(before.rows).toHaveLength(1);
  expect(store.rows[0]).toBe(before.rows[0]);
  await client.command('order', 'l-1', 'pay', { paymentId: 'p' });
  await until(store, () => listed(store).join() === 'l-2 placed');
  store.close();
  expect(store).toMatchObject({ status: 'closed', rows: [{ orderId: 'l-2' }] });
  expect(twin.status).toBe('live');
  twin.close();
});

test('a row of its own: there is none, then there is', async () => {
  const store = client.live('order_summary', { key: 'k-1' });
  expect(await store.ready()).toEqual([]);
  await place('k-1', 'c-key');
  await until(store, () => store.rows[0]?.status === 'placed');
  store.close();
});

test('what cannot be subscribed to is told', async () => {
  const store = client.live('order_summary', { where: { totalCents: 3 } });
  await expect(store.ready()).rejects.toMatchObject({ code: 'invalid_filter' });
  expect(store.status).toBe('closed');
  store.close();
});

test('a subscription goes on from a page’s cursor, and from its own position', async () => {
  const { token } = await place('s-1', 'c-sub');
  const page = await client.view('order_summary', {
    where: { customerId: 'c-sub' },
    after: token,
    wait: WAIT,
  });
  await place('s-2', 'c-sub');
  const seen: string[] = [];
  const observer = {
    snapshot: () => seen.push('snapshot'),
    changes: (rows: readonly (readonly [string, number, { status: string } | null])[]) =>
      seen.push(...rows.map(([key, , row]) => `${key} ${row?.status ?? 'gone'}`)),
  };
  const where = { customerId: 'c-sub' };
  const first = client.subscribe('order_summary', { where, from: page.cursor ?? '' }, observer);
  await until(undefined, () => seen.includes('s-2 placed') && first.status === 'live');
  const { position } = first;
  first.close();
  await client.command('order', 's-1', 'cancel', { reason: 'late' });
  const second = client.subscribe(
    'order_summary',
    { where, ...(position ? { from: position } : {}) },
    observer,
  );
  await until(undefined, () => seen.includes('s-1 cancelled'));
  second.close();
  expect(seen).toEqual(['s-2 placed', 's-1 cancelled']);
});

test('optimistic changes are shown at once, and confirmed by the feed or rolled back', async () => {
  const { token } = await place('opt-1', 'c-opt');
  await client.view('order_summary', 'opt-1', { after: token, wait: WAIT });
  const store = client.live('order_summary', { where: { customerId: 'c-opt' } });
  await store.ready();
  const shown: string[] = [];
  store.subscribe(() => shown.push(`${listed(store).join()}${store.pending.size > 0 ? ' …' : ''}`));
  const paying = client.command(
    'order',
    'opt-1',
    'pay',
    { paymentId: 'p' },
    {
      optimistic: (expectRow) =>
        expectRow('order_summary', 'opt-1', (row) => row && { ...row, status: 'paid' }),
    },
  );
  expect(listed(store)).toEqual(['opt-1 paid']);
  expect([...store.pending]).toEqual(['opt-1']);
  await paying;
  await until(store, () => store.pending.size === 0);
  expect(shown.every((text) => text.startsWith('opt-1 paid'))).toBe(true);
  expect(await client.view('order_summary', 'opt-1')).toEqual(store.rows[0]);

  const refused = client.command(
    'order',
    'opt-1',
    'deliver',
    {},
    {
      optimistic: (expectRow) =>
        expectRow('order_summary', 'opt-1', (row) => row && { ...row, status: 'delivered' }),
    },
  );
  expect(listed(store)).toEqual(['opt-1 delivered']);
  await expect(refused).rejects.toMatchObject({ code: 'order_not_shipped' });
  expect(listed(store)).toEqual(['opt-1 paid']);
  expect(store.pending.size).toBe(0);
  store.close();
});

test('pause and resume: stale meanwhile, and nothing is missed', async () => {
  await place('z-1', 'c-pause');
  const store = client.live('order_summary', { where: { customerId: 'c-pause' } });
  await until(store, () => listed(store).join() === 'z-1 placed');
  client.pause();
  expect(store.status).toBe('stale');
  await place('z-2', 'c-pause');
  expect(listed(store)).toEqual(['z-1 placed']);
  client.resume();
  await until(store, () => store.status === 'live' && listed(store).join() === 'z-1 placed,z-2 placed');
  store.close();
});
