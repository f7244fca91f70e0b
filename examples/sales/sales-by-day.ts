/**
 * What was sold of each article on each day, and what came back: a table whose key is a pair, and a list without end, each
 * written with a statement or two for a whole batch of events.
 */
import { tables } from 'tidemark';
import { z } from 'zod';
import { Receipt } from './receipt.js';

interface Sold {
  readonly day: string;
  readonly sku: string;
  readonly quantity: number;
  readonly cents: number;
}

/** One row a day and article: Postgres refuses a statement that would write one row twice. */
function summed(sold: readonly Sold[]): Sold[] {
  const rows = new Map<string, Sold>();
  for (const one of sold) {
    const id = JSON.stringify([one.day, one.sku]);
    const { quantity = 0, cents = 0 } = rows.get(id) ?? {};
    rows.set(id, { ...one, quantity: quantity + one.quantity, cents: cents + one.cents });
  }
  return [...rows.values()];
}

export const SalesByDay = tables('sales', {
  version: 1,
  tables: {
    sales_by_day: {
      columns: z.object({ day: z.string(), sku: z.string(), quantity: z.int(), cents: z.int() }),
      primaryKey: ['day', 'sku'],
      indexes: [['sku', 'day']],
    },
    returns: {
      columns: z.object({
        eventId: z.string(),
        receiptId: z.string(),
        sku: z.string(),
        cents: z.int(),
        at: z.string(),
      }),
      primaryKey: ['eventId'],
      indexes: [['sku', 'at']],
    },
  },
})
  .on(Receipt)
  .handle(async ({ db, events }) => {
    const sold = events.flatMap((event): Sold[] => {
      // The day of the event, in UTC: a clock would say another one in a rebuild.
      const day = event.recordedAt.slice(0, 10);
      if (event.type === 'ReceiptRung')
        return event.data.lines.map(({ sku, quantity, unitPriceCents }) => ({
          day,
          sku,
          quantity,
          cents: quantity * unitPriceCents,
        }));
      const { sku, quantity, cents } = event.data;
      return [{ day, sku, quantity: -quantity, cents: -cents }];
    });
    if (sold.length > 0)
      await db
        .insertInto('sales_by_day')
        .values(summed(sold))
        .onConflict((conflict) =>
          conflict.columns(['day', 'sku']).doUpdateSet((eb) => ({
            quantity: eb('sales_by_day.quantity', '+', eb.ref('excluded.quantity')),
            cents: eb('sales_by_day.cents', '+', eb.ref('excluded.cents')),
          })),
        )
        .execute();
    const returned = events.flatMap((event) => (event.type === 'LineReturned' ? [event] : []));
    if (returned.length > 0)
      await db
        .insertInto('returns')
        .values(
          returned.map(({ eventId, streamId, data, recordedAt }) => ({
            eventId,
            receiptId: streamId,
            sku: data.sku,
            cents: data.cents,
            at: recordedAt,
          })),
        )
        .execute();
  });
