/** A customer’s orders, newest first, page by page. */
import { idText, query } from 'tidemark';
import { z } from 'zod';
import { OrderSummary, OrderSummaryRow } from './order-summary.js';

const COLUMNS = [
  'orderId',
  'customerId',
  'status',
  'totalCents',
  'itemCount',
  'placedAt',
  'updatedAt',
  'trackingNumber',
] as const satisfies readonly (keyof z.output<typeof OrderSummaryRow>)[];

export const customerOrders = query('customer_orders', {
  input: z.strictObject({
    customerId: idText(),
    page: z.int().min(1).max(1_000_000_000).default(1),
    limit: z.int().min(1).max(1_000).default(20),
  }),
  output: z.object({
    items: z.array(OrderSummaryRow),
    /** Orders of the customer over all pages. */
    total: z.int(),
    page: z.int(),
    limit: z.int(),
  }),
  reads: [OrderSummary],
}).handle(async ({ db, input: { customerId, page, limit } }) => {
  const orders = db.selectFrom('order_summary').where('customerId', '=', customerId);
  const { total } = await orders
    .select(({ fn }) => fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow();
  const items = await orders
    .select(COLUMNS)
    .orderBy('placedAt', 'desc')
    .orderBy('orderId')
    .limit(limit)
    .offset((page - 1) * limit)
    .execute();
  return { items, total: Number(total), page, limit };
});
