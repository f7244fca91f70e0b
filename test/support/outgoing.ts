/** Entries as they leave, for whoever publishes some. */
import type { OutgoingChange, OutgoingEvent } from '../../src/broker/ports.js';

export const outgoingEvent = (
  shard: number,
  seq: number,
  some: Partial<OutgoingEvent> = {},
): OutgoingEvent => ({
  kind: 'event',
  shard,
  seq,
  epoch: '1',
  eventId: `event-${shard}-${seq}`,
  category: 'order',
  streamId: `o-${shard} ü`,
  version: seq,
  type: 'OrderPaid',
  schemaVersion: 1,
  data: `{"cents": ${seq}}`,
  tags: '{}',
  metadata: { correlationId: 'c-1', causationId: 'k-1', actor: 'anonymous' },
  recordedAt: '2026-01-02T03:04:05.678Z',
  ...some,
});

/** Events of a shard, from the first seq to the last. */
export const outgoingEvents = (shard: number, first: number, last: number): OutgoingEvent[] =>
  Array.from({ length: last - first + 1 }, (_, index) => outgoingEvent(shard, first + index));

export const outgoingChange = (
  shard: number,
  seq: number,
  some: Partial<OutgoingChange> = {},
): OutgoingChange => ({
  kind: 'change',
  log: 'totals.v1',
  shard,
  seq,
  epoch: '1',
  projection: 'totals',
  key: 'k',
  before: null,
  row: '{"id":"k"}',
  recordedAt: '2026-01-02T03:04:05.678Z',
  ...some,
});
