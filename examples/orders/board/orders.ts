/** What the page knows of orders: what may be done with one in which status, and what its texts are. */
import type { z } from 'zod';
import type { OrderSummaryRow } from '../order-summary.js';

export type OrderRow = z.output<typeof OrderSummaryRow>;
export type Status = OrderRow['status'];

/** Where an order goes next. */
export type Move = 'pay' | 'ship' | 'deliver' | 'cancel';

export const MOVES: Readonly<Record<Status, readonly Move[]>> = {
  placed: ['pay', 'cancel'],
  paid: ['ship', 'cancel'],
  shipped: ['deliver'],
  delivered: [],
  cancelled: [],
};

export const MOVE_LABELS: Readonly<Record<Move, string>> = {
  pay: 'Pay',
  ship: 'Ship',
  deliver: 'Deliver',
  cancel: 'Cancel',
};

export interface Column {
  readonly title: string;
  readonly statuses: readonly Status[];
  readonly empty: string;
}

export const COLUMNS: readonly Column[] = [
  { title: 'Placed', statuses: ['placed'], empty: 'Nothing waits for its payment.' },
  { title: 'Paid', statuses: ['paid'], empty: 'Nothing waits to be shipped.' },
  { title: 'Shipped', statuses: ['shipped'], empty: 'Nothing is on its way.' },
  { title: 'Done', statuses: ['delivered', 'cancelled'], empty: 'Nothing is done yet.' },
];
