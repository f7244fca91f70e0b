/** Rows from several aggregates, of many keys, and with a key that moves: the same in any interleaving of the streams. */
import { project, type ProjectedEvent } from 'tidemark/testing';
import { describe, expect, test } from 'vitest';
import { OrderList } from './order-list.js';
import { Seats } from './seats.js';
import { SkuDemand } from './sku-demand.js';

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
const items = [{ sku: 'tea', quantity: 1 }];

describe('order_list: rows from several aggregates', () => {
  type Event = ProjectedEvent<typeof OrderList>;
  const customer = (stream: string, name: string): Event => ({
    stream,
    type: 'CustomerRegistered',
    data: { name },
  });
  const order = (stream: string, customerId: string, giftFor: string | null = null): Event => ({
    stream,
    type: 'OrderPlaced',
    data: { customerId, giftFor, items },
  });
  const row = (orderId: string, customerName: string | null) => ({
    orderId,
    status: 'placed' as const,
    customerId: 'c-1',
    customerName,
    giftFor: null,
    giftForName: null,
  });

  test('a name is there whether the customer or the order was first', () => {
    project(OrderList, [customer('c-1', 'Ada'), order('o-1', 'c-1')]).toEqual(row('o-1', 'Ada'));
    project(OrderList, [order('o-1', 'c-1'), customer('c-1', 'Ada')]).toEqual(row('o-1', 'Ada'));
    project(OrderList, [order('o-1', 'c-1')]).toEqual(row('o-1', null));
    project(OrderList, [customer('c-1', 'Ada')]).toEqual(null);
  });

  test('another name is in all orders of the customer, and in no other', () => {
    const renamed: Event = { stream: 'c-1', type: 'CustomerRenamed', data: { name: 'Ada L.' } };
    const names = project(OrderList, [
      customer('c-1', 'Ada'),
      customer('c-2', 'Bob'),
      order('o-1', 'c-1'),
      order('o-2', 'c-2'),
      order('o-3', 'c-1', 'c-2'),
      renamed,
      { stream: 'o-1', type: 'OrderCancelled', data: { items } },
    ]).rows.map(({ orderId, status, customerName, giftForName }) => [
      orderId,
      status,
      customerName,
      giftForName,
    ]);
    expect(names).toEqual([
      ['o-1', 'cancelled', 'Ada L.', null],
      ['o-2', 'placed', 'Bob', null],
      ['o-3', 'placed', 'Ada L.', 'Bob'],
    ]);
  });

  test('a row that names another stream has that one’s columns; a customer who left has none', () => {
    const redirect = (giftFor: string | null): Event => ({
      stream: 'o-1',
      type: 'GiftRedirected',
      data: { giftFor },
    });
    const start = [customer('c-2', 'Bob'), customer('c-3', 'Cid'), order('o-1', 'c-1', 'c-2')];
    const nameAfter = (...more: Event[]) => project(OrderList, [...start, ...more]).row('o-1')?.giftForName;
    expect(nameAfter()).toBe('Bob');
    expect(nameAfter(redirect('c-3'))).toBe('Cid');
    expect(nameAfter(redirect(null))).toBeNull();
    expect(nameAfter(redirect('c-3'), redirect('c-2'))).toBe('Bob');
    expect(nameAfter({ stream: 'c-2', type: 'CustomerLeft', data: {} })).toBeNull();
  });
});

describe('sku_demand: one event, many rows', () => {
  type Event = ProjectedEvent<typeof SkuDemand>;
  const order = (stream: string, ...skus: readonly (readonly [string, number])[]): Event => ({
    stream,
    type: 'OrderPlaced',
    data: { customerId: 'c-1', giftFor: null, items: skus.map(([sku, quantity]) => ({ sku, quantity })) },
  });

  test('an order counts in the row of each thing, once, with all of its pieces', () => {
    project(SkuDemand, [
      order('o-1', ['tea', 2], ['cake', 1], ['tea', 3]),
      order('o-2', ['cake', 4]),
      order('o-3', ['tea', 1]),
      { stream: 'o-3', type: 'OrderCancelled', data: { items: [{ sku: 'tea', quantity: 1 }] } },
    ]).toEqual([
      { sku: 'cake', orders: 2, pieces: 5 },
      { sku: 'tea', orders: 1, pieces: 5 },
    ]);
  });

  test('fifty rows of one event', () => {
    const skus = Array.from({ length: 50 }, (_, n) => [`s-${n}`, n + 1] as const);
    const { rows } = project(SkuDemand, [order('o-1', ...skus), order('o-2', ...skus)]);
    expect(rows).toHaveLength(50);
    expect(rows.reduce((sum, { pieces }) => sum + pieces, 0)).toBe(50 * 51);
  });
});

describe('seats: a key that moves', () => {
  type Event = ProjectedEvent<typeof Seats>;
  const book = (stream: string, seat: string, second: number): Event => ({
    stream,
    type: 'SeatBooked',
    data: { customerId: 'c-1', seat },
    recordedAt: at(second),
  });
  const change = (stream: string, seat: string, second: number): Event => ({
    stream,
    type: 'SeatChanged',
    data: { seat },
    recordedAt: at(second),
  });
  const cancel = (stream: string, second: number): Event => ({
    stream,
    type: 'BookingCancelled',
    data: {},
    recordedAt: at(second),
  });
  const seated = (events: readonly Event[]) =>
    project(Seats, events).rows.map(({ seat, bookingId, bookedAt }) => [seat, bookingId, bookedAt]);

  test('the row goes from the old key and is at the new one, with all that was in it', () => {
    expect(seated([book('b-1', 'A1', 0), change('b-1', 'B2', 5)])).toEqual([['B2', 'b-1', at(0)]]);
    expect(seated([book('b-1', 'A1', 0), cancel('b-1', 5)])).toEqual([]);
  });

  test('a key that was left is another’s to take, in whatever order the two are seen', () => {
    expect(seated([book('b-1', 'A1', 0), change('b-1', 'B2', 5), book('b-2', 'A1', 6)])).toEqual([
      ['A1', 'b-2', at(6)],
      ['B2', 'b-1', at(0)],
    ]);
  });

  test('two bookings change seats with each other', () => {
    const swapped = [
      book('b-1', 'A1', 0),
      book('b-2', 'B2', 1),
      change('b-1', 'C3', 2),
      change('b-2', 'A1', 3),
      change('b-1', 'B2', 4),
    ];
    expect(seated(swapped)).toEqual([
      ['A1', 'b-2', at(1)],
      ['B2', 'b-1', at(0)],
    ]);
  });

  test('of two at one key, the one that came last is shown, and the other again when it leaves', () => {
    const both = [book('b-1', 'A1', 0), book('b-2', 'A1', 1)];
    expect(seated(both)).toEqual([['A1', 'b-2', at(1)]]);
    expect(seated([...both, change('b-2', 'B2', 2)])).toEqual([
      ['A1', 'b-1', at(0)],
      ['B2', 'b-2', at(1)],
    ]);
    expect(seated([...both, cancel('b-2', 2)])).toEqual([['A1', 'b-1', at(0)]]);
    expect(seated([...both, cancel('b-1', 2)])).toEqual([['A1', 'b-2', at(1)]]);
  });

  test('a row that moves takes its joins along', () => {
    project(Seats, [
      book('b-1', 'A1', 0),
      { stream: 'c-1', type: 'CustomerRegistered', data: { name: 'Ada' } },
      change('b-1', 'B2', 1),
      { stream: 'c-1', type: 'CustomerRenamed', data: { name: 'Ada L.' } },
    ]).toEqual({
      seat: 'B2',
      bookingId: 'b-1',
      customerId: 'c-1',
      customerName: 'Ada L.',
      bookedAt: at(0),
    });
  });
});
