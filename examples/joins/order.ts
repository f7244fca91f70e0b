/** An order of snacks, for oneself or as a gift. */
import { aggregate, idText } from 'tidemark';
import { z } from 'zod';

const Item = z.strictObject({ sku: idText(), quantity: z.int().min(1).max(1_000) });
const items = z.array(Item).min(1).max(50);

export const Order = aggregate('order', {
  state: z.object({ status: z.enum(['none', 'placed', 'cancelled']), items: z.array(Item) }),
  initial: { status: 'none', items: [] },
  events: {
    OrderPlaced: z.object({ customerId: z.string(), giftFor: z.string().nullable(), items }),
    GiftRedirected: z.object({ giftFor: z.string().nullable() }),
    OrderCancelled: z.object({ items }),
  },
  commands: {
    place: z.strictObject({ customerId: idText(), giftFor: idText().nullable().default(null), items }),
    redirect: z.strictObject({ giftFor: idText().nullable() }),
    cancel: z.strictObject({}),
  },
})
  .evolve({
    OrderPlaced: (_state, { data }) => ({ status: 'placed', items: data.items }),
    GiftRedirected: (state) => state,
    OrderCancelled: (state) => ({ ...state, status: 'cancelled' }),
  })
  .decide({
    place: (state, input, { emit, reject }) =>
      state.status === 'none' ? emit('OrderPlaced', input) : reject('order_already_placed'),
    redirect: (state, input, { emit, reject }) =>
      state.status === 'placed' ? emit('GiftRedirected', input) : reject('order_not_open'),
    // What was taken back stands in the event, so that a read model need not remember it.
    cancel: (state, _input, { emit, reject }) =>
      state.status === 'placed' ? emit('OrderCancelled', { items: state.items }) : reject('order_not_open'),
  });
