/** What is projected: orders of ten events each, two read models of them, and a log of any number of them. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';
import type { AnyApp } from '../../src/domain/app.js';
import type { AnyProjection } from '../../src/domain/projection.js';
import { shardOf } from '../../src/platform/murmur2.js';

export const SHARDS = 16;
/** Events of each stream. */
export const EVENTS_A_STREAM = 10;
const CUSTOMERS = 10_000;

const Order = aggregate('order', {
  state: z.object({}),
  initial: {},
  events: {
    OrderPlaced: z.object({ customerId: z.string(), address: z.string(), note: z.string() }),
    LineAdded: z.object({ sku: z.string(), quantity: z.int(), unitPriceCents: z.int(), text: z.string() }),
    OrderPaid: z.object({ paymentId: z.string(), method: z.string() }),
    OrderShipped: z.object({ carrier: z.string(), trackingNumber: z.string() }),
  },
  commands: {},
  tags: () => ({ customerId: '' }),
})
  .evolve({
    OrderPlaced: (state) => state,
    LineAdded: (state) => state,
    OrderPaid: (state) => state,
    OrderShipped: (state) => state,
  })
  .decide({});

/** By stream: a row an order. */
export const OrderSummary = projection('order_summary', {
  version: 1,
  row: z.object({
    orderId: z.string(),
    customerId: z.string(),
    status: z.enum(['placed', 'paid', 'shipped']),
    totalCents: z.int(),
    itemCount: z.int(),
    placedAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    trackingNumber: z.string().nullable(),
  }),
  key: 'orderId',
  indexes: [['customerId', 'placedAt'], 'status'],
  channels: ['customerId'],
}).on(Order, {
  fold: {
    OrderPlaced: (_row, { data, recordedAt }) => ({
      customerId: data.customerId,
      status: 'placed',
      totalCents: 0,
      itemCount: 0,
      placedAt: recordedAt,
      updatedAt: recordedAt,
      trackingNumber: null,
    }),
    LineAdded: (row, { data, recordedAt }) =>
      row && {
        ...row,
        totalCents: row.totalCents + data.quantity * data.unitPriceCents,
        itemCount: row.itemCount + data.quantity,
        updatedAt: recordedAt,
      },
    OrderPaid: (row, { recordedAt }) => row && { ...row, status: 'paid', updatedAt: recordedAt },
    OrderShipped: (row, { data, recordedAt }) =>
      row && { ...row, status: 'shipped', updatedAt: recordedAt, trackingNumber: data.trackingNumber },
  },
});

/** Of many streams: a row a customer. */
export const CustomerTotals = projection('customer_totals', {
  version: 1,
  row: z.object({
    customerId: z.string(),
    orderCount: z.int(),
    totalCents: z.int(),
    lastOrderAt: z.iso.datetime().nullable(),
  }),
  key: 'customerId',
}).on(Order, {
  keys: ({ tags }) => tags.customerId,
  fold: {
    OrderPlaced: (row, { recordedAt }) => ({
      orderCount: (row?.orderCount ?? 0) + 1,
      totalCents: row?.totalCents ?? 0,
      lastOrderAt: row?.lastOrderAt && row.lastOrderAt > recordedAt ? row.lastOrderAt : recordedAt,
    }),
    LineAdded: (row, { data }) => ({
      orderCount: row?.orderCount ?? 0,
      totalCents: (row?.totalCents ?? 0) + data.quantity * data.unitPriceCents,
      lastOrderAt: row?.lastOrderAt ?? null,
    }),
  },
});

/** An application of one view. */
export const appOf = (view: AnyProjection): AnyApp =>
  Object.freeze({
    ...defineApp({ auth: 'none', name: 'bench', aggregates: [Order], shards: SHARDS }),
    projections: [view],
    views: [view],
  });

/** Type and data of the nth event of an order; about 150 bytes of data. */
function eventOf(order: number, n: number): readonly [type: string, data: string] {
  if (n === 0) {
    const customerId = customerOf(order);
    return [
      'OrderPlaced',
      JSON.stringify({ customerId, address: `${order} ${'x'.repeat(80)}`, note: 'y'.repeat(60) }),
    ];
  }
  if (n === EVENTS_A_STREAM - 2)
    return ['OrderPaid', JSON.stringify({ paymentId: `pay-${order}`, method: 'card' })];
  if (n === EVENTS_A_STREAM - 1)
    return ['OrderShipped', JSON.stringify({ carrier: 'ups', trackingNumber: `1Z${order}` })];
  const line = { sku: `sku-${(order * 7 + n) % 1_000}`, quantity: (n % 3) + 1, unitPriceCents: 99 + n };
  return ['LineAdded', JSON.stringify({ ...line, text: 'z'.repeat(80) })];
}

const customerOf = (order: number): string =>
  `customer-${String((order * 7919) % CUSTOMERS).padStart(6, '0')}`;

/** Lines for COPY, in the order in which orders come in: several thousand are under way at once. */
function* lines(events: number): Generator<string> {
  const heads = Array.from({ length: SHARDS }, () => 0);
  const orders = events / EVENTS_A_STREAM;
  const window = Math.min(orders, 5_000);
  const begin = Date.UTC(2026, 0, 1);
  let at = 0;
  for (let first = 0; first < orders; first += window) {
    for (let n = 0; n < EVENTS_A_STREAM; n++) {
      for (let order = first; order < Math.min(orders, first + window); order++) {
        const stream = `order-${order.toString(36).padStart(6, '0')}`;
        const shard = shardOf(stream, SHARDS);
        const seq = (heads[shard] = (heads[shard] ?? 0) + 1);
        const id = randomUUID();
        const [type, data] = eventOf(order, n);
        const tags = JSON.stringify({ customerId: customerOf(order) });
        const metadata = JSON.stringify({ correlationId: id, causationId: id, actor: 'anonymous' });
        // About fifty a millisecond, as of a group commit.
        const recordedAt = new Date(begin + Math.floor(at++ / 50)).toISOString();
        yield `${seq}\t${n + 1}\t${recordedAt}\t${id}\t${shard}\t1\torder\t${stream}\t${type}\t${data}\t${tags}\t${metadata}\n`;
      }
    }
  }
}

/** Fills the event log of a migrated database. @param schema quoted */
export async function seed(url: string, schema: string, events: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const columns =
    'seq, version, recorded_at, event_id, shard, schema_version, category, stream_id, type, data, tags, metadata';
  const copy = client.query(copyFrom(`COPY ${schema}.events (${columns}) FROM STDIN`));
  let text = '';
  for (const line of lines(events)) {
    text += line;
    if (text.length < 65_536) continue;
    if (!copy.write(text)) await once(copy, 'drain');
    text = '';
  }
  copy.end(text);
  await once(copy, 'finish');
  await client.query(`VACUUM (ANALYZE) ${schema}.events`);
  await client.end();
}
