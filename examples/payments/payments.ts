/** What billing tells in its topic, as far as orders care: a payment that was captured pays the order it names. */
import { command, consume } from 'tidemark';
import { z } from 'zod';
import { Order } from '../orders/order.js';

export const Payments = consume('payments', {
  topic: 'billing.payments',
  type: 'billing.payment.captured',
  schema: z.object({ paymentId: z.string(), orderId: z.string(), amountCents: z.int() }),
  sends: [Order],
}).handle(({ data }) => {
  // Vouchers: nothing was paid, and somebody else takes care of them.
  if (data.amountCents === 0) return [];
  return command(Order, data.orderId, 'pay', { paymentId: data.paymentId });
});
