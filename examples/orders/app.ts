/** The orders application: place, pay, ship, deliver, cancel; a list of orders and what each customer spent. */
import { defineApp } from 'tidemark';
import { customerOrders } from './customer-orders.js';
import { CustomerTotals } from './customer-totals.js';
import { Order } from './order.js';
import { OrderSummary } from './order-summary.js';

export default defineApp({
  auth: 'none',
  name: 'orders',
  aggregates: [Order],
  projections: [OrderSummary, CustomerTotals],
  queries: [customerOrders],
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
