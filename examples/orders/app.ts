/** The orders application: place, pay, ship, deliver, cancel; a list of orders and what each customer spent. */
import { defineApp } from 'tidemark';
import { customerOrders } from './customer-orders.js';
import { CustomerTotals } from './customer-totals.js';
import { Order } from './order.js';
import { OrderSummary } from './order-summary.js';

export default defineApp({
  name: 'orders',
  aggregates: [Order],
  projections: [OrderSummary, CustomerTotals],
  queries: [customerOrders],
});
