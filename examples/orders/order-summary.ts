/** One row an order: what a list of orders shows. */
import { projection } from 'tidemark';
import { z } from 'zod';
import { Order, OrderStatus } from './order.js';

export const OrderSummaryRow = z.object({
  orderId: z.string(),
  customerId: z.string(),
  status: OrderStatus,
  totalCents: z.int(),
  /** Pieces over all lines. */
  itemCount: z.int(),
  placedAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  trackingNumber: z.string().nullable(),
});

export const OrderSummary = projection('order_summary', {
  version: 1,
  row: OrderSummaryRow,
  key: 'orderId',
  indexes: [['customerId', 'placedAt'], 'placedAt', 'status'],
  channels: ['customerId', ['customerId', 'status']],
}).on(Order, {
  fold: {
    OrderPlaced: (_row, { data, recordedAt }) => ({
      customerId: data.customerId,
      status: 'placed',
      totalCents: data.totalCents,
      itemCount: data.itemCount,
      placedAt: recordedAt,
      updatedAt: recordedAt,
      trackingNumber: null,
    }),
    OrderPaid: (row, { recordedAt }) => row && { ...row, status: 'paid', updatedAt: recordedAt },
    OrderShipped: (row, { data, recordedAt }) =>
      row && { ...row, status: 'shipped', updatedAt: recordedAt, trackingNumber: data.trackingNumber },
    OrderDelivered: (row, { recordedAt }) => row && { ...row, status: 'delivered', updatedAt: recordedAt },
    OrderCancelled: (row, { recordedAt }) => row && { ...row, status: 'cancelled', updatedAt: recordedAt },
  },
});
