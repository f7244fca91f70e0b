/** What happened, newest first: each change as it came over the line, and how the line itself was. */
import { useEffect, useRef, useState } from 'react';
import type { Orders } from './order-columns.js';
import type { OrderRow } from './orders.js';
import { clock, counted, money } from './texts.js';

interface Entry {
  readonly id: number;
  readonly at: number;
  readonly text: string;
}

const KEPT = 30;

const LINE = {
  connecting: 'Connecting',
  live: 'Live: from here on changes come as they happen',
  stale: 'The line is down: what is shown may be old',
  closed: 'The line is closed',
} as const;

function happened(before: ReadonlyMap<string, OrderRow>, rows: readonly OrderRow[]): string[] {
  return rows.flatMap((row) => {
    const was = before.get(row.orderId);
    if (was?.updatedAt === row.updatedAt && was.status === row.status) return [];
    const what = was ? row.status : `placed, ${money(row.totalCents)}`;
    return [`${row.orderId} of ${row.customerId}: ${was || row.status === 'placed' ? what : row.status}`];
  });
}

export function Activity(props: {
  readonly orders: Orders;
  /** Much is going on: it is not read out. */
  readonly isQuiet: boolean;
}) {
  const { rows, status } = props.orders;
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const last = useRef<{ rows?: ReadonlyMap<string, OrderRow>; status?: string; count: number }>({ count: 0 });
  useEffect(() => {
    const { rows: before, status: was } = last.current;
    const texts: string[] = [];
    if (status !== 'connecting') {
      texts.push(...(before ? happened(before, rows) : [`Snapshot of ${counted(rows.length, 'order')}`]));
      last.current.rows = new Map(rows.map((row) => [row.orderId, row]));
    }
    if (was !== status) texts.push(LINE[status]);
    last.current.status = status;
    if (texts.length === 0) return;
    const at = Date.now();
    const fresh = texts.map((text) => ({ id: ++last.current.count, at, text })).reverse();
    setEntries((kept) => [...fresh, ...kept].slice(0, KEPT));
  }, [rows, status]);
  return (
    <section className="panel activity" aria-labelledby="activity-title">
      <h2 id="activity-title">What came over the line</h2>
      <div
        role="log"
        aria-live={props.isQuiet ? 'off' : 'polite'}
        aria-labelledby="activity-title"
        tabIndex={0}
      >
        <ol>
          {entries.map(({ id, at, text }) => (
            <li key={id}>
              <time>{clock(at)}</time> {text}
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}
