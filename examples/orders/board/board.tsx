/** The whole board: who is connected, a form, the newest orders by where they stand, what each customer spent, what happened. */
import { useEffect, useState } from 'react';
import type { LiveState } from 'tidemark/client';
import { Activity } from './activity.js';
import { Customers } from './customers.js';
import { Header } from './header.js';
import type { Session } from './session.js';
import { OrderColumns } from './order-columns.js';
import { PlaceOrder } from './place-order.js';
import { useLive } from './tidemark.js';
import { Traffic } from './traffic.js';
import { useCut } from './use-cut.js';

const NEWEST = 50;

interface Caller {
  readonly caller: Session['caller'];
  readonly leave: (refused?: string) => void;
}

/** Ends the session once the token is not accepted any more that was taken when the page began. */
function useLeave({ caller, leave }: Caller, views: readonly Pick<LiveState<unknown>, 'status' | 'error'>[]) {
  const isNobody = views.some(
    ({ status, error }) => status === 'closed' && error?.code === 'unauthenticated',
  );
  useEffect(() => {
    if (caller && isNobody) leave('ended');
  }, [caller, isNobody, leave]);
}

/** @param props.leave ends the session; told why where it was not the caller who wanted that */
export function Board(props: Caller) {
  const { caller, leave } = props;
  const own = caller?.role === 'customer' ? caller.id : undefined;
  const [customerId, choose] = useState<string>();
  const orders = useLive('order_summary', {
    sort: '-placedAt',
    limit: NEWEST,
    ...(customerId === undefined ? {} : { where: { customerId } }),
  });
  // Whoever may see one row alone asks for that one.
  const totals = useLive('customer_totals', own === undefined ? { limit: 100 } : { key: own });
  const cut = useCut(orders.status, orders.rows);
  const [isBusy, setBusy] = useState(false);
  useLeave(props, [orders, totals]);
  return (
    <>
      <a className="skip" href="#orders">
        Skip to the orders
      </a>
      <Header
        status={orders.status}
        error={orders.error}
        cut={cut}
        caller={caller?.id}
        leave={() => leave()}
      />
      <main>
        <aside>
          <PlaceOrder
            customers={totals.rows}
            own={own}
            isThere={(sent) => orders.rows.some(({ orderId }) => orderId === sent)}
          />
          {own === undefined && <Traffic isOn={isBusy} onChange={setBusy} />}
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
