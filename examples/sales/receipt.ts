/** A receipt of a shop: lines are rung up, and some come back later. */
import { aggregate, idText } from 'tidemark';
import { z } from 'zod';

const Line = z.strictObject({
  sku: idText(),
  quantity: z.int().min(1).max(1_000),
  unitPriceCents: z.int().min(0).max(10_000_000),
});

export const Receipt = aggregate('receipt', {
  state: z.object({ lines: z.array(Line) }),
  initial: { lines: [] },
  events: {
    ReceiptRung: z.object({ lines: z.array(Line) }),
    LineReturned: z.object({ sku: z.string(), quantity: z.int(), cents: z.int() }),
  },
  commands: {
    ring: z.strictObject({ lines: z.array(Line).min(1).max(100) }),
    takeBack: z.strictObject({ sku: idText(), quantity: z.int().min(1).max(1_000) }),
  },
})
  .evolve({
    ReceiptRung: (_state, { data }) => ({ lines: data.lines }),
    LineReturned: (state, { data }) => ({
      lines: state.lines.map((line) =>
        line.sku === data.sku ? { ...line, quantity: line.quantity - data.quantity } : line,
      ),
    }),
  })
  .decide({
    ring: (state, { lines }, { emit, reject }) => {
      if (state.lines.length > 0) return reject('receipt_exists');
      if (new Set(lines.map(({ sku }) => sku)).size < lines.length)
        return reject('sku_twice', { as: 'invalid' });
      return emit('ReceiptRung', { lines });
    },
    takeBack: (state, { sku, quantity }, { emit, reject }) => {
      const line = state.lines.find((one) => one.sku === sku);
      if (!line) return reject('line_not_found', { as: 'not_found' });
      if (line.quantity < quantity) return reject('more_than_sold');
      return emit('LineReturned', { sku, quantity, cents: quantity * line.unitPriceCents });
    },
  });
