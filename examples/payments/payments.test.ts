/** What becomes of billing’s records; no broker is needed to say so. */
import { command } from 'tidemark';
import { consumed } from 'tidemark/testing';
import { test } from 'vitest';
import { Order } from '../orders/order.js';
import { Payments } from './payments.js';

const captured = { paymentId: 'p-1', orderId: 'o-1', amountCents: 900 };

test('a captured payment pays its order', () => {
  consumed(Payments, { data: captured }).toGive([command(Order, 'o-1', 'pay', { paymentId: 'p-1' })]);
});

test('a payment of nothing does nothing', () => {
  consumed(Payments, { data: { ...captured, amountCents: 0 } }).toGive([]);
});

test('fields that billing adds one day change nothing', () => {
  consumed(Payments, { data: { ...captured, currency: 'EUR' } }).toGive([
    command(Order, 'o-1', 'pay', { paymentId: 'p-1' }),
  ]);
});

test('what is no payment of this kind is left alone, or refused', () => {
  consumed(Payments, { data: captured, type: 'billing.payment.refunded' }).toBePassedOver();
  consumed(Payments, { data: { ...captured, amountCents: '9.00' } }).toBeRefused('/amountCents');
});
