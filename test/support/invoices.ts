/** The application of docs/parked-events.md: its fold did not think of an invoice without lines. */
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';

const Line = z.object({ cents: z.int() });

const Invoice = aggregate('invoice', {
  state: z.object({ status: z.string() }),
  initial: { status: 'none' },
  events: { InvoiceIssued: z.object({ lines: z.array(Line) }), InvoicePaid: z.object({}) },
  commands: { issue: z.strictObject({ lines: z.array(Line) }), pay: z.strictObject({}) },
})
  .evolve({
    InvoiceIssued: () => ({ status: 'issued' }),
    InvoicePaid: () => ({ status: 'paid' }),
  })
  .decide({
    issue: (_state, input, { emit }) => emit('InvoiceIssued', input),
    pay: (_state, _input, { emit }) => emit('InvoicePaid', {}),
  });

/** @param mended an invoice without lines has an average of 0 */
export function invoices(mended: boolean) {
  const Invoices = projection('invoices', {
    version: 1,
    row: z.object({ invoiceId: z.string(), averageCents: z.number(), paid: z.boolean() }),
    key: 'invoiceId',
  }).on(Invoice, {
    fold: {
      InvoiceIssued: (_row, { data: { lines } }) => {
        const total = lines.reduce((sum, { cents }) => sum + cents, 0);
        const averageCents = mended && lines.length === 0 ? 0 : total / lines.length;
        return { averageCents, paid: false };
      },
      InvoicePaid: (row) => row && { ...row, paid: true },
    },
  });
  return defineApp({ auth: 'none', name: 'invoices', aggregates: [Invoice], projections: [Invoices] });
}
