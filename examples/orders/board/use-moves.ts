/** What may be done with one order, as commands. */
import { useState } from 'react';
import type { ClientError } from 'tidemark/client';
import type { Move, OrderRow } from './orders.js';
import { newKey } from './order-form.js';
import { useCommand } from './tidemark.js';

export interface Moves {
  readonly isPending: boolean;
  /** Why the last move was refused, as long as the order has not changed since. */
  readonly error: ClientError | undefined;
  /** The move that was done and is not seen here yet. */
  readonly sent: Move | undefined;
  go(move: Move): Promise<void>;
  /** The last one once more; it happens once. */
  again(): void;
}

interface Last {
  readonly move: Move;
  readonly key: string;
  /** As the order was when it was moved. */
  readonly updatedAt: string;
  readonly error: ClientError | undefined;
}

interface Options {
  readonly idempotencyKey: string;
}

export function useMoves({ orderId, updatedAt }: OrderRow): Moves {
  const pay = useCommand('order', 'pay');
  const ship = useCommand('order', 'ship');
  const deliver = useCommand('order', 'deliver');
  const cancel = useCommand('order', 'cancel');
  const [last, setLast] = useState<Last>();
  const send = {
    pay: (options: Options) => pay.send(orderId, { paymentId: `p-${orderId}` }, options),
    ship: (options: Options) =>
      ship.send(orderId, { carrier: 'post', trackingNumber: `T${orderId.slice(2).toUpperCase()}` }, options),
    deliver: (options: Options) => deliver.send(orderId, {}, options),
    cancel: (options: Options) => cancel.send(orderId, { reason: 'changed_mind' }, options),
  };
  async function go(move: Move, key = newKey()): Promise<void> {
    setLast(undefined);
    const { error } = await send[move]({ idempotencyKey: key });
    setLast({ move, key, updatedAt, error });
  }
  const current = last?.updatedAt === updatedAt ? last : undefined;
  return {
    isPending: [pay, ship, deliver, cancel].some(({ isPending }) => isPending),
    error: current?.error,
    sent: current && !current.error ? current.move : undefined,
    go: (move) => go(move),
    again() {
      if (current) void go(current.move, current.key);
    },
  };
}
