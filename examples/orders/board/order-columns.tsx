/** The orders in columns by where they stand; one that moves glides to its place and keeps the focus. */
import { useRef } from 'react';
import type { ClientError, LiveStatus } from 'tidemark/client';
import { OrderCard } from './order-card.js';
import { COLUMNS, type OrderRow } from './orders.js';
import { useGlide } from './use-glide.js';
import { useKeptFocus } from './use-kept-focus.js';

export interface Orders {
  readonly rows: readonly OrderRow[];
  readonly status: LiveStatus;
  readonly error: ClientError | undefined;
}

export function OrderColumns({ orders }: { readonly orders: Orders }) {
  const board = useRef<HTMLDivElement>(null);
  useGlide(board, orders.rows);
  const keepFocus = useKeptFocus(board, orders.rows);
  const isEmpty = orders.rows.length === 0;
  return (
    <>
      {isEmpty && (
        <p className="empty">
          {orders.status === 'connecting' ? 'Loading the orders …' : 'No orders yet. Place the first one.'}
        </p>
      )}
      <div ref={board} className="columns" data-status={orders.status} hidden={isEmpty}>
        {COLUMNS.map(({ title, statuses, empty }) => {
          const cards = orders.rows.filter(({ status }) => statuses.includes(status));
          return (
            <section key={title} className="column" aria-label={title} data-column={title}>
              <h3>
                {title} <span className="count">{cards.length}</span>
              </h3>
              {cards.length === 0 && <p className="hint">{empty}</p>}
              <ul>
                {cards.map((row) => (
                  <OrderCard key={row.orderId} row={row} onMove={keepFocus} />
                ))}
              </ul>
            </section>
          );
        })}
      </div>
    </>
  );
}
