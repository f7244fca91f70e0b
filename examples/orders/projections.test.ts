/** The read models: one row an order, and one row a customer whatever the order in which events arrive. */
import { project, type ProjectedEvent } from 'tidemark/testing';
import { describe, expect, test } from 'vitest';
import { CustomerTotals } from './customer-totals.js';
import { OrderSummary } from './order-summary.js';

type OrderEvent = ProjectedEvent<typeof OrderSummary>;

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();

interface Moment {
  readonly stream: string;
  readonly recordedAt: string;
}
const placing = (when: Moment, customerId: string, totalCents: number, itemCount = 1): OrderEvent => ({
  ...when,
  type: 'OrderPlaced',
  data: {
    customerId,
    lines: [{ sku: 'tea', quantity: 1, unitPriceCents: 1 }],
    totalCents,
    itemCount,
  },
});
const paying = (when: Moment): OrderEvent => ({ ...when, type: 'OrderPaid', data: { paymentId: 'p' } });
const cancelling = (when: Moment, totalCents: number): OrderEvent => ({
  ...when,
  type: 'OrderCancelled',
  data: { reason: 'late', totalCents },
});

describe('order_summary', () => {
  const order = (second: number): Moment => ({ stream: 'o-1', recordedAt: at(second) });
  const asPlaced = {
    orderId: 'o-1',
    customerId: 'c-1',
    status: 'placed',
    totalCents: 700,
    itemCount: 3,
    placedAt: at(0),
    updatedAt: at(0),
    trackingNumber: null,
  } as const;

  test('follows an order to its delivery', () => {
    const events: OrderEvent[] = [placing(order(0), 'c-1', 700, 3)];
    project(OrderSummary, events).toEqual(asPlaced);
    events.push(paying(order(1)));
    project(OrderSummary, events).toEqual({ ...asPlaced, status: 'paid', updatedAt: at(1) });
    events.push({
      ...order(2),
      type: 'OrderShipped',
      data: { carrier: 'ups', trackingNumber: 't-1' },
    });
    const tracked = { ...asPlaced, trackingNumber: 't-1' } as const;
    project(OrderSummary, events).toEqual({ ...tracked, status: 'shipped', updatedAt: at(2) });
    events.push({ ...order(3), type: 'OrderDelivered', data: {} });
    project(OrderSummary, events).toEqual({ ...tracked, status: 'delivered', updatedAt: at(3) });
  });

  test('a cancelled order keeps its row', () => {
    project(OrderSummary, [placing(order(0), 'c-1', 700, 3), cancelling(order(5), 700)]).toEqual({
      ...asPlaced,
      status: 'cancelled',
      updatedAt: at(5),
    });
  });

  test('each order has its own row', () => {
    const { rows } = project(OrderSummary, [
      placing({ stream: 'o-2', recordedAt: at(0) }, 'c-1', 1),
      placing({ stream: 'o-1', recordedAt: at(1) }, 'c-1', 2),
      paying({ stream: 'o-2', recordedAt: at(2) }),
    ]);
    expect(rows.map((row) => [row.orderId, row.status, row.totalCents])).toEqual([
      ['o-1', 'placed', 2],
      ['o-2', 'paid', 1],
    ]);
  });
});

describe('customer_totals', () => {
  test('counts what is not cancelled; the latest placing counts either way', () => {
    project(CustomerTotals, [
      placing({ stream: 'o-1', recordedAt: at(0) }, 'c-1', 100),
      placing({ stream: 'o-2', recordedAt: at(1) }, 'c-2', 50),
      placing({ stream: 'o-3', recordedAt: at(2) }, 'c-1', 300),
      paying({ stream: 'o-1', recordedAt: at(3) }),
      cancelling({ stream: 'o-3', recordedAt: at(4) }, 300),
      cancelling({ stream: 'o-2', recordedAt: at(5) }, 50),
    ]).toEqual([
      { customerId: 'c-1', orderCount: 1, totalCents: 100, lastOrderAt: at(2) },
      { customerId: 'c-2', orderCount: 0, totalCents: 0, lastOrderAt: at(1) },
    ]);
  });

  test('folds the same in any interleaving of many orders', () => {
    const events: OrderEvent[] = [];
    for (let n = 0; n < 12; n++) {
      const when = { stream: `o-${n}`, recordedAt: at((n * 7) % 12) };
      events.push(placing(when, `c-${n % 3}`, 10 ** n));
      if (n % 2 === 0) events.push(paying(when));
      if (n % 4 === 0) events.push(cancelling(when, 10 ** n));
    }
    const { rows } = project(CustomerTotals, events, { tries: 300 });
    expect(rows.map(({ customerId, orderCount }) => [customerId, orderCount])).toEqual([
      ['c-0', 3],
      ['c-1', 3],
      ['c-2', 3],
    ]);
  });

  test('no number of valid orders halts it, and it comes back to nothing', () => {
    const largest = 1e12;
    const events: OrderEvent[] = [];
    for (let n = 0; n < 9_010; n++) {
      events.push(placing({ stream: `o-${n}`, recordedAt: at(0) }, 'c-1', largest));
    }
    const { row } = project(CustomerTotals, events, { tries: 0 });
    expect(row('c-1')).toMatchObject({ orderCount: 9_010, totalCents: 9_010 * largest });
    expect(9_010 * largest).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
    for (let n = 0; n < 9_010; n++) events.push(cancelling({ stream: `o-${n}`, recordedAt: at(1) }, largest));
    expect(project(CustomerTotals, events, { tries: 0 }).row('c-1')).toEqual({
      customerId: 'c-1',
      orderCount: 0,
      totalCents: 0,
      lastOrderAt: at(0),
    });
  });
});
