/** The order: what may happen to it, and what is refused when. */
import { aggregate, idText } from 'tidemark';
import { z } from 'zod';

/** Where an order that exists can stand; `none` comes on top in the aggregate’s own state. */
export const OrderStatus = z.enum(['placed', 'paid', 'shipped', 'delivered', 'cancelled']);

/** At most 100 lines × 1,000 pieces × 10,000,000 cents: an order’s total stays at or below 1e12 cents. */
const OrderLine = z.strictObject({
  sku: idText(),
  quantity: z.int().min(1).max(1_000),
  unitPriceCents: z.int().min(0).max(10_000_000),
});
const OrderLines = z.array(OrderLine).min(1).max(100);

const OrderState = z.object({
  status: z.enum(['none', ...OrderStatus.options]),
  customerId: z.string(),
  totalCents: z.int(),
});
type Status = z.output<typeof OrderState>['status'];

const totalCentsOf = (lines: z.output<typeof OrderLines>): number =>
  lines.reduce((total, { quantity, unitPriceCents }) => total + quantity * unitPriceCents, 0);

const itemCountOf = (lines: z.output<typeof OrderLines>): number =>
  lines.reduce((count, { quantity }) => count + quantity, 0);

/** The code a command is refused with in each status; null where it is accepted. */
const REFUSALS = {
  place: {
    none: null,
    placed: 'order_already_placed',
    paid: 'order_already_placed',
    shipped: 'order_already_placed',
    delivered: 'order_already_placed',
    cancelled: 'order_already_placed',
  },
  pay: {
    none: 'order_not_found',
    placed: null,
    paid: 'order_already_paid',
    shipped: 'order_already_paid',
    delivered: 'order_already_paid',
    cancelled: 'order_cancelled',
  },
  ship: {
    none: 'order_not_found',
    placed: 'order_not_paid',
    paid: null,
    shipped: 'order_already_shipped',
    delivered: 'order_already_shipped',
    cancelled: 'order_cancelled',
  },
  deliver: {
    none: 'order_not_found',
    placed: 'order_not_shipped',
    paid: 'order_not_shipped',
    shipped: null,
    delivered: 'order_already_delivered',
    cancelled: 'order_cancelled',
  },
  cancel: {
    none: 'order_not_found',
    placed: null,
    paid: null,
    shipped: 'order_already_shipped',
    delivered: 'order_already_shipped',
    cancelled: 'order_already_cancelled',
  },
} as const satisfies Record<string, Record<Status, string | null>>;

const kindOf = (code: string) => (code === 'order_not_found' ? 'not_found' : 'conflict');

export const Order = aggregate('order', {
  state: OrderState,
  initial: { status: 'none', customerId: '', totalCents: 0 },
  events: {
    OrderPlaced: z.object({
      customerId: z.string(),
      lines: OrderLines,
      totalCents: z.int(),
      itemCount: z.int(),
    }),
    OrderPaid: z.object({ paymentId: z.string() }),
    OrderShipped: z.object({ carrier: z.string(), trackingNumber: z.string() }),
    OrderDelivered: z.object({}),
    /** The total comes along, so that whoever adds orders up can take this one off again. */
    OrderCancelled: z.object({ reason: z.string(), totalCents: z.int() }),
  },
  commands: {
    place: z.strictObject({ customerId: idText(), lines: OrderLines }),
    pay: z.strictObject({ paymentId: idText() }),
    ship: z.strictObject({ carrier: idText(), trackingNumber: idText() }),
    deliver: z.strictObject({}),
    cancel: z.strictObject({ reason: idText() }),
  },
  tags: (state) => ({ customerId: state.customerId }),
})
  .evolve({
    OrderPlaced: (_state, { data }) => ({
      status: 'placed',
      customerId: data.customerId,
      totalCents: data.totalCents,
    }),
    OrderPaid: (state) => ({ ...state, status: 'paid' }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
    OrderDelivered: (state) => ({ ...state, status: 'delivered' }),
    OrderCancelled: (state) => ({ ...state, status: 'cancelled' }),
  })
  .decide({
    place: (state, { customerId, lines }, { emit, reject }) => {
      const code = REFUSALS.place[state.status];
      if (code) return reject(code);
      const totals = { totalCents: totalCentsOf(lines), itemCount: itemCountOf(lines) };
      return emit('OrderPlaced', { customerId, lines, ...totals });
    },
    pay: (state, input, { emit, reject }) => {
      const code = REFUSALS.pay[state.status];
      return code ? reject(code, { as: kindOf(code) }) : emit('OrderPaid', input);
    },
    ship: (state, input, { emit, reject }) => {
      const code = REFUSALS.ship[state.status];
      return code ? reject(code, { as: kindOf(code) }) : emit('OrderShipped', input);
    },
    deliver: (state, _input, { emit, reject }) => {
      const code = REFUSALS.deliver[state.status];
      return code ? reject(code, { as: kindOf(code) }) : emit('OrderDelivered', {});
    },
    cancel: (state, { reason }, { emit, reject }) => {
      const code = REFUSALS.cancel[state.status];
      if (code) return reject(code, { as: kindOf(code) });
      return emit('OrderCancelled', { reason, totalCents: state.totalCents });
    },
  });
