/** What the compiler refuses, and what it must take, when a consumer is written. Checked by `tsc`; nothing runs. */
import { aggregate, command, consume } from 'tidemark';
import { z } from 'zod';
import type { Equal, Expect } from './expect.js';

const named = <N extends string>(name: N) =>
  aggregate(name, {
    state: z.object({ cents: z.int() }),
    initial: { cents: 0 },
    events: { Paid: z.object({ cents: z.int() }) },
    commands: { pay: z.object({ cents: z.int(), note: z.string().default('') }), close: z.object({}) },
  })
    .evolve({ Paid: (_state, { data }) => data })
    .decide({ pay: (_state, { cents }, { emit }) => emit('Paid', { cents }), close: () => [] });

const Order = named('order');
const Invoice = named('invoice');
const schema = z.object({ orderId: z.string(), cents: z.int().default(1) });
const payments = consume('payments', { topic: 'billing.payments', schema, sends: [Order] });

// Good ones: one, several, none; defaults may be left out of a payload, and are there in the data.
payments.handle(({ data }) => {
  const typed: Expect<Equal<typeof data, { orderId: string; cents: number }>> = true;
  return typed && command(Order, data.orderId, 'pay', { cents: data.cents });
});
payments.handle(({ data, source }) =>
  source === undefined ? [] : [command(Order, data.orderId, 'close', {}), command(Order, 'all', 'close', {})],
);
consume('both', { topic: 't', type: ['a', 'b'], schema, sends: [Order, Invoice], attempts: 3 }).handle(
  ({ data }) => [command(Order, data.orderId, 'close', {}), command(Invoice, data.orderId, 'close', {})],
);

// @ts-expect-error a payload that the command does not take
command(Order, 'o-1', 'pay', { cents: 'five' });
// @ts-expect-error a command that the aggregate does not have
command(Order, 'o-1', 'refund', {});
// @ts-expect-error an aggregate that is not in sends
payments.handle(({ data }) => command(Invoice, data.orderId, 'close', {}));
// @ts-expect-error a field that the schema does not have
payments.handle(({ data }) => command(Order, data.customerId, 'close', {}));
// @ts-expect-error nothing is no answer; `[]` is
payments.handle(() => undefined);
// @ts-expect-error handlers wait for nothing
payments.handle(async ({ data }) => command(Order, data.orderId, 'close', {}));
// @ts-expect-error events are of `decide`
payments.handle(() => ({ kind: 'emitted', type: 'Paid', data: { cents: 1 } }));
// @ts-expect-error a consumer says where its commands go
consume('nowhere', { topic: 't', schema });
