/** What the compiler refuses, and what it must take, in projections that a handler writes. Checked by `tsc`; nothing runs. */
import { aggregate, defineApp, query, tables } from 'tidemark';
import { z } from 'zod';
import type { Equal, Expect } from './expect.js';

const Order = aggregate('order', {
  state: z.object({ customer: z.string() }),
  initial: { customer: '' },
  events: { Placed: z.object({ cents: z.int() }), Noted: z.object({ note: z.string() }) },
  commands: {},
  tags: (state) => ({ customerId: state.customer }),
})
  .evolve({ Placed: (state) => state, Noted: (state) => state })
  .decide({});

const Refund = aggregate('refund', {
  state: z.object({}),
  initial: {},
  events: { Placed: z.object({ reason: z.string() }) },
  commands: {},
})
  .evolve({ Placed: (state) => state })
  .decide({});

const columns = z.object({
  day: z.string(),
  cents: z.int(),
  note: z.string().optional(),
  seen: z.boolean().nullable(),
  parts: z.array(z.object({ sku: z.string() })),
});

const builder = tables('sales', {
  version: 1,
  tables: {
    sales: { columns, primaryKey: ['day', 'cents'], indexes: ['note', ['seen', 'day']] },
    days: { columns: z.object({ day: z.string() }), primaryKey: ['day'] },
  },
})
  .on(Order)
  .on(Refund);

export const Sales = builder.handle(async ({ db, events }) => {
  for (const event of events) {
    if (event.aggregate === 'order' && event.type === 'Placed') {
      void (true satisfies Expect<Equal<typeof event.data, { cents: number }>>);
      void (true satisfies Expect<Equal<typeof event.tags, { customerId: string }>>);
      // A column that may be absent or null need not be given; JSON is given as what it is.
      await db
        .insertInto('sales')
        .values({ day: event.recordedAt, cents: event.data.cents, parts: [{ sku: 'a' }] })
        .onConflict((conflict) =>
          conflict
            .columns(['day', 'cents'])
            .doUpdateSet((eb) => ({ cents: eb('sales.cents', '+', eb.ref('excluded.cents')) })),
        )
        .execute();
    }
    if (event.aggregate === 'refund') {
      void (true satisfies Expect<Equal<typeof event.data, { reason: string }>>);
    }
    // @ts-expect-error there is no such event
    if (event.type === 'Plased') return;
    // @ts-expect-error there is no such aggregate
    if (event.aggregate === 'orders') return;
  }
  const rows = await db.selectFrom('sales').selectAll().execute();
  void (true satisfies Expect<
    Equal<
      (typeof rows)[number],
      { day: string; cents: number; note: string | null; seen: boolean | null; parts: { sku: string }[] }
    >
  >);
  // @ts-expect-error no such table
  await db.deleteFrom('orders').execute();
  // @ts-expect-error no such column
  await db.updateTable('days').set({ sku: 'a' }).execute();
  // @ts-expect-error a column of another type
  await db.insertInto('days').values({ day: 1 }).execute();
  // @ts-expect-error a column is missing
  await db.insertInto('sales').values({ day: '', cents: 1 }).execute();
  // @ts-expect-error the transaction is Tidemark's
  await db.transaction().execute(async () => undefined);
  // @ts-expect-error no changes of the schema
  await db.schema.dropTable('sales').execute();
});

// @ts-expect-error a handler is asynchronous
builder.handle(() => undefined);

export const Mistakes = [
  // @ts-expect-error no such column
  tables('sales', { version: 1, tables: { sales: { columns, primaryKey: ['sku'] } } }),
  // @ts-expect-error a key is always there
  tables('sales', { version: 1, tables: { sales: { columns, primaryKey: ['note'] } } }),
  // @ts-expect-error a key has columns
  tables('sales', { version: 1, tables: { sales: { columns, primaryKey: [] } } }),
  // @ts-expect-error no index on JSON
  tables('sales', { version: 1, tables: { sales: { columns, primaryKey: ['day'], indexes: ['parts'] } } }),
  // @ts-expect-error it follows aggregates
  tables('sales', { version: 1, tables: { sales: { columns, primaryKey: ['day'] } } }).on(Sales),
  // @ts-expect-error a definition ends with its handler
  defineApp({ auth: 'none', name: 'shop', aggregates: [Order, Refund], projections: [builder] }),
];

export const daySales = query('day_sales', {
  input: z.object({ day: z.string() }),
  output: z.object({ cents: z.int() }),
  reads: [Sales],
}).handle(async ({ db, input }) => {
  // @ts-expect-error no such table
  await db.selectFrom('other').selectAll().execute();
  const { cents } = await db
    .selectFrom('sales')
    .innerJoin('days', 'days.day', 'sales.day')
    .select((eb) => eb.fn.sum<number>('cents').as('cents'))
    .where('days.day', '=', input.day)
    .executeTakeFirstOrThrow();
  return { cents };
});

export const Shop = defineApp({
  auth: 'none',
  name: 'shop',
  aggregates: [Order, Refund],
  projections: [Sales],
  queries: [daySales],
});
