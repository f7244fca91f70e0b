/** Others who order and pay, made up: something moves, and goes on while this page is cut off. */
import { useEffect, useId } from 'react';
import type { OrderClient } from './tidemark.js';
import { newOrderId, PRODUCTS } from './order-form.js';
import { useClient } from './tidemark.js';

const CUSTOMERS = ['ada', 'bela', 'chidi', 'dora', 'emre', 'fay'];
const EVERY_MS = 1_200;
/** A page that is forgotten does not fill a disk. */
const ROUNDS = 250;
/** Orders on their way at the most. */
const OPEN = 8;

const oneOf = <T,>(list: readonly T[]): T | undefined => list[Math.floor(Math.random() * list.length)];

/** Places an order or moves one of those that it placed; what is refused was moved by somebody else. */
function makeTraffic(client: OrderClient): () => Promise<void> {
  const paid = new Map<string, 'placed' | 'paid' | 'shipped'>();
  async function place() {
    const orderId = newOrderId();
    const line = oneOf(PRODUCTS);
    if (!line) return;
    const lines = [
      { sku: line.sku, unitPriceCents: line.unitPriceCents, quantity: 1 + Math.floor(Math.random() * 4) },
    ];
    await client.command('order', orderId, 'place', { customerId: oneOf(CUSTOMERS) ?? 'ada', lines });
    paid.set(orderId, 'placed');
  }
  async function move(orderId: string) {
    const status = paid.get(orderId);
    paid.delete(orderId);
    if (status === 'placed') {
      if (Math.random() < 0.15)
        return void (await client.command('order', orderId, 'cancel', { reason: 'changed_mind' }));
      await client.command('order', orderId, 'pay', { paymentId: `p-${orderId}` });
      paid.set(orderId, 'paid');
    } else if (status === 'paid') {
      const trackingNumber = `T${orderId.slice(2).toUpperCase()}`;
      await client.command('order', orderId, 'ship', { carrier: 'post', trackingNumber });
      paid.set(orderId, 'shipped');
    } else {
      await client.command('order', orderId, 'deliver', {});
    }
  }
  return async () => {
    const orderId = oneOf([...paid.keys()]);
    const mayPlace = paid.size < OPEN && Math.random() < 0.5;
    await (orderId === undefined || mayPlace ? place() : move(orderId));
  };
}

export function Traffic(props: { readonly isOn: boolean; readonly onChange: (isOn: boolean) => void }) {
  const { isOn, onChange } = props;
  const client = useClient();
  const id = useId();
  useEffect(() => {
    if (!isOn) return;
    const round = makeTraffic(client);
    let rounds = 0;
    const timer = setInterval(() => {
      rounds++;
      if (rounds > ROUNDS) onChange(false);
      // A round that failed is none; the next one comes anyway.
      else round().catch(() => undefined);
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [client, isOn, onChange]);
  return (
    <section className="panel traffic" aria-label="Made-up customers">
      <label htmlFor={id}>
        Made-up customers
        <span className="hint">They order and pay, also while this page is cut off.</span>
      </label>
      <input
        id={id}
        type="checkbox"
        role="switch"
        checked={isOn}
        onChange={(event) => onChange(event.target.checked)}
      />
    </section>
  );
}
