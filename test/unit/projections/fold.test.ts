/** Folding a batch in memory: an event counts as a whole or not at all, and what was there before stays known. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../../../src/domain/aggregate.js';
import { event as eventOf, type StoredEvent } from '../../../src/domain/events.js';
import { projection } from '../../../src/domain/projection.js';
import { decode } from '../../../src/projections/decode.js';
import { fold, type FoldOptions } from '../../../src/projections/fold.js';
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
  id: string;
  place: string;
}
const manner = (keys: number, known: readonly string[] = [], attempts = 1): FoldOptions => ({
  strict: false,
  parking: { known: new Set(known), keys, events: 1_000, attempts, maxKeys: keys, maxEvents: 1_000 },
});
const row = z.object({ id: z.string(), place: z.string() });
const boxes = (moved: (before: Row | null, to: string) => { place: string }) =>
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
    const { touched, stops } = await fold(Writing, [decode(Writing, 'box', events)], rows, manner(0));
    expect(touched.get('a')?.row).toEqual({ id: 'a', place: 'van' });
    expect(touched.get('s')?.row).toEqual({ id: 's', place: 'van' });
    expect(before.row).toEqual({ id: 'a', place: 'shelf' });
    expect(touched.get('a')?.before).toBe(before);
    expect(stops).toEqual([undefined]);
  });

  test('stops before the event whose fold throws where nothing may be parked, with nothing of it in', async () => {
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
    const { touched, stops, parks } = await fold(Boxes, [decode(Boxes, 'box', events)], rows, manner(0));
    expect([...touched.values()].map((entry) => entry.row?.['place'])).toEqual(['floor', 'floor']);
    expect(stops).toEqual([expect.objectContaining({ kind: 'poison', at: 1, event: events[1] })]);
    expect(parks).toEqual([]);
  });

  test('stops before an event that is newer than this code', () => {
    const Boxes = boxes((_before, to) => ({ place: to }));
    const events = [stored(1, 'Moved', { to: 'floor' }), stored(2, 'Moved', {}, { schemaVersion: 2 })];
    const decoded = decode(Boxes, 'box', events);
    expect(decoded.events).toHaveLength(1);
    expect(decoded.stop).toMatchObject({ kind: 'needs_newer_code', at: 1 });
  });
});

/** A box that cannot be moved to `hell` when it is `a`; writes into its row, whether it then throws or not. */
const Careless = boxes((before, to) => {
  if (!before) return { place: to };
  before.place = `on the way to ${to}`;
  if (to === 'hell' && before.id === 'a') throw new Error('never');
  return { place: to };
});
const moves = (...places: string[]): StoredEvent[] =>
  places.map((to, index) => stored(index + 1, 'Moved', { to }));
const both = () =>
  new Map<string, KnownRow>([
    ['a', known('a', 'shelf')],
    ['s', NO_ROW],
  ]);
const seqs = (queued: readonly { key: string; event: StoredEvent }[]) =>
  queued.map(({ key, event }) => [key, event.seq]);

describe('a key whose fold throws', () => {
  test('is parked as it was before that event, its later events wait in order, and the other keys go on', async () => {
    const decoded = decode(Careless, 'box', moves('floor', 'hell', 'van'));
    const { touched, stops, parks, queued } = await fold(Careless, [decoded], both(), manner(5, [], 3));
    expect(stops).toEqual([undefined]);
    expect(touched.get('a')?.row).toEqual({ id: 'a', place: 'floor' });
    expect(touched.get('s')?.row).toEqual({ id: 's', place: 'van' });
    expect(parks).toMatchObject([{ key: 'a', event: { seq: 2 }, error: { message: 'never' }, attempts: 3 }]);
    expect(seqs(queued)).toEqual([
      ['a', 2],
      ['a', 3],
    ]);
  });

  test('is tried again as often as told, each time from its row as it was', async () => {
    const seen: string[] = [];
    const Flaky = boxes((before, to) => {
      if (!before) return { place: to };
      if (before.id === 'a') seen.push(before.place);
      before.place = 'nowhere';
      if (to === 'van' && seen.length < 5) throw new Error('not yet');
      return { place: to };
    });
    const decoded = decode(Flaky, 'box', moves('floor', 'van'));
    const { touched, parks } = await fold(Flaky, [decoded], both(), manner(5, [], 3));
    // The first try of both events, then the batch again from its first event on.
    expect(seen).toEqual(['shelf', 'floor', 'shelf', 'floor', 'shelf', 'floor']);
    expect(parks).toEqual([]);
    expect(touched.get('a')?.row).toEqual({ id: 'a', place: 'van' });
  });

  test('waits when it is parked already, and is not folded', async () => {
    const decoded = decode(Careless, 'box', moves('floor', 'hell'));
    const rows = new Map([['s', NO_ROW]]);
    const { touched, parks, queued } = await fold(Careless, [decoded], rows, manner(5, ['a']));
    expect([...touched.keys()]).toEqual(['s']);
    expect(parks).toEqual([]);
    expect(seqs(queued)).toEqual([
      ['a', 1],
      ['a', 2],
    ]);
  });

  test('ends its batch where there is no room, and leaves no trace of the event on any row', async () => {
    const decoded = decode(Careless, 'box', moves('floor', 'hell', 'van'));
    const full: FoldOptions = {
      strict: false,
      parking: { known: new Set(['x']), keys: 0, events: 100, attempts: 1, maxKeys: 1, maxEvents: 100 },
    };
    const { touched, stops, parks, queued } = await fold(Careless, [decoded], both(), full);
    expect(stops).toMatchObject([
      {
        kind: 'poison',
        at: 1,
        error: { message: '1 keys are parked, which is the most; the next would be: never' },
      },
    ]);
    expect([touched.get('a')?.row?.['place'], touched.get('s')?.row?.['place']]).toEqual(['floor', 'floor']);
    expect([parks, queued]).toEqual([[], []]);
  });

  test('ends its batch where no more events may wait', async () => {
    const decoded = decode(Careless, 'box', moves('floor', 'hell', 'van', 'ship'));
    const full: FoldOptions = {
      strict: false,
      parking: { known: new Set(), keys: 5, events: 2, attempts: 1, maxKeys: 5, maxEvents: 2 },
    };
    const { stops, parks, queued } = await fold(Careless, [decoded], both(), full);
    expect(stops).toMatchObject([{ kind: 'poison', at: 3 }]);
    expect(parks).toHaveLength(1);
    expect(seqs(queued)).toEqual([
      ['a', 2],
      ['a', 3],
    ]);
  });

  test('takes its events of an earlier batch into account when it begins anew', async () => {
    const one = decode(Careless, 'box', moves('floor'));
    const two = decode(Careless, 'box', [stored(1, 'Moved', { to: 'hell' }, { shard: 1 })]);
    const { touched, parks } = await fold(Careless, [one, two], both(), manner(5, [], 2));
    expect(touched.get('a')?.row).toEqual({ id: 'a', place: 'floor' });
    expect(parks).toMatchObject([{ key: 'a', event: { shard: 1, seq: 1 } }]);
  });
});

describe('an event that cannot be read', () => {
  const Renamed = aggregate('box', {
    state: z.object({}),
    initial: {},
    events: {
      Moved: eventOf(z.object({ to: z.string() }), {
        upcasters: [
          ({ old }: { old: string }) => {
            if (old === '') throw new Error('nowhere');
            return { to: old };
          },
        ],
      }),
      Other: z.object({}),
    },
    commands: {},
  })
    .evolve({ Moved: () => ({}), Other: () => ({}) })
    .decide({});
  const events = [
    stored(1, 'Moved', { old: 'floor' }),
    stored(2, 'Moved', { old: '' }),
    stored(3, 'Moved', { old: 'x' }),
  ];

  test('parks its stream where rows are streams', async () => {
    const Streams = projection('boxes', { version: 1, row, key: 'id' }).on(Renamed, {
      fold: { Moved: (_row, { data }) => ({ place: data.to }) },
    });
    const decoded = decode(Streams, 'box', events);
    const { touched, parks, queued } = await fold(Streams, [decoded], new Map([['s', NO_ROW]]), manner(5));
    expect(touched.get('s')?.row).toEqual({ id: 's', place: 'floor' });
    expect(parks).toMatchObject([{ key: 's', event: { seq: 2 }, error: { code: 'event_unreadable' } }]);
    expect(seqs(queued)).toEqual([
      ['s', 2],
      ['s', 3],
    ]);
  });

  test('stops its batch where it would have to tell its keys', () => {
    const Keyed = projection('boxes', { version: 1, row, key: 'id' }).on(Renamed, {
      keys: ({ data }) => data.to,
      fold: { Moved: (_row, { data }) => ({ place: data.to }) },
    });
    expect(decode(Keyed, 'box', events).stop).toMatchObject({ kind: 'poison', at: 1 });
  });

  test('is of no interest where nobody folds it', () => {
    const Others = projection('boxes', { version: 1, row, key: 'id' }).on(Renamed, {
      keys: ({ streamId }) => streamId,
      fold: { Other: () => ({ place: 'here' }) },
    });
    const decoded = decode(Others, 'box', [...events, stored(4, 'Other', {})]);
    expect(decoded.stop).toBeUndefined();
    expect(decoded.events.map(({ keys }) => keys)).toEqual([[], [], [], ['s']]);
  });
});
