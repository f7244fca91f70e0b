/** What somebody has filled in so far, what is wrong with it, and how placing it went. */
import { useRef, useState, type FormEvent } from 'react';
import { faultsOf, FRESH, newKey, newOrderId, orderOf, PRODUCTS, type Faults } from './order-form.js';
import { isUnknown } from './texts.js';
import { useCommand } from './tidemark.js';

const NONE: Faults = {};

/** An order as it was sent, to be sent again as it was. */
interface Sent {
  readonly orderId: string;
  readonly order: ReturnType<typeof orderOf>;
  readonly idempotencyKey: string;
}

/**
 * @param customerId who orders; undefined: whoever is filled in
 * @param isThere whether an order of this number is shown on the board
 */
export function useOrderForm(customerId: string | undefined, isThere: (orderId: string) => boolean) {
  const [form, setForm] = useState(customerId === undefined ? FRESH : { ...FRESH, customerId });
  const [faults, setFaults] = useState(NONE);
  /** The order that was sent last. */
  const [last, setLast] = useState<Sent>();
  const place = useCommand('order', 'place');
  const element = useRef<HTMLFormElement>(null);

  /** The first field with a fault gets the focus. */
  function focusOn(fault: string) {
    const name = fault === 'lines' ? PRODUCTS[0]?.sku : fault;
    element.current?.querySelector<HTMLInputElement>(`[name="${name}"]`)?.focus();
  }
  async function submit(event: FormEvent) {
    event.preventDefault();
    if (place.isPending) return;
    const found = faultsOf(form);
    setFaults(found);
    setLast(undefined);
    place.reset();
    const [wrong] = Object.keys(found);
    if (wrong !== undefined) return focusOn(wrong);
    await send({ orderId: newOrderId(), order: orderOf(form), idempotencyKey: newKey() });
  }
  async function send(sent: Sent) {
    setLast(sent);
    const { orderId, order, idempotencyKey } = sent;
    await place.send(orderId, order, { idempotencyKey });
  }
  function change(next: Partial<typeof form>) {
    const changed = { ...form, ...next };
    setForm(changed);
    // Faults are told when it is sent, and go as they are mended.
    if (faults !== NONE) setFaults(faultsOf(changed));
  }
  const { isPending, error, result } = place;
  // Nobody else has this number: where it is seen, it was placed, whatever became of the answer.
  const hasArrived = last !== undefined && error !== undefined && isUnknown(error) && isThere(last.orderId);
  return {
    form,
    faults,
    element,
    change,
    submit,
    isPending,
    error: hasArrived ? undefined : error,
    /** The order that was placed last. */
    placed: result || hasArrived ? last?.orderId : undefined,
    again() {
      if (last) void send(last);
    },
  };
}
