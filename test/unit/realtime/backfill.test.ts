/** What is read for replays is bounded over all shards together, not for each. */
import { expect, it } from 'vitest';
import type { LogPage } from '../../../src/event-store/types.js';
import type { ChangeEntry } from '../../../src/projections/types.js';
import { Backfill } from '../../../src/realtime/backfill.js';
import { Ring } from '../../../src/realtime/ring.js';

const START = 20;

function entries(shard: number, after: number, limit: number): LogPage<ChangeEntry> {
  const count = Math.min(limit, 5, START - after);
  return {
    kind: 'entries',
    entries: Array.from({ length: count }, (_, n) => ({
      log: 'board.v1',
      shard,
      epoch: 'e',
      seq: after + n + 1,
      key: `k${after + n}`,
      before: null,
      row: JSON.stringify({ note: 'x'.repeat(1_000) }),
      recordedAt: '2026-01-01T00:00:00.000Z',
    })),
  };
}

const SHARDS = 8;

function filling(room: number) {
  const rings = Array.from({ length: SHARDS }, () => new Ring(START));
  const count = { read: 0 };
  const backfill = new Backfill(SHARDS, {
    tuples: [],
    ring: (shard) => rings[shard] ?? new Ring(0),
    read: (shard, after, limit) => {
      const page = entries(shard, after, limit);
      if (page.kind === 'entries') count.read += page.entries.length;
      return Promise.resolve(page);
    },
    room: () => room - rings.reduce((sum, ring) => sum + ring.bytes, 0),
    filled: () => undefined,
  });
  return { rings, backfill, count };
}

it('shards that would not fit together give up before all of it is read', async () => {
  const { rings, backfill, count } = filling(70_000);
  await Promise.all(rings.map((_, shard) => backfill.fill(shard, 0)));
  expect(rings.filter(({ start }) => start === 0)).toHaveLength(1);
  expect(rings.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(70_000);
  // All of them are 160, about 2 KB each.
  expect(count.read).toBeLessThan(120);
});

it('what one gave up is there for the next', async () => {
  const { rings, backfill } = filling(20_000);
  await backfill.fill(0, 0);
  expect(rings[0]?.start).toBe(START);
  await backfill.fill(1, 15);
  expect(rings[1]?.start).toBe(15);
});
