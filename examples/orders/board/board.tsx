/** The whole board: who is connected, a form, the newest orders by where they stand, what each customer spent, what happened. */
import { useState } from 'react';
import { Activity } from './activity.js';
import { Customers } from './customers.js';
import { Header } from './header.js';
import { OrderColumns } from './order-columns.js';
import { PlaceOrder } from './place-order.js';
import { useLive } from './tidemark.js';
import { Traffic } from './traffic.js';
import { useCut } from './use-cut.js';

const NEWEST = 50;

export function Board() {
  const [customerId, choose] = useState<string>();
  const orders = useLive('order_summary', {
    sort: '-placedAt',
    limit: NEWEST,
    ...(customerId === undefined ? {} : { where: { customerId } }),
  });
  const totals = useLive('customer_totals', { limit: 100 });
  const cut = useCut(orders.status, orders.rows);
  const [isBusy, setBusy] = useState(false);
  return (
    <>
      <a className="skip" href="#orders">
        Skip to the orders
      </a>
      <Header status={orders.status} error={orders.error} cut={cut} />
      <main>
        <aside>
          <PlaceOrder customers={totals.rows} />
          <Traffic isOn={isBusy} onChange={setBusy} />
        </aside>
        <section className="orders" id="orders" aria-labelledby="orders-title" tabIndex={-1}>
          <header className="section-head">
            <h2 id="orders-title">{customerId === undefined ? 'Orders' : `Orders of ${customerId}`}</h2>
            <p className="hint">
              {customerId === undefined && `The newest ${NEWEST}. Open this page twice and watch both.`}
              {customerId !== undefined && (
                <button type="button" className="link" onClick={() => choose(undefined)}>
                  Show everybody’s
                </button>
              )}
            </p>
          </header>
          <OrderColumns orders={orders} />
          <Activity key={customerId ?? ''} orders={orders} isQuiet={isBusy} />
        </section>
        <Customers totals={totals} chosen={customerId} choose={choose} />
      </main>
    </>
  );
}
