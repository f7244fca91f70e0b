/** One event, many rows: an order counts for each thing that is in it. */
import { projection } from 'tidemark';
import { z } from 'zod';
import { Order } from './order.js';

const piecesOf = (items: readonly { sku: string; quantity: number }[], sku: string): number =>
  items.reduce((sum, item) => sum + (item.sku === sku ? item.quantity : 0), 0);

export const SkuDemand = projection('sku_demand', {
  version: 1,
  row: z.object({ sku: z.string(), orders: z.int(), pieces: z.int() }),
  key: 'sku',
}).on(Order, {
  keys: (event) => (event.type === 'GiftRedirected' ? [] : event.data.items.map(({ sku }) => sku)),
  fold: {
    OrderPlaced: (row, { data }, key) => ({
      orders: (row?.orders ?? 0) + 1,
      pieces: (row?.pieces ?? 0) + piecesOf(data.items, key),
    }),
    OrderCancelled: (row, { data }, key) =>
      row && { ...row, orders: row.orders - 1, pieces: row.pieces - piecesOf(data.items, key) },
  },
});
