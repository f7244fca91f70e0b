/** Folding a batch in memory: an event counts as a whole or not at all, and what was there before stays known. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../../../src/domain/aggregate.js';
import type { StoredEvent } from '../../../src/domain/events.js';
import { projection } from '../../../src/domain/projection.js';
import { decode, fold } from '../../../src/projections/fold.js';
import { NO_ROW, type KnownRow } from '../../../src/projections/rows.js';

const Box = aggregate('box', {
  state: z.object({}),
  initial: {},
  events: { Moved: z.object({ to: z.string() }), Broken: z.object({}) },
  commands: {},
})
  .evolve({ Moved: () => ({}), Broken: () => ({}) })
  .decide({});

interface Row {
  place: string;
}
const row = z.object({ id: z.string(), place: z.string() });
const boxes = (moved: (before: Row | null, to: string) => Row) =>
  projection('boxes', { version: 1, row, key: 'id', channels: ['place'] }).on(Box, {
    keys: (event) => ['a', event.streamId],
    fold: {
      Moved: (before, { data }) => moved(before, data.to),
      Broken: (_before, { streamId }) => {
        throw new Error(`broken ${streamId}`);
      },
    },
  });

const stored = (
  version: number,
  type: string,
  data: unknown,
  more: Partial<StoredEvent> = {},
): StoredEvent => ({
  eventId: String(version),
  category: 'box',
  shard: 0,
  seq: version,
  streamId: 's',
  version,
  type,
  schemaVersion: 1,
  data,
  tags: {},
  metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
  recordedAt: '2026-01-01T00:00:00.000Z',
  ...more,
});
const known = (id: string, place: string): KnownRow => ({
  rev: 7,
  row: { id, place },
  json: JSON.stringify({ id, place }),
});

describe('a batch', () => {
  test('knows what each row was, even when a fold writes into it', async () => {
    const Writing = boxes((before, to) => {
      if (!before) return { place: to };
      before.place = to;
      return before;
    });
    const before = known('a', 'shelf');
    const events = [stored(1, 'Moved', { to: 'floor' }), stored(2, 'Moved', { to: 'van' })];
    const rows = new Map([
      ['a', before],
      ['s', NO_ROW],
    ]);
    const { touched, stops } = await fold(Writing, [decode(Writing, 'box', events)], rows, false);
    expect(touched.get('a')?.row).toEqual({ id: 'a', place: 'van' });
    expect(touched.get('s')?.row).toEqual({ id: 's', place: 'van' });
    expect(before.row).toEqual({ id: 'a', place: 'shelf' });
    expect(touched.get('a')?.before).toBe(before);
    expect(stops).toEqual([undefined]);
  });

  test('stops before the event whose fold throws, with nothing of it in', async () => {
    const Boxes = boxes((_before, to) => ({ place: to }));
    const events = [
      stored(1, 'Moved', { to: 'floor' }),
      stored(2, 'Broken', {}),
      stored(3, 'Moved', { to: 'van' }),
    ];
    const rows = new Map([
      ['a', NO_ROW],
      ['s', NO_ROW],
    ]);
    const { touched, stops } = await fold(Boxes, [decode(Boxes, 'box', events)], rows, false);
    expect([...touched.values()].map((entry) => entry.row?.['place'])).toEqual(['floor', 'floor']);
    expect(stops).toEqual([expect.objectContaining({ kind: 'poison', at: 1, event: events[1] })]);
  });

  test('stops before an event that is newer than this code', () => {
    const Boxes = boxes((_before, to) => ({ place: to }));
    const events = [stored(1, 'Moved', { to: 'floor' }), stored(2, 'Moved', {}, { schemaVersion: 2 })];
    const decoded = decode(Boxes, 'box', events);
    expect(decoded.events).toHaveLength(1);
    expect(decoded.stop).toMatchObject({ kind: 'needs_newer_code', at: 1 });
  });
});
