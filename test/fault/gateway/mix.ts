/** Subscribers as an application has them: most watch a row or a customer, some everything. */
import type { Watched } from './fleet/messages.js';

const CUSTOMERS = 12;
/** Rows that are watched one by one; they come into being as the load goes on. */
const ORDERS = 150;
const STATUSES = ['placed', 'paid', 'shipped', 'delivered', 'cancelled'];

export function mixOf(count: number, below: (below: number) => number): Watched[] {
  const customer = (): string => `c-${below(CUSTOMERS)}`;
  return Array.from({ length: count }, (_, index): Watched => {
    // Of everything there is at least one.
    if (index % 100 === 0) return { view: 'order_summary' };
    if (index % 100 === 1) return { view: 'papers' };
    if (index % 100 === 2) return { view: 'customer_totals' };
    const kind = below(100);
    if (kind < 35) return { view: 'order_summary', key: `o-${below(ORDERS)}` };
    if (kind < 60) return { view: 'order_summary', where: { customerId: customer() } };
    if (kind < 85) {
      const status = STATUSES[below(STATUSES.length)] ?? 'placed';
      return { view: 'order_summary', where: { customerId: customer(), status } };
    }
    if (kind < 95) return { view: 'customer_totals', key: customer() };
    return { view: 'papers', where: { customerId: customer() } };
  });
}
