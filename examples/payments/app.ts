/** Orders that another system’s payments pay: its records in Kafka become commands. */
import { defineApp } from 'tidemark';
import { Order } from '../orders/order.js';
import { OrderSummary } from '../orders/order-summary.js';
import { Payments } from './payments.js';

export default defineApp({
  auth: 'none',
  name: 'paid_orders',
  aggregates: [Order],
  projections: [OrderSummary],
  consumers: [Payments],
});
