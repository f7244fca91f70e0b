/**
 * What the faults are let loose on: the orders application, with a journal beside its projections that writes down every event
 * of an order as it came, so that a repeat or a swap shows. Its name is given, as topics and groups are named by it.
 */
import { defineApp, projection } from 'tidemark';
import { z } from 'zod';
import { CustomerTotals } from '../../../examples/orders/customer-totals.js';
import { Order } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';

/** Environment variable with the application's name. */
export const NAME_VARIABLE = 'FAULT_APP';
/** Few, so that a short run has something in each. */
export const SHARDS = 4;

const noted = (row: { readonly events: readonly string[] } | null, event: { readonly eventId: string }) => ({
  events: [...(row?.events ?? []), event.eventId],
});

export const Journal = projection('journal', {
  version: 1,
  row: z.object({ orderId: z.string(), events: z.array(z.string()) }),
  key: 'orderId',
}).on(Order, {
  fold: {
    OrderPlaced: noted,
    OrderPaid: noted,
    OrderShipped: noted,
    OrderDelivered: noted,
    OrderCancelled: noted,
  },
});

export const appNamed = (name: string) =>
  defineApp({
    auth: 'none',
    name,
    aggregates: [Order],
    projections: [OrderSummary, CustomerTotals, Journal],
    shards: SHARDS,
  });
