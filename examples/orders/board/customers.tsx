/** What each customer ordered and spent, live; choosing one shows that customer’s orders only. */
import type { LiveStatus } from 'tidemark/client';
import { counted, money } from './texts.js';

interface Totals {
  readonly customerId: string;
  readonly orderCount: number;
  readonly totalCents: number;
}

export function Customers(props: {
  readonly totals: { readonly rows: readonly Totals[]; readonly status: LiveStatus };
  readonly chosen: string | undefined;
  readonly choose: (customerId: string | undefined) => void;
}) {
  const { totals, chosen, choose } = props;
  const rows = totals.rows.toSorted(
    (a, b) => b.totalCents - a.totalCents || (a.customerId < b.customerId ? -1 : 1),
  );
  const most = rows[0]?.totalCents ?? 0;
  return (
    <section className="panel who" aria-labelledby="customers-title">
      <h2 id="customers-title">Customers</h2>
      {rows.length === 0 && (
        <p className="hint">{totals.status === 'connecting' ? 'Loading …' : 'Nobody has ordered yet.'}</p>
      )}
      <ul className="customers">
        {rows.map(({ customerId, orderCount, totalCents }) => (
          <li key={customerId}>
            <button
              type="button"
              aria-pressed={customerId === chosen}
              onClick={() => choose(customerId === chosen ? undefined : customerId)}
            >
              <span className="card-line">
                <span className="customer">{customerId}</span>
                <span className="amount">{money(totalCents)}</span>
              </span>
              <span className="card-line hint">
                <progress max={Math.max(1, most)} value={totalCents} aria-hidden="true" />
                <span>{counted(orderCount, 'order')}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
