/** Projections: what a definition is refused for, and what a fold may answer with. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../../../src/domain/aggregate.js';
import { DefinitionError } from '../../../src/domain/errors.js';
import type { StoredEvent } from '../../../src/domain/events.js';
import { foldRow, keysOf, sourceOf, toRecorded } from '../../../src/domain/folding.js';
import { projection, type AnyProjection, type RowValue } from '../../../src/domain/projection.js';

const Order = aggregate('order', {
  state: z.object({}),
  initial: {},
  events: { Placed: z.object({ cents: z.int() }), Noted: z.object({}), Gone: z.object({}) },
  commands: {},
})
  .evolve({ Placed: () => ({}), Noted: () => ({}), Gone: () => ({}) })
  .decide({});
const Note = aggregate('note', {
  state: z.object({}),
  initial: {},
  events: { Written: z.object({}) },
  commands: {},
})
  .evolve({ Written: () => ({}) })
  .decide({});

const row = z.object({
  id: z.string(),
  cents: z.int(),
  note: z.string().optional(),
  seen: z.boolean().nullable(),
  parts: z.array(z.string()),
});
const options = { version: 1, row, key: 'id' } as const;
const full = { cents: 1, seen: null, parts: [] };

describe('definitions that cannot work', () => {
  const define = (change: object, name = 'summary'): unknown =>
    projection(name, { ...options, ...change } as never);
  const on = (source: unknown, sourceOptions: unknown): unknown =>
    projection('summary', options).on(source as never, sourceOptions as never);
  const many = Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`f${n}`, z.int()]));
  const fold = { Placed: () => null };

  const refused: readonly (readonly [string, () => unknown, string])[] = [
    ['a bad name', () => define({}, 'Summary'), 'projection name "Summary": expected'],
    ['the name of a table', () => define({}, 'events'), 'projection name "events" collides with a table'],
    ['the name of another one’s table', () => define({}, 'summary__v1'), 'collides with a table'],
    [
      'version 0',
      () => define({ version: 0 }),
      'projection summary: version 0: expected a whole number from 1',
    ],
    ['version 1.5', () => define({ version: 1.5 }), 'version 1.5: expected'],
    ['no version', () => define({ version: undefined }), 'version undefined: expected'],
    [
      'a row that is no object',
      () => define({ row: z.string() }),
      'projection summary, row: expected z.object({…})',
    ],
    [
      'a row that is a union',
      () => define({ row: z.union([row, row]) }),
      'projection summary, row: expected z.object({…})',
    ],
    [
      'a row with a Date',
      () => define({ row: row.extend({ at: z.date() }) }),
      'projection summary, row: a schema must describe JSON',
    ],
    [
      'a loose row',
      () => define({ row: z.looseObject({ id: z.string() }) }),
      'without other fields (loose, catchall)',
    ],
    [
      'a row with a catchall',
      () => define({ row: z.object({ id: z.string() }).catchall(z.int()) }),
      'without other fields',
    ],
    ['too many fields', () => define({ row: row.extend(many) }), '206 fields: expected at most 200'],
    [
      'a reserved field',
      () => define({ row: row.extend({ sort: z.int() }) }),
      'field "sort" collides with a query parameter',
    ],
    [
      'a column of Postgres',
      () => define({ row: row.extend({ xmin: z.int() }) }),
      'field "xmin" collides with a column',
    ],
    ['the revision', () => define({ row: row.extend({ _rev: z.int() }) }), 'field "_rev": expected'],
    ['a bad field', () => define({ row: row.extend({ 'a-b': z.int() }) }), 'field "a-b": expected'],
    [
      'optional and nullable',
      () => define({ row: row.extend({ both: z.string().nullish() }) }),
      'field "both" is both optional and nullable, which a column cannot tell apart',
    ],
    [
      'a key that is no field',
      () => define({ key: 'ids' }),
      'key "ids" is no field; fields are id, cents, note, seen, parts',
    ],
    [
      'a key that is no text',
      () => define({ key: 'cents' }),
      'key "cents": expected a text that is always there',
    ],
    [
      'a key that may be absent',
      () => define({ key: 'note' }),
      'key "note": expected a text that is always there',
    ],
    [
      'an index on no field',
      () => define({ indexes: ['placedAt'] }),
      'index on "placedAt", which is no field; fields are id, cents',
    ],
    [
      'an index on a list',
      () => define({ indexes: [['cents', 'parts']] }),
      'index on "parts", which is not a text, number or boolean',
    ],
    ['an index twice', () => define({ indexes: ['cents', ['cents']] }), 'index cents stands there twice'],
    [
      'a field twice in one',
      () => define({ indexes: [['cents', 'cents']] }),
      'index cents, cents stands there twice',
    ],
    ['an empty index', () => define({ indexes: [[]] }), 'index of 0 fields: expected 1 to 8'],
    ['a channel on no field', () => define({ channels: ['owner'] }), 'channel on "owner", which is no field'],
    [
      'a channel on an optional field',
      () => define({ channels: ['note'] }),
      'channel on "note", which may be absent; make it nullable',
    ],
    [
      'the same channel in another order',
      () =>
        define({
          channels: [
            ['cents', 'seen'],
            ['seen', 'cents'],
          ],
        }),
      'channel seen, cents stands there twice',
    ],
    ['a source that is none', () => on({}, { fold }), 'expected what aggregate(…).evolve(…).decide(…) gives'],
    ['a source that is not finished', () => on(undefined, { fold }), 'expected what aggregate(…)'],
    [
      'a fold of an unknown event',
      () => on(Order, { fold: { Paid: () => null } }),
      'projection summary: fold of unknown Paid; events of order are Placed, Noted, Gone',
    ],
    [
      'a fold named as any object has it',
      () => on(Order, { fold: { toString: () => null } }),
      'fold of unknown toString',
    ],
    ['no fold', () => on(Order, { fold: {} }), 'at least one fold'],
    ['a fold that is no function', () => on(Order, { fold: { Placed: 1 } }), 'all functions'],
    ['keys that are no function', () => on(Order, { keys: 'id', fold }), 'all functions'],
    [
      'a source twice',
      () => projection('summary', options).on(Order, { fold }).on(Order, { fold }),
      'projection summary: .on(order) stands there twice',
    ],
  ];

  test.each(refused)('%s', (_name, run, text) => {
    expect(run).toThrow(DefinitionError);
    expect(run).toThrow(text);
  });
});

describe('a definition', () => {
  test('is frozen data; `on` leaves what it was called on as it was', () => {
    const base = projection('summary', {
      ...options,
      indexes: ['cents', ['seen', 'cents']],
      channels: ['seen'],
    });
    const one = base.on(Order, { fold: { Placed: () => null } });
    const two = one.on(Note, { fold: { Written: () => null } });
    expect([base, one, two].map(({ sources }) => sources.length)).toEqual([0, 1, 2]);
    expect([base, one, two].map(({ manyStreams }) => manyStreams)).toEqual([false, false, true]);
    expect(one.indexes).toEqual([['cents'], ['seen', 'cents']]);
    for (const part of [
      two,
      two.sources,
      two.sources[0],
      two.fields,
      two.indexes,
      two.indexes[0],
      two.channels,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('with keys is of many streams', () => {
    const keyed = projection('summary', options).on(Order, { keys: () => 'a', fold: { Placed: () => null } });
    expect(keyed.manyStreams).toBe(true);
  });
});

const stored = (type: string, data: unknown = {}, category = 'order'): StoredEvent => ({
  eventId: 'e',
  category,
  shard: 0,
  seq: 1,
  streamId: 's-1',
  version: 4,
  type,
  schemaVersion: 1,
  data,
  tags: { a: 'x' },
  metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
  recordedAt: '2026-01-01T00:00:00.000Z',
});

function foldOne(one: AnyProjection, before: RowValue | null, event: StoredEvent): RowValue | null {
  const source = sourceOf(one, event.category);
  if (!source) throw new Error('no source');
  const recorded = toRecorded(source, event);
  return keysOf(source, recorded).reduce<RowValue | null>(
    (next, key) => foldRow(one, source, key, next, recorded),
    before,
  );
}

describe('folding', () => {
  const summary = projection('summary', options).on(Order, {
    fold: {
      Placed: (_before, { data }) => ({ ...full, cents: data.cents }),
      Gone: () => null,
    },
  });

  test('sets the key; null is no row; events without a fold leave the row', () => {
    const placed = foldOne(summary, null, stored('Placed', { cents: 5 }));
    expect(placed).toEqual({ id: 's-1', ...full, cents: 5 });
    expect(foldOne(summary, placed, stored('Noted'))).toBe(placed);
    expect(foldOne(summary, placed, stored('Gone'))).toBeNull();
    expect(sourceOf(summary, 'note')).toBeUndefined();
    expect(sourceOf(summary, 'constructor')).toBeUndefined();
  });

  test('the key that a fold writes is not believed', () => {
    const lying = projection('summary', options).on(Order, {
      fold: { Placed: () => ({ ...full, id: 'other' }) },
    });
    expect(foldOne(lying, null, stored('Placed', { cents: 1 }))).toMatchObject({ id: 's-1' });
  });

  test('a type that is not known is newer than this code', () => {
    for (const type of ['Paid', 'constructor', '__proto__']) {
      expect(() => foldOne(summary, null, stored(type))).toThrow(
        expect.objectContaining({ code: 'needs_newer_code' }),
      );
    }
  });

  const answers: readonly (readonly [string, () => unknown, RegExp])[] = [
    ['an extra column', () => ({ ...full, colour: 'red' }), /\/colour: unknown field/],
    ['a missing one', () => ({ cents: 1, seen: null }), /\/parts/],
    ['a wrong value', () => ({ ...full, cents: 2 ** 53 }), /\/cents/],
    ['undefined', () => undefined, /expected a row or null, got undefined/],
    ['a text', () => 'row', /got string/],
    ['a list', () => [full], /got an array/],
    ['a promise', () => Promise.resolve(full), /got a promise/],
  ];
  test.each(answers)('%s halts, and names projection, event and row', (_name, answer, message) => {
    const wrong = projection('summary', options).on(Order, { fold: { Placed: answer as () => null } });
    const folding = (): unknown => foldOne(wrong, null, stored('Placed', { cents: 1 }));
    expect(folding).toThrow(expect.objectContaining({ code: 'invalid_row' }));
    expect(folding).toThrow(/projection summary, fold of Placed \(row "s-1"\)/);
    expect(folding).toThrow(message);
  });

  test('what `refine` asks of a row is asked', () => {
    const even = projection('summary', {
      ...options,
      row: row.refine(({ cents }) => cents % 2 === 0, 'expected even cents'),
    }).on(Order, { fold: { Placed: (_before, { data }) => ({ ...full, cents: data.cents }) } });
    expect(foldOne(even, null, stored('Placed', { cents: 2 }))).toMatchObject({ cents: 2 });
    expect(() => foldOne(even, null, stored('Placed', { cents: 3 }))).toThrow(/expected even cents/);
  });
});

describe('keys', () => {
  const keyed = (keys: unknown) =>
    projection('summary', options).on(Order, {
      keys: keys as () => string,
      fold: { Placed: (before) => ({ ...full, cents: (before?.cents ?? 0) + 1 }) },
    });
  const keysFor = (keys: unknown): readonly string[] => {
    const { sources } = keyed(keys);
    const [source] = sources;
    if (!source) throw new Error('no source');
    return keysOf(source, toRecorded(source, stored('Placed', { cents: 1 })));
  };

  test('one, several, each once, none', () => {
    expect(keysFor(() => 'a')).toEqual(['a']);
    expect(keysFor(() => ['a', 'b', 'a'])).toEqual(['a', 'b']);
    expect(keysFor(() => [])).toEqual([]);
    expect(keysFor((event: { tags: { a: string } }) => event.tags.a)).toEqual(['x']);
  });

  test('are at most 10,000, and a fold is told for which one it is called', () => {
    const many = (count: number): string[] => Array.from({ length: count }, (_, n) => `k-${n}`);
    expect(keysFor(() => many(10_000))).toHaveLength(10_000);
    expect(() => keysFor(() => many(10_001))).toThrow(
      /^keys of Placed \(stream "s-1" version 4\): 10001 rows; expected at most 10000, and a join where/,
    );
    const told = projection('summary', options).on(Order, {
      keys: () => ['a', 'b'],
      fold: { Placed: (_row, _event, key) => ({ ...full, note: key }) },
    });
    const [source] = told.sources;
    const event = source && toRecorded(source, stored('Placed', { cents: 1 }));
    const rows = event && ['a', 'b'].map((key) => foldRow(told, source, key, null, event));
    expect(rows?.map((one) => one?.['note'])).toEqual(['a', 'b']);
  });

  test('are not asked for where no fold handles the event', () => {
    const { sources } = keyed(() => {
      throw new Error('asked');
    });
    const [source] = sources;
    expect(source && keysOf(source, toRecorded(source, stored('Noted')))).toEqual([]);
  });

  test.each([undefined, null, 7, '', ' ', 'a\u0000', '\ud800', 'x'.repeat(201), ['a', ''], {}])(
    '%j cannot be a key',
    (key) => {
      expect(() => keysFor(() => key)).toThrow(
        expect.objectContaining({
          code: 'invalid_row',
          message: expect.stringContaining('keys of Placed (stream "s-1" version 4)'),
        }),
      );
    },
  );
});
