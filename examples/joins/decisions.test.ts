/** What customers, orders and bookings decide. */
import { given } from 'tidemark/testing';
import { test } from 'vitest';
import { Booking } from './booking.js';
import { Customer } from './customer.js';
import { Order } from './order.js';

const registered = { type: 'CustomerRegistered', data: { name: 'Ada' } } as const;
const items = [{ sku: 'tea', quantity: 2 }];
const placed = { type: 'OrderPlaced', data: { customerId: 'c-1', giftFor: null, items } } as const;
const booked = { type: 'SeatBooked', data: { customerId: 'c-1', seat: 'A1' } } as const;

test('a customer is registered once, renamed to something else, and may come back', () => {
  given(Customer, []).when('register', { name: 'Ada' }).then([registered]);
  given(Customer, [registered]).when('register', { name: 'Eve' }).thenRejected('customer_exists');
  given(Customer, [registered])
    .when('rename', { name: 'Ada L.' })
    .then([{ type: 'CustomerRenamed', data: { name: 'Ada L.' } }]);
  given(Customer, [registered]).when('rename', { name: 'Ada' }).then([]);
  given(Customer, []).when('rename', { name: 'Ada' }).thenRejected('customer_not_found', { as: 'not_found' });
  const left = { type: 'CustomerLeft', data: {} } as const;
  given(Customer, [registered]).when('leave', {}).then([left]);
  given(Customer, [registered, left]).when('register', { name: 'Ada' }).then([registered]);
  given(Customer, [registered, left])
    .when('leave', {})
    .thenRejected('customer_not_found', { as: 'not_found' });
});

test('an order is placed once; what is taken back stands in the event', () => {
  given(Order, []).when('place', { customerId: 'c-1', items }).then([placed]);
  given(Order, [placed]).when('place', { customerId: 'c-1', items }).thenRejected('order_already_placed');
  given(Order, [placed])
    .when('redirect', { giftFor: 'c-2' })
    .then([{ type: 'GiftRedirected', data: { giftFor: 'c-2' } }]);
  const cancelled = { type: 'OrderCancelled', data: { items } } as const;
  given(Order, [placed]).when('cancel', {}).then([cancelled]);
  given(Order, [placed, cancelled]).when('cancel', {}).thenRejected('order_not_open');
  given(Order, [placed, cancelled]).when('redirect', { giftFor: null }).thenRejected('order_not_open');
});

test('a booking has one seat at a time', () => {
  given(Booking, []).when('book', { customerId: 'c-1', seat: 'A1' }).then([booked]);
  given(Booking, [booked]).when('book', { customerId: 'c-1', seat: 'B2' }).thenRejected('booking_exists');
  given(Booking, [booked])
    .when('change', { seat: 'B2' })
    .then([{ type: 'SeatChanged', data: { seat: 'B2' } }]);
  given(Booking, [booked]).when('change', { seat: 'A1' }).then([]);
  given(Booking, [booked])
    .when('cancel', {})
    .then([{ type: 'BookingCancelled', data: {} }]);
  given(Booking, []).when('cancel', {}).thenRejected('booking_not_found', { as: 'not_found' });
  given(Booking, []).when('change', { seat: 'A1' }).thenRejected('booking_not_found', { as: 'not_found' });
});
