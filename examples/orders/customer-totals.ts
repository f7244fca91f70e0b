/** One row a customer, from all of their orders: how many, how much, and the latest. */
import { projection } from 'tidemark';
import { z } from 'zod';
import { Order } from './order.js';

const CustomerTotalsRow = z.object({
  customerId: z.string(),
  /** Orders that are not cancelled. */
  orderCount: z.int(),
  /**
   * Of the orders that are not cancelled. No `z.int()`: that ends at 2^53 − 1, which 9,008 orders of the largest kind
   * (1e12 cents) would pass, and no valid request may halt a projection. A double goes on: it is exact up to 2^53 cents,
   * ninety trillion of any currency, and above that each order is added to the nearest few cents.
   */
  totalCents: z.number().min(0),
  /** The latest placing, cancelled since or not. */
  lastOrderAt: z.iso.datetime(),
});

export const CustomerTotals = projection('customer_totals', {
  version: 1,
  row: CustomerTotalsRow,
  key: 'customerId',
}).on(Order, {
  keys: (event) => event.tags.customerId,
  fold: {
    OrderPlaced: (row, { data, recordedAt }) => ({
      orderCount: (row?.orderCount ?? 0) + 1,
      totalCents: (row?.totalCents ?? 0) + data.totalCents,
      // Streams interleave, so a placing may be folded after a later one of another order.
      lastOrderAt: row && row.lastOrderAt > recordedAt ? row.lastOrderAt : recordedAt,
    }),
    OrderCancelled: (row, { data }) => {
      if (!row) return null;
      const orderCount = row.orderCount - 1;
      // Past 2^53 a sum is rounded: what is left must not fall below nothing.
      const totalCents = orderCount === 0 ? 0 : Math.max(0, row.totalCents - data.totalCents);
      return { ...row, orderCount, totalCents };
    },
  },
});
