/** The orders application: place, pay, ship, deliver, cancel; a list of orders and what each customer spent. */
import { defineApp } from 'tidemark';
import { callersOf, isOperator, isStaff, mayTouch } from './callers.js';
import { customerOrders } from './customer-orders.js';
import { CustomerTotals } from './customer-totals.js';
import { Order } from './order.js';
import { OrderSummary } from './order-summary.js';

/** With it, callers show who they are; without, everyone may do everything, and only this machine is answered. */
const secret = process.env['ORDERS_JWT_SECRET'];

export default defineApp({
  name: 'orders',
  aggregates: [Order],
  projections: [OrderSummary, CustomerTotals],
  queries: [customerOrders],
  auth: !secret
    ? 'none'
    : {
        authenticate: callersOf(secret),
        commands: {
          order: {
            place: ({ principal, input }) => mayTouch(principal, input),
            pay: ({ principal, state }) => mayTouch(principal, state),
            cancel: ({ principal, state }) => mayTouch(principal, state),
            '*': ({ principal }) => isStaff(principal),
          },
        },
        queries: { customer_orders: ({ principal, input }) => mayTouch(principal, input) },
        // Both views have the customer in every row.
        views: { '*': ({ principal }) => isStaff(principal) || { customerId: principal.id } },
        streams: { order: ({ principal, state }) => mayTouch(principal, state) },
        operate: ({ principal }) => isOperator(principal),
      },
});

/** What `tidemark start` proposes to try, as curl lines. */
export const tryIt = [
  {
    method: 'POST',
    path: '/commands/order/o-1/place',
    body: { customerId: 'c-1', lines: [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }] },
  },
  { method: 'GET', path: '/views/order_summary/o-1' },
  { method: 'GET', path: '/queries/customer_orders?customerId=c-1' },
];
