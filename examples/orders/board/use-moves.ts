/** What may be done with one order, as commands. */
import { useState } from 'react';
import type { ClientError } from 'tidemark/client';
import type { Move, OrderRow } from './orders.js';
import { useCommand } from './tidemark.js';

export interface Moves {
  readonly isPending: boolean;
  /** Why the last move was refused, as long as the order has not changed since. */
  readonly error: ClientError | undefined;
  /** The move that was done and is not seen here yet. */
  readonly sent: Move | undefined;
  go(move: Move): Promise<void>;
}

interface Last {
  readonly move: Move;
  /** As the order was when it was moved. */
  readonly updatedAt: string;
  readonly error: ClientError | undefined;
}

export function useMoves({ orderId, updatedAt }: OrderRow): Moves {
  const pay = useCommand('order', 'pay');
  const ship = useCommand('order', 'ship');
  const deliver = useCommand('order', 'deliver');
  const cancel = useCommand('order', 'cancel');
  const [last, setLast] = useState<Last>();
  const send = {
    pay: () => pay.send(orderId, { paymentId: `p-${orderId}` }),
    ship: () => ship.send(orderId, { carrier: 'post', trackingNumber: `T${orderId.slice(2).toUpperCase()}` }),
    deliver: () => deliver.send(orderId, {}),
    cancel: () => cancel.send(orderId, { reason: 'changed_mind' }),
  };
  const current = last?.updatedAt === updatedAt ? last : undefined;
  return {
    isPending: [pay, ship, deliver, cancel].some(({ isPending }) => isPending),
    error: current?.error,
    sent: current && !current.error ? current.move : undefined,
    async go(move) {
      setLast(undefined);
      const { error } = await send[move]();
      setLast({ move, updatedAt, error });
    },
  };
}
