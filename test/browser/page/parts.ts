/** Components that use the hooks as pages do; run in a browser by `main.ts`, and rendered on a server by the tests. */
import { createElement as h, useLayoutEffect, useRef, useState } from 'react';
import { createHooks } from 'tidemark/react';
import type app from '../../../examples/orders/app.js';
import type { OrderSummaryRow } from '../../../examples/orders/order-summary.js';
import type { z } from 'zod';

const { TidemarkProvider, useCommand, useLive, useQuery } = createHooks<typeof app>();
export { TidemarkProvider };
export type Row = z.output<typeof OrderSummaryRow>;

const MINE = { where: { customerId: 'hooks' } } as const;

const told = (rows: readonly Row[]): string =>
  rows.map(({ orderId, status }) => `${orderId}:${status}`).join(' ');

/** The orders of one customer, as text. */
export function Orders({
  name,
  initial,
}: {
  readonly name: string;
  readonly initial?: readonly Row[] | undefined;
}) {
  const { rows, status } = useLive('order_summary', MINE, { initial });
  return h('p', { 'data-orders': name, 'data-status': status }, told(rows));
}

/** One of many that are slow to render, so that React stops in between. */
function Slow(props: { readonly n: number; readonly round: number; readonly look: () => void }) {
  const { n, round, look } = props;
  // Everything is on the page when the first of them is told.
  useLayoutEffect(() => {
    if (n === 0) look();
  });
  const { rows } = useLive('order_summary', MINE);
  const end = performance.now() + 4;
  while (performance.now() < end);
  return h('li', { 'data-round': round, 'data-slow': n }, told(rows));
}

/** @param props.look called after each commit */
export function Wall({ round, look }: { readonly round: number; readonly look: () => void }) {
  const all = Array.from({ length: 25 }, (_, n) => h(Slow, { key: n, n, round, look }));
  return h('ul', {}, all);
}

/** A query whose input is typed into a field, and a command that it has to follow. */
export function Asking() {
  const [customerId, setCustomer] = useState('hooks');
  const [after, setAfter] = useState<string>();
  const count = useRef(0);
  const orders = useQuery('customer_orders', customerId === '' ? null : { customerId }, { after });
  const place = useCommand('order', 'place');
  return h('section', {}, [
    h('input', {
      key: 'who',
      'aria-label': 'who',
      value: customerId,
      onChange: ({ target }: { readonly target: { readonly value: string } }) => setCustomer(target.value),
    }),
    h('output', { key: 'total', 'data-total': true }, orders.data ? String(orders.data.total) : 'none'),
    h('output', { key: 'error', 'data-error': true }, orders.error?.code ?? 'fine'),
    h('output', { key: 'loading', 'data-loading': true }, String(orders.isLoading)),
    h(
      'output',
      { key: 'place', 'data-place': true },
      place.error?.code ?? place.result?.streamId ?? 'not yet',
    ),
    h(
      'button',
      {
        key: 'place-new',
        onClick: () => {
          const id = `o-asked-${++count.current}`;
          const lines = [{ sku: 'tea', quantity: 1, unitPriceCents: 450 }];
          void place.send(id, { customerId: 'asking', lines }).then(({ result }) => {
            setCustomer('asking');
            setAfter(result?.token);
          });
        },
      },
      'place',
    ),
    h(
      'button',
      { key: 'pay-none', onClick: () => void place.send('o-asked-1', { customerId: 'asking', lines: [] }) },
      'place nothing',
    ),
    h('button', { key: 'refresh', onClick: orders.refresh }, 'refresh'),
  ]);
}
