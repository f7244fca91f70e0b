/** The order: every command in every status, what it leads to, and what its payload may be. */
import { given, type EventOf } from 'tidemark/testing';
import { describe, expect, test } from 'vitest';
import { Order } from './order.js';

type OrderEvent = EventOf<typeof Order>;

const line = { sku: 'tea', quantity: 2, unitPriceCents: 350 };
const place = { customerId: 'c-1', lines: [line] };

const placed = {
  type: 'OrderPlaced',
  data: { customerId: 'c-1', lines: [line], totalCents: 700, itemCount: 2 },
} as const satisfies OrderEvent;
const paid = { type: 'OrderPaid', data: { paymentId: 'p-1' } } as const satisfies OrderEvent;
const shipped = {
  type: 'OrderShipped',
  data: { carrier: 'ups', trackingNumber: 't-1' },
} as const satisfies OrderEvent;
const delivered = { type: 'OrderDelivered', data: {} } as const satisfies OrderEvent;
const cancelled = {
  type: 'OrderCancelled',
  data: { reason: 'late', totalCents: 700 },
} as const satisfies OrderEvent;

/** All the ways into each status. */
const histories: Record<string, readonly (readonly OrderEvent[])[]> = {
  none: [[]],
  placed: [[placed]],
  paid: [[placed, paid]],
  shipped: [[placed, paid, shipped]],
  delivered: [[placed, paid, shipped, delivered]],
  cancelled: [
    [placed, cancelled],
    [placed, paid, cancelled],
  ],
};

/** Sends a command with a good payload, whatever the order’s history. */
const send = {
  place: (history: readonly OrderEvent[]) => given(Order, history).when('place', place),
  pay: (history: readonly OrderEvent[]) => given(Order, history).when('pay', paid.data),
  ship: (history: readonly OrderEvent[]) => given(Order, history).when('ship', shipped.data),
  deliver: (history: readonly OrderEvent[]) => given(Order, history).when('deliver', {}),
  cancel: (history: readonly OrderEvent[]) => given(Order, history).when('cancel', { reason: 'late' }),
};
const leadsTo = { place: placed, pay: paid, ship: shipped, deliver: delivered, cancel: cancelled };

/** The table of the requirements, row by row: none, placed, paid, shipped, delivered, cancelled. */
const table: Record<keyof typeof send, readonly string[]> = {
  place: [
    'ok',
    'order_already_placed',
    'order_already_placed',
    'order_already_placed',
    'order_already_placed',
    'order_already_placed',
  ],
  pay: [
    'order_not_found',
    'ok',
    'order_already_paid',
    'order_already_paid',
    'order_already_paid',
    'order_cancelled',
  ],
  ship: [
    'order_not_found',
    'order_not_paid',
    'ok',
    'order_already_shipped',
    'order_already_shipped',
    'order_cancelled',
  ],
  deliver: [
    'order_not_found',
    'order_not_shipped',
    'order_not_shipped',
    'ok',
    'order_already_delivered',
    'order_cancelled',
  ],
  cancel: [
    'order_not_found',
    'ok',
    'ok',
    'order_already_shipped',
    'order_already_shipped',
    'order_already_cancelled',
  ],
};

const commands = ['place', 'pay', 'ship', 'deliver', 'cancel'] as const;
const cases = commands.flatMap((command) =>
  Object.keys(histories).map((status, column) => [command, status, table[command][column] ?? ''] as const),
);

describe('every command in every status', () => {
  test.each(cases)('%s when %s: %s', (command, status, expected) => {
    for (const history of histories[status] ?? []) {
      const outcome = send[command](history);
      if (expected === 'ok') outcome.then([leadsTo[command]]);
      else outcome.thenRejected(expected, { as: expected === 'order_not_found' ? 'not_found' : 'conflict' });
    }
  });
});

describe('what a command leads to', () => {
  test('the state follows the events, and the customer is the tag', () => {
    given(Order, []).when('place', place).thenState({ status: 'placed', customerId: 'c-1', totalCents: 700 });
    given(Order, [placed]).thenTags({ customerId: 'c-1' });
    given(Order, [placed, paid]).when('cancel', { reason: 'late' }).thenTags({ customerId: 'c-1' });
  });

  test('totals add up over the lines', () => {
    const lines = [line, { sku: 'cup', quantity: 3, unitPriceCents: 0 }, line];
    given(Order, [])
      .when('place', { customerId: 'c-1', lines })
      .then([{ type: 'OrderPlaced', data: { customerId: 'c-1', lines, totalCents: 1400, itemCount: 7 } }]);
  });

  test('the largest order is exact', () => {
    const lines = Array.from({ length: 100 }, () => ({
      sku: '𝒳'.repeat(200),
      quantity: 1_000,
      unitPriceCents: 10_000_000,
    }));
    given(Order, [])
      .when('place', { customerId: 'c-1', lines })
      .then([
        { type: 'OrderPlaced', data: { customerId: 'c-1', lines, totalCents: 1e12, itemCount: 100_000 } },
      ]);
  });
});

describe('what a payload may be', () => {
  const withLine = (change: object) => ({ ...place, lines: [line, { ...line, ...change }] });
  const refusedLines = [
    ['quantity', 0],
    ['quantity', 1_001],
    ['quantity', 1.5],
    ['quantity', -1],
    ['unitPriceCents', -1],
    ['unitPriceCents', 10_000_001],
    ['unitPriceCents', 0.1],
    ['sku', ''],
    ['sku', '   '],
    ['sku', 'x'.repeat(201)],
    ['sku', 'a\u0000'],
    ['sku', 'a\n'],
    ['sku', '\ud800'],
  ] as const;

  test.each(refusedLines)('a line with %s %j is refused', (field, value) => {
    given(Order, [])
      .when('place', withLine({ [field]: value }))
      .thenInvalid(`/lines/1/${field}`);
  });

  test('1 to 100 lines, no more fields than there are', () => {
    given(Order, [])
      .when('place', { ...place, lines: [] })
      .thenInvalid('/lines');
    given(Order, [])
      .when('place', { ...place, lines: Array.from({ length: 101 }, () => line) })
      .thenInvalid('/lines');
    given(Order, [])
      .when('place', withLine({ colour: 'red' }))
      .thenInvalid('/lines/1/colour');
    const more = { ...place, note: 'now' };
    given(Order, []).when('place', more).thenInvalid('/note');
    given(Order, [placed]).when('deliver', JSON.parse('{"a":1}')).thenInvalid('/a');
  });

  test.each(['', ' ', 'x'.repeat(201), 'a\u0007', '\udc00'])('a text %j is refused everywhere', (text) => {
    given(Order, [])
      .when('place', { ...place, customerId: text })
      .thenInvalid('/customerId');
    given(Order, [placed]).when('pay', { paymentId: text }).thenInvalid('/paymentId');
    given(Order, [placed, paid])
      .when('ship', { carrier: text, trackingNumber: text })
      .thenInvalid('/carrier', '/trackingNumber');
    given(Order, [placed]).when('cancel', { reason: text }).thenInvalid('/reason');
  });

  test('a text of 200 code points is taken, however many bytes', () => {
    const text = '🦆'.repeat(200);
    given(Order, [placed])
      .when('pay', { paymentId: text })
      .then([{ type: 'OrderPaid', data: { paymentId: text } }]);
    expect(text.length).toBe(400);
  });
});
