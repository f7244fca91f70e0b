/** Rows from several aggregates: an order with the names of who placed it and of whom it is for. */
import { projection } from 'tidemark';
import { z } from 'zod';
import { Customer } from './customer.js';
import { Order } from './order.js';

export const OrderList = projection('order_list', {
  version: 1,
  row: z.object({
    orderId: z.string(),
    status: z.enum(['placed', 'cancelled']),
    customerId: z.string(),
    customerName: z.string().nullable(),
    giftFor: z.string().nullable(),
    giftForName: z.string().nullable(),
  }),
  key: 'orderId',
  indexes: ['customerName'],
  channels: ['customerId', 'customerName'],
})
  // One event of a customer changes all of their orders.
  .join(Customer, {
    by: 'customerId',
    none: { customerName: null },
    fold: {
      CustomerRegistered: (_part, { data }) => ({ customerName: data.name }),
      CustomerRenamed: (_part, { data }) => ({ customerName: data.name }),
      CustomerLeft: () => null,
    },
  })
  // The same aggregate by another column. Where that is null: `none`.
  .join(Customer, {
    by: 'giftFor',
    none: { giftForName: null },
    fold: {
      CustomerRegistered: (_part, { data }) => ({ giftForName: data.name }),
      CustomerRenamed: (_part, { data }) => ({ giftForName: data.name }),
      CustomerLeft: () => null,
    },
  })
  // The order’s own folds know nothing of names.
  .on(Order, {
    fold: {
      OrderPlaced: (_row, { data }) => ({
        status: 'placed',
        customerId: data.customerId,
        giftFor: data.giftFor,
      }),
      GiftRedirected: (row, { data }) => row && { ...row, giftFor: data.giftFor },
      OrderCancelled: (row) => row && { ...row, status: 'cancelled' },
    },
  });
