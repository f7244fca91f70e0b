import { z } from 'zod';
import { aggregate, projection, query, defineApp, idText } from 'tidemark';

const Order = aggregate('order', {
  state: z.object({ status: z.enum(['none', 'placed', 'paid']), customerId: z.string() }),
  initial: { status: 'none', customerId: '' },
  events: {
    OrderPlaced: z.object({ customerId: z.string(), totalCents: z.int() }),
    OrderPaid: z.object({ paymentId: z.string() }),
  },
  commands: {
    place: z.object({ customerId: idText(), cents: z.int() }),
    pay: z.object({ paymentId: z.string() }),
  },
  tags: (state) => ({ customerId: state.customerId }),
})
  .evolve({
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', customerId: data.customerId }),
    OrderPaid: (state) => ({ ...state, status: 'paid' }),
  })
  .context({ pay: async ({ input }) => ({ rate: input.paymentId.length }) })
  .decide({
    place: (state, input, { emit, reject, context }) =>
      state.status === 'none' && context === undefined
        ? emit('OrderPlaced', { customerId: input.customerId, totalCents: input.cents })
        : reject('order_already_placed'),
    pay: (state, input, { emit, reject, context }) =>
      state.status === 'placed' && context.rate > 1
        ? [emit('OrderPaid', { paymentId: input.paymentId })]
        : reject('no'),
  });

const Summary = projection('order_summary', {
  version: 1,
  row: z.object({
    orderId: z.string(),
    customerId: z.string(),
    status: z.enum(['placed', 'paid']),
    totalCents: z.int(),
  }),
  key: 'orderId',
  indexes: [['customerId', 'status'], 'status'],
  channels: ['customerId'],
}).on(Order, {
  fold: {
    OrderPlaced: (_row, event) => ({
      customerId: event.data.customerId,
      status: 'placed',
      totalCents: event.data.totalCents,
    }),
    OrderPaid: (row) => row && { ...row, status: 'paid' },
  },
});
const Totals = projection('customer_totals', {
  version: 1,
  row: z.object({ customerId: z.string(), n: z.int() }),
  key: 'customerId',
}).on(Order, {
  keys: (event) => event.tags.customerId,
  fold: { OrderPlaced: (row) => ({ n: (row?.n ?? 0) + 1 }) },
});
const byCustomer = query('customer_orders', {
  input: z.object({ customerId: z.string(), page: z.int().default(1) }),
  output: z.object({ items: z.array(z.object({ orderId: z.string() })), total: z.int() }),
  reads: [Summary, Totals],
}).handle(async ({ db, input }) => {
  const items = await db
    .selectFrom('order_summary')
    .select(['orderId'])
    .where('customerId', '=', input.customerId)
    .execute();
  const n = await db.selectFrom('customer_totals').select('n').executeTakeFirst();
  return { items, total: n?.n ?? 0 };
});
export default defineApp({
  name: 'orders',
  aggregates: [Order],
  projections: [Summary, Totals],
  queries: [byCustomer],
});
