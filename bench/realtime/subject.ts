/** What the realtime benchmarks measure: a server that clients connect to, and that may publish changes to all of them. */
import type { Greeting } from '../support/clients.js';

export interface RealtimeSubject {
  /** How its clients begin. */
  readonly greeting: Greeting;
  /** Publishes so many changes of about 300 bytes to every client, each as a frame, in this turn of the loop. */
  publish(changes: number): void;
}

export type OpenSubject = (env: Readonly<Record<string, string>>) => Promise<RealtimeSubject>;

/** A row as the orders example has them. */
export const ROW = JSON.stringify({
  orderId: 'o-1042',
  customerId: 'c-1',
  status: 'placed',
  totalCents: 4_250,
  itemCount: 3,
  placedAt: '2026-11-22T12:00:00.000Z',
  updatedAt: '2026-11-22T12:00:00.000Z',
  trackingNumber: null,
});

/** The frame that Tidemark sends for a change of it; peers send the very same. */
export const FRAME = `{"t":"chg","ch":1,"at":1795348800000,"d":[[3,1041,1042,[["o-1042",1042,${ROW}]]]]}`;

/** Clients that only listen: nothing is sent, and an open socket is ready. */
export const listening = (port: number): Greeting => ({
  port,
  path: '/',
  sends: [],
  readyAfter: '',
  resumes: false,
});
