/** Pages cut into batches. */
import { expect, it } from 'vitest';
import type { OutgoingEvent } from '../../../src/broker/ports.js';
import { batchesOf } from '../../../src/outbox/batches.js';
import { randomFrom } from '../../support/random.js';

const event = (seq: number, chars: number): OutgoingEvent => ({
  kind: 'event',
  category: 'order',
  shard: 0,
  seq,
  epoch: 'e',
  eventId: 'id',
  streamId: 's',
  version: seq,
  type: 'T',
  schemaVersion: 1,
  data: JSON.stringify('ä'.repeat(chars)),
  tags: '{}',
  metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
  recordedAt: '2026-01-01T00:00:00.000Z',
});

it('batches hold all entries in their order, and no more than they may; a large one goes alone', () => {
  const seed = Date.now() % 2 ** 31;
  console.log(`seed ${seed}`);
  const below = randomFrom(seed);
  const random = { int: (from: number, to: number) => from + below(to - from + 1) };
  for (let round = 0; round < 200; round++) {
    const events = Array.from({ length: random.int(0, 40) }, (_, n) => event(n + 1, random.int(0, 3_000)));
    const limits = { maxBytes: random.int(500, 20_000), maxEntries: random.int(1, 10) };
    const batches = [...batchesOf(events, limits)];
    expect(batches.flatMap(({ entries }) => entries)).toEqual(events);
    for (const { entries, bytes } of batches) {
      expect(entries.length).toBeGreaterThan(0);
      expect(entries.length).toBeLessThanOrEqual(limits.maxEntries);
      if (entries.length > 1) expect(bytes).toBeLessThanOrEqual(limits.maxBytes);
      // Counted in bytes of UTF-8, never too few.
      expect(bytes).toBeGreaterThanOrEqual(
        Buffer.byteLength(JSON.stringify(entries.map(({ data }) => data))),
      );
    }
  }
});
