/** One order: who, how much, where it stands, and what may be done with it next. */
import { MOVE_LABELS, MOVES, type OrderRow } from './orders.js';
import { Refused } from './refused.js';
import { counted, minute, money } from './texts.js';
import { useMoves } from './use-moves.js';

function Facts({ row, titleId }: { readonly row: OrderRow; readonly titleId: string }) {
  return (
    <>
      <div className="card-line">
        <strong id={titleId} className="customer">
          {row.customerId}
          <span className="visually-hidden">
            , order {row.orderId}, {row.status}
          </span>
        </strong>
        <span className="amount">{money(row.totalCents)}</span>
      </div>
      <div className="card-line hint">
        <span className="what">
          <code>{row.orderId}</code> · {counted(row.itemCount, 'pc')}
        </span>
        <time dateTime={row.updatedAt}>{minute(row.updatedAt)}</time>
      </div>
      {row.status === 'shipped' && (
        <p className="hint">
          On its way as <code>{row.trackingNumber}</code>
        </p>
      )}
      {row.status === 'delivered' && <p className="end">Delivered</p>}
      {row.status === 'cancelled' && <p className="end">Cancelled</p>}
    </>
  );
}

/** @param props.onMove called with the order’s number before it is moved */
function Moves({ row, onMove }: { readonly row: OrderRow; readonly onMove: (orderId: string) => void }) {
  const moves = useMoves(row);
  return (
    <>
      {MOVES[row.status].length > 0 && (
        <div className="moves">
          {MOVES[row.status].map((move, index) => (
            <button
              key={move}
              type="button"
              className={index === 0 ? 'primary' : 'quiet'}
              aria-disabled={moves.isPending}
              onClick={() => {
                if (moves.isPending) return;
                onMove(row.orderId);
                void moves.go(move);
              }}
            >
              {MOVE_LABELS[move]}
              <span className="visually-hidden"> order {row.orderId}</span>
            </button>
          ))}
        </div>
      )}
      {moves.sent !== undefined && <p className="hint">Sent; it is shown here once its change arrives.</p>}
      {moves.error && <Refused error={moves.error} isPending={moves.isPending} again={moves.again} />}
    </>
  );
}

export function OrderCard({
  row,
  onMove,
}: {
  readonly row: OrderRow;
  readonly onMove: (orderId: string) => void;
}) {
  const titleId = `order-${row.orderId}`;
  return (
    <li
      className="card"
      data-order={row.orderId}
      data-status={row.status}
      aria-labelledby={titleId}
      tabIndex={-1}
    >
      <Facts row={row} titleId={titleId} />
      <Moves row={row} onMove={onMove} />
    </li>
  );
}
