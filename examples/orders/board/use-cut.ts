/** Cuts the connection of this page and mends it again, and tells what had changed meanwhile. */
import { useEffect, useRef, useState } from 'react';
import type { LiveStatus } from 'tidemark/client';
import type { OrderRow } from './orders.js';
import { useClient } from './tidemark.js';

export interface CaughtUp {
  /** Orders that are new or stand elsewhere than before the cut. */
  readonly orders: number;
  /** From mending the line until everything was here. */
  readonly ms: number;
}

export interface Cut {
  /** `whole`, `cut`, or `mending` until what was missed is here. */
  readonly phase: 'whole' | 'cut' | 'mending';
  /** How the last mending went. */
  readonly caughtUp: CaughtUp | undefined;
  cut(): void;
  mend(): void;
}

function changedOrders(before: readonly OrderRow[], now: readonly OrderRow[]): number {
  const known = new Map(before.map(({ orderId, updatedAt }) => [orderId, updatedAt]));
  return now.filter(({ orderId, updatedAt }) => known.get(orderId) !== updatedAt).length;
}

export function useCut(status: LiveStatus, rows: readonly OrderRow[]): Cut {
  const client = useClient();
  const [phase, setPhase] = useState<Cut['phase']>('whole');
  const [caughtUp, setCaughtUp] = useState<CaughtUp>();
  const at = useRef({ before: rows, mendedAt: 0, hasDropped: false });
  useEffect(() => {
    if (phase === 'whole') return;
    if (status !== 'live') {
      at.current.hasDropped = true;
      return;
    }
    if (phase !== 'mending' || !at.current.hasDropped) return;
    const { before, mendedAt } = at.current;
    setCaughtUp({ orders: changedOrders(before, rows), ms: Math.round(performance.now() - mendedAt) });
    setPhase('whole');
  }, [phase, status, rows]);
  return {
    phase,
    caughtUp,
    cut() {
      at.current = { before: rows, mendedAt: 0, hasDropped: false };
      setCaughtUp(undefined);
      setPhase('cut');
      client.pause();
    },
    mend() {
      at.current.mendedAt = performance.now();
      setPhase('mending');
      client.resume();
    },
  };
}
