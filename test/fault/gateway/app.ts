/**
 * What the gateway's faults are let loose on: the orders application, with a view of large rows beside its own, so that a client
 * that does not read soon has much that waits for it. How large they are is given.
 */
import { readFileSync } from 'node:fs';
import { defineApp, projection } from 'tidemark';
import { z } from 'zod';
import { CustomerTotals } from '../../../examples/orders/customer-totals.js';
import { Order, OrderStatus } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';

/** Environment variable with the bytes of a row of `papers` that is paid, about. */
export const PAPER_VARIABLE = 'FAULT_PAPER_BYTES';
/** Environment variable with the path of a file that holds tokens that are good no more, a line each. With it there are rights. */
export const REVOKED_VARIABLE = 'FAULT_REVOKED';
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
        pages: eventId,
      }),
      // Large for a while only: a snapshot of all of them has its limits.
      OrderPaid: (row, { eventId }) => row && { ...row, status: 'paid', pages: pages(eventId, bytes) },
      OrderShipped: (row, { eventId }) => row && { ...row, status: 'shipped', pages: eventId },
      // A row that goes: subscribers are told so.
      OrderDelivered: () => null,
      OrderCancelled: () => null,
    },
  });

/** A token is `<who>/<number>`; everybody sees what is of the customer of that name, `staff` everything. */
function principalOf(token: string, revoked: string) {
  const [, id] = /^([a-z0-9-]+)\/\d+$/.exec(token) ?? [];
  const isRevoked = readFileSync(revoked, 'utf8').split('\n').includes(token);
  return id === undefined || isRevoked ? null : { id, claims: {} };
}

/** @param revoked path of the file of tokens that are good no more; none: there are no rights */
export const watchedApp = (paperBytes: number, revoked?: string) =>
  defineApp({
    auth:
      revoked === undefined
        ? 'none'
        : {
            authenticate: ({ token }) => principalOf(token, revoked),
            recheckMs: 1_000,
            // Orders come in without a token; nothing is shown without one.
            anonymous: { id: 'shop', claims: {} },
            commands: { '*': true },
            views: {
              '*': ({ principal: { id } }) => id === 'staff' || (id !== 'shop' && { customerId: id }),
            },
          },
    name: 'watched',
    aggregates: [Order],
    projections: [OrderSummary, CustomerTotals, papers(paperBytes)],
    shards: SHARDS,
  });
