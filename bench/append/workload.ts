/** What every subject appends, and what a subject is. */
import { createHash, randomUUID } from 'node:crypto';
import type { NewEvent } from '../../src/event-store/types.js';

export interface Subject {
  readonly name: string;
  /** Appends one event to a stream that has none. */
  append(streamId: string): Promise<void>;
  close(): Promise<void>;
}

/** JSON text of about 250 bytes, as an order line might be. */
const DATA = JSON.stringify({
  customerId: 'customer-000001',
  note: 'x'.repeat(150),
  lines: [{ sku: 'sku-1', quantity: 2, unitPriceCents: 1999 }],
});

export function newEvent(): NewEvent {
  // Not of version 7 as in an application: its source of randomness would be a seventh of what is measured here.
  const id = randomUUID();
  return {
    eventId: id,
    type: 'OrderPlaced',
    schemaVersion: 1,
    data: DATA,
    tags: { customerId: 'customer-000001' },
    metadata: { correlationId: id, causationId: id, actor: 'anonymous' },
  };
}

export const requestHash = (streamId: string): Buffer =>
  createHash('sha256').update(streamId).update(DATA).digest();
