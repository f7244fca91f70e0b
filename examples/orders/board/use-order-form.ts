/** What somebody has filled in so far, what is wrong with it, and how placing it went. */
import { useRef, useState, type FormEvent } from 'react';
import { faultsOf, FRESH, newOrderId, orderOf, PRODUCTS, type Faults } from './order-form.js';
import { useCommand } from './tidemark.js';

const NONE: Faults = {};

/** @param customerId who orders; undefined: whoever is filled in */
export function useOrderForm(customerId: string | undefined) {
  const [form, setForm] = useState(customerId === undefined ? FRESH : { ...FRESH, customerId });
  const [faults, setFaults] = useState(NONE);
  /** The order that was placed last. */
  const [placed, setPlaced] = useState<string>();
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
    setPlaced(undefined);
    const [wrong] = Object.keys(found);
    if (wrong !== undefined) return focusOn(wrong);
    const orderId = newOrderId();
    const { ok } = await place.send(orderId, orderOf(form));
    if (ok) setPlaced(orderId);
  }
  function change(next: Partial<typeof form>) {
    const changed = { ...form, ...next };
    setForm(changed);
    // Faults are told when it is sent, and go as they are mended.
    if (faults !== NONE) setFaults(faultsOf(changed));
  }
  return { form, faults, placed, element, change, submit, isPending: place.isPending, error: place.error };
}
