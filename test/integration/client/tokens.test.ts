/** The client where rights are on: what is whose, tokens that end and are renewed, and rights that are lost. */
import { defineApp } from 'tidemark';
import { createClient, type Client, type TokenSource } from 'tidemark/client';
import { webSocketOrSse } from 'tidemark/client/sse';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { customerOrders } from '../../../examples/orders/customer-orders.js';
import { Order } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';
import { placeOf } from '../../../src/client/live/overlay.js';
import type { ClientPosition } from '../../../src/protocol/frames.js';
import { until } from '../../support/client/until.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

/** A token is `<who>.<when it ends, ms>`: what counts here is what the client makes of it. */
const token = (who: string, ms: number): string => `${who}.${Date.now() + ms}`;
const banned = new Set<string>();
/** Who is told to end earlier than their token says. */
const ends = new Map<string, number>();

const shop = defineApp({
  name: 'shop',
  aggregates: [Order],
  projections: [OrderSummary],
  queries: [customerOrders],
  auth: {
    authenticate: (shown) => {
      const [id = '', said] = shown.token.split('.');
      const expiresAt = ends.get(id) ?? Number(said);
      return banned.has(id) || expiresAt < Date.now() ? null : { id, claims: {}, expiresAt };
    },
    recheckMs: 1_000,
    commands: { order: { '*': true } },
    queries: { '*': ({ principal }) => principal.id === 'staff' },
    views: { order_summary: ({ principal }) => principal.id === 'staff' || { customerId: principal.id } },
  },
});

const lines = [{ sku: 'tea', quantity: 1, unitPriceCents: 100 }];
const DAY = 86_400_000;
/** As long as a read may wait, ms. */
const WAIT = 30_000;

const ways = [
  { way: 'sockets', Socket: WebSocket },
  { way: 'streams', Socket: webSocketOrSse({ WebSocket: null }) },
];

describe.each(ways)('over $way', ({ Socket }) => {
  let pg: FreshDatabase;
  let app: TestApp;
  const clients: { close(): void }[] = [];
  beforeAll(async () => {
    pg = await freshDatabase();
    app = await testApp(shop, { databaseUrl: pg.url });
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await app?.close();
    await pg?.drop();
  });

  function as(source: TokenSource): Client<typeof shop> {
    const { http, realtime } = app.urls;
    if (realtime === undefined) throw new Error('no realtime socket');
    const client = createClient<typeof shop>({
      url: http,
      realtimeUrl: realtime,
      WebSocket: Socket,
      token: source,
      backoff: { minMs: 20, maxMs: 200 },
    });
    clients.push(client);
    return client;
  }
  test('everyone sees their own, over HTTP and live; what is not theirs is told or is not there', async () => {
    const ann = as(() => token('ann', DAY));
    const ben = as(() => token('ben', DAY));
    const annPlaced = await ann.command('order', 'own-ann', 'place', { customerId: 'ann', lines });
    const benPlaced = await ben.command('order', 'own-ben', 'place', { customerId: 'ben', lines });
    const after = { after: [annPlaced.token, benPlaced.token], wait: WAIT };
    expect((await ann.view('order_summary', after)).items.map(({ orderId }) => orderId)).toEqual(['own-ann']);
    expect(await ann.view('order_summary', 'own-ben', after)).toBeNull();
    await expect(ann.query('customer_orders', { customerId: 'ann' })).rejects.toMatchObject({
      code: 'forbidden',
      status: 403,
    });
    const store = ann.live('order_summary');
    expect((await store.ready()).map(({ orderId }) => orderId)).toEqual(['own-ann']);
    const others = ann.live('order_summary', { where: { customerId: 'ben' } });
    await expect(others.ready()).rejects.toMatchObject({ code: 'forbidden' });
    await ben.command('order', 'own-ben-2', 'place', { customerId: 'ben', lines });
    await ann.command('order', 'own-ann', 'pay', { paymentId: 'p' });
    await until(store, () => store.rows[0]?.status === 'paid');
    expect(store.rows).toHaveLength(1);
  });

  test('where only some rows are the caller’s, too, an optimistic change waits for the very change of its command', async () => {
    const client = as(() => token('opal', DAY));
    const { token: after } = await client.command('order', 'opal-1', 'place', { customerId: 'opal', lines });
    const store = client.live('order_summary');
    await until(store, () => store.rows[0]?.status === 'placed');
    // Where the socket stands is told in the words that reads over HTTP have for it.
    const { cursor } = await client.view('order_summary', {
      where: { customerId: 'opal' },
      after,
      wait: WAIT,
    });
    const position = await new Promise<ClientPosition | undefined>((resolve) => {
      const feed = client.subscribe('order_summary', {}, { status: () => resolve(feed.position) });
    });
    expect(placeOf(cursor ?? '')?.epoch).toBe(position?.epoch);
    const shown: (string | undefined)[] = [];
    store.subscribe(() => shown.push(store.rows[0]?.status));
    await client.command(
      'order',
      'opal-1',
      'pay',
      { paymentId: 'p' },
      {
        optimistic: (expectRow) =>
          expectRow('order_summary', 'opal-1', (row) => row && { ...row, status: 'paid' }),
      },
    );
    await until(store, () => store.pending.size === 0);
    expect(new Set(shown)).toEqual(new Set(['paid']));
  });

  test('a token that ends is renewed: nothing of what happens meanwhile is missed', async () => {
    const asked: boolean[] = [];
    const client = as(({ refresh }) => {
      asked.push(refresh);
      // The first is about to end; those that were asked for as fresh last.
      return token('cam', refresh ? DAY : 1_200);
    });
    const store = client.live('order_summary');
    const statuses = new Set<string>();
    store.subscribe(() => statuses.add(store.status));
    await store.ready();
    await until(undefined, () => asked.includes(true));
    await as(() => token('eve', DAY)).command('order', 'renewed', 'place', { customerId: 'cam', lines });
    await until(store, () => store.status === 'live' && store.rows.length === 1);
    expect(asked.filter(Boolean)).toHaveLength(1);
  });

  test('a right that is lost: the rows are gone, and there is no knocking at the door', async () => {
    let asked = 0;
    const client = as(() => {
      asked++;
      return token('dan', DAY);
    });
    await client.command('order', 'lost', 'place', { customerId: 'dan', lines });
    const store = client.live('order_summary');
    await until(store, () => store.rows.length === 1);
    banned.add('dan');
    await until(store, () => store.status === 'closed');
    expect(store.rows).toEqual([]);
    const then = asked;
    await expect(client.view('order_summary', 'lost')).rejects.toMatchObject({ status: 401 });
    // One call, and one more with a fresh token; none by the socket.
    expect(asked).toBe(then + 2);
    banned.delete('dan');
    client.renew();
    await until(store, () => store.status === 'live' && store.rows.length === 1);
  });

  test('a token that ends and has no successor: all live views are emptied at once, and closed', async () => {
    ends.delete('fay');
    const same = token('fay', DAY);
    const client = as(() => same);
    await client.command('order', 'ends', 'place', { customerId: 'fay', lines });
    const stores = [
      client.live('order_summary'),
      client.live('order_summary', { key: 'ends' }),
      client.live('order_summary', { sort: '-placedAt', limit: 10 }),
    ];
    for (const store of stores) await until(store, () => store.rows.length === 1);
    /** What is shown at each moment at which something is. */
    const seen = new Set<string>();
    for (const store of stores)
      store.subscribe(() => seen.add(stores.map(({ rows }) => rows.length).join(' ')));
    // Later than the server looks at it again, and so is told.
    ends.set('fay', Date.now() + 3_000);
    for (const store of stores) await until(store, () => store.status === 'closed');
    expect([...seen]).toEqual(['0 0 0']);
    for (const { error } of stores) expect(error?.code).toBe('unauthenticated');
  });
});
