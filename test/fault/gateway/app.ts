/**
 * What the gateway's faults are let loose on: the orders application, with a view of large rows beside its own, so that a client
 * that does not read soon has much that waits for it. How large they are is given.
 */
import { defineApp, projection } from 'tidemark';
import { z } from 'zod';
import { CustomerTotals } from '../../../examples/orders/customer-totals.js';
import { Order, OrderStatus } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';

/** Environment variable with the bytes of a row of `papers`, about. */
export const PAPER_VARIABLE = 'FAULT_PAPER_BYTES';
/** Few, so that a short run has something in each. */
const SHARDS = 4;

/** Text that depends on the event, so that an old row is not taken for a new one. */
const pages = (eventId: string, bytes: number): string => eventId.repeat(Math.ceil(bytes / eventId.length));

const papers = (bytes: number) =>
  projection('papers', {
    version: 1,
    row: z.object({ orderId: z.string(), customerId: z.string(), status: OrderStatus, pages: z.string() }),
    key: 'orderId',
    channels: ['customerId'],
  }).on(Order, {
    fold: {
      OrderPlaced: (_row, { data, eventId }) => ({
        customerId: data.customerId,
        status: 'placed',
        pages: pages(eventId, bytes),
      }),
      OrderPaid: (row, { eventId }) => row && { ...row, status: 'paid', pages: pages(eventId, bytes) },
      OrderShipped: (row, { eventId }) => row && { ...row, status: 'shipped', pages: pages(eventId, bytes) },
      // A row that goes: subscribers are told so.
      OrderDelivered: () => null,
      OrderCancelled: () => null,
    },
  });

export const watchedApp = (paperBytes: number) =>
  defineApp({
    auth: 'none',
    name: 'watched',
    aggregates: [Order],
    projections: [OrderSummary, CustomerTotals, papers(paperBytes)],
    shards: SHARDS,
  });
