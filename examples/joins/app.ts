/** The theatre: rows from several aggregates, events that touch many rows, rows that change their key. */
import { defineApp } from 'tidemark';
import { Booking } from './booking.js';
import { Customer } from './customer.js';
import { OrderList } from './order-list.js';
import { Order } from './order.js';
import { Seats } from './seats.js';
import { SkuDemand } from './sku-demand.js';

export default defineApp({
  auth: 'none',
  name: 'theatre',
  aggregates: [Customer, Order, Booking],
  projections: [OrderList, SkuDemand, Seats],
});
