/** The test kit of consumers, against itself: what it finds, and what it says. */
import { aggregate, command, consume } from 'tidemark';
import { consumed } from 'tidemark/testing';
import { expect, test } from 'vitest';
import { z } from 'zod';

const Order = aggregate('order', {
  state: z.object({ paid: z.boolean() }),
  initial: { paid: false },
  events: { Paid: z.object({ cents: z.int() }) },
  commands: { pay: z.object({ cents: z.int().min(1) }) },
})
  .evolve({ Paid: () => ({ paid: true }) })
  .decide({ pay: (_state, { cents }, { emit }) => emit('Paid', { cents }) });

const Payments = consume('payments', {
  topic: 'billing.payments',
  type: 'payment.captured',
  schema: z.object({ order: z.string(), cents: z.int() }),
  sends: [Order],
}).handle(({ data, subject }) => command(Order, subject ?? data.order, 'pay', { cents: data.cents }));

const data = { order: 'o-1', cents: 5 };

test('what a consumer gives', () => {
  consumed(Payments, { data }).toGive([command(Order, 'o-1', 'pay', { cents: 5 })]);
  consumed(Payments, { data, subject: 'o-2' }).toGive([command(Order, 'o-2', 'pay', { cents: 5 })]);
  consumed(Payments, { data, type: 'payment.voided' }).toBePassedOver();
  consumed(Payments, { data: { order: 7 } }).toBeRefused('/order', '/cents');
});

test.each<[string, () => unknown, RegExp]>([
  ['other commands', () => consumed(Payments, { data }).toGive([]), /other commands than expected/],
  ['a record that is taken', () => consumed(Payments, { data }).toBePassedOver(), /but it gave order.pay/],
  ['a record that fits', () => consumed(Payments, { data }).toBeRefused(), /but it gave order.pay/],
  ['no commands', () => consumed(Payments, { data: 1 }).toGive([]), /but it was refused/],
  ['another fault', () => consumed(Payments, { data: 1 }).toBeRefused('/cents'), /a fault at \/cents/],
  [
    'a payload',
    () => consumed(Payments, { data: { ...data, cents: 0 } }),
    /order.pay would be refused: .*cents/,
  ],
  ['a stream id', () => consumed(Payments, { data: { ...data, order: '' } }), /stream id "": expected/],
  [
    'the clock',
    () =>
      consumed(
        consume('late', { topic: 't', schema: z.object({}), sends: [Order] }).handle(() =>
          command(Order, 'o', 'pay', { cents: Date.now() }),
        ),
        { data: {} },
      ),
    /consumer late must be pure/,
  ],
])('%s that should not be is told', (_what, wrong, message) => {
  expect(wrong).toThrow(message);
});
