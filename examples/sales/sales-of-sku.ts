/** What an article sold in a time, day by day, with its rank among all articles of that day; and what came back of it. */
import { idText, query } from 'tidemark';
import { z } from 'zod';
import { SalesByDay } from './sales-by-day.js';

const Day = z.iso.date();

export const salesOfSku = query('sales_of_sku', {
  input: z.strictObject({ sku: idText(), from: Day, to: Day }),
  output: z.object({
    days: z.array(z.object({ day: z.string(), quantity: z.int(), cents: z.int(), rank: z.int() })),
    returnedCents: z.int(),
  }),
  reads: [SalesByDay],
}).handle(async ({ db, input: { sku, from, to } }) => {
  const days = await db
    .with('ranked', (q) =>
      q
        .selectFrom('sales_by_day')
        .select(['day', 'sku', 'quantity', 'cents'])
        .select(({ fn }) =>
          fn
            .agg<number>('rank')
            .over((over) => over.partitionBy('day').orderBy('cents', 'desc'))
            .as('rank'),
        )
        .where('day', '>=', from)
        .where('day', '<=', to),
    )
    .selectFrom('ranked')
    .select(['day', 'quantity', 'cents', 'rank'])
    .where('sku', '=', sku)
    .orderBy('day')
    .limit(1_000)
    .execute();
  const { returned } = await db
    .selectFrom('returns')
    .select(({ fn }) => fn.sum<number | null>('cents').as('returned'))
    .where('sku', '=', sku)
    .where('at', '>=', from)
    .where('at', '<', `${to}T24`)
    .executeTakeFirstOrThrow();
  return { days, returnedCents: returned ?? 0 };
});
