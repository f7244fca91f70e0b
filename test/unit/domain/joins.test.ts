/** Joins and rows that move: what a definition is refused for, and what parts of streams come to. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../../../src/domain/aggregate.js';
import { defineApp } from '../../../src/domain/app.js';
import { DefinitionError } from '../../../src/domain/errors.js';
import type { StoredEvent } from '../../../src/domain/events.js';
import { keysOf, sourceOf, toRecorded } from '../../../src/domain/folding.js';
import { MemoryModel } from '../../../src/domain/memory-model.js';
import { foldPart, holderOf, joinRow, ownRow, type Part } from '../../../src/domain/parts.js';
import { projection, type AnyProjection } from '../../../src/domain/projection.js';

const named = (name: string) =>
  aggregate(name, {
    state: z.object({}),
    initial: {},
    events: { Named: z.object({ name: z.string() }), Gone: z.object({}) },
    commands: {},
  })
    .evolve({ Named: () => ({}), Gone: () => ({}) })
    .decide({});
const Person = named('person');
const Firm = named('firm');
const Desk = aggregate('desk', {
  state: z.object({}),
  initial: {},
  events: { Placed: z.object({ at: z.string(), who: z.string().nullable() }), Removed: z.object({}) },
  commands: {},
})
  .evolve({ Placed: () => ({}), Removed: () => ({}) })
  .decide({});

const row = z.object({
  id: z.string(),
  who: z.string().nullable(),
  firm: z.string().optional(),
  level: z.int(),
  name: z.string().nullable(),
  firmName: z.string().optional(),
});
const options = { version: 1, row, key: 'id' } as const;
const base = projection('desks', options);
const join = { by: 'who', none: { name: null }, fold: { Named: () => ({ name: 'x' }) } } as const;
const fold = { Placed: () => null };

describe('definitions that cannot work', () => {
  /** As somebody without a compiler would write it. */
  const joining = (change: object, on: unknown = Person, from: unknown = base): (() => unknown) => {
    return () => (from as typeof base).join(on as typeof Person, { ...join, ...change } as never);
  };
  const joined = base.join(Person, join);
  const refined = projection('desks', { ...options, row: row.refine(() => true) });

  const refused: readonly (readonly [string, () => unknown, string])[] = [
    ['no aggregate', joining({}, {}), 'projection desks: .join(…): expected what aggregate(…)'],
    ['no columns', joining({ none: {} }), '.join(person): none: expected a value for each joined column'],
    ['no none', joining({ none: undefined }), 'expected { by, none, fold }'],
    ['an unknown column', joining({ none: { nick: '' } }), 'none: "nick" is no field; fields are id, who'],
    ['the key as a column', joining({ none: { id: '' } }), '"id" is the key'],
    ['its own column', joining({ none: { who: null } }), '"who" is what it goes by'],
    ['a value that does not fit', joining({ none: { name: 7 } }), 'none does not fit the row: /name'],
    ['by no field', joining({ by: 'whom' }), 'by "whom" is no field; fields are id, who'],
    ['by no text', joining({ by: 'level' }), 'by "level": expected a text, the id of the stream'],
    ['an unknown event', joining({ fold: { Called: () => null } }), 'fold of unknown Called; events of'],
    ['no fold', joining({ fold: {} }), 'expected at least one fold'],
    ['a fold that is no function', joining({ fold: { Named: 1 } }), 'all functions'],
    ['the same twice', joining({ none: { firmName: 'x' } }, Person, joined), 'by "who" stands there twice'],
    [
      'a column of another join',
      joining({ by: 'firm' }, Firm, joined),
      '"name" is a column of another join already',
    ],
    [
      'by a joined column',
      joining({ by: 'name', none: { firmName: 'x' } }, Firm, joined),
      'joins do not follow joins',
    ],
    [
      'a column that another goes by',
      joining({ by: 'firm', none: { who: null } }, Firm, joined),
      'joins do not follow joins',
    ],
    [
      'a row with refine',
      joining({}, Person, refined),
      'a row with joins is checked column by column: expected z.object({…}) without refine',
    ],
    [
      'after .on',
      joining({}, Person, base.on(Desk, { fold })),
      'projection desks: .join stands before .on and .moving',
    ],
    [
      '.moving beside .on',
      () => (base.on(Desk, { fold }) as unknown as typeof base).moving(Firm, { fold: { Named: () => null } }),
      '.moving(firm): either all rows of a projection move, or none',
    ],
    [
      '.on beside .moving',
      () => (base.moving(Desk, { fold }) as unknown as typeof base).on(Firm, { fold: { Named: () => null } }),
      '.on(firm): either all rows of a projection move, or none',
    ],
    [
      'keys of rows that move',
      () => base.moving(Desk, { keys: () => 'a', fold } as never),
      'a row that moves has its key from its fold',
    ],
    [
      'another aggregate of a joined name',
      () => joined.on(named('person'), { fold: { Named: () => null } }),
      'two aggregates of one name: person',
    ],
    [
      'joins and nothing else',
      () => defineApp({ auth: 'none', name: 'a', aggregates: [Person], projections: [joined] }),
      'projection desks: expected at least one .on(aggregate',
    ],
    [
      'a joined aggregate that the app has not',
      () =>
        defineApp({ auth: 'none', name: 'a', aggregates: [Desk], projections: [joined.on(Desk, { fold })] }),
      'projection desks follows aggregate person, which is not in app a',
    ],
  ];

  test.each(refused)('%s', (_name, run, text) => {
    expect(run).toThrow(DefinitionError);
    expect(run).toThrow(text);
  });
});

const stored = (category: string, streamId: string, version: number, type: string, data: unknown = {}) =>
  ({
    eventId: `${category}-${streamId}-${version}`,
    category,
    shard: 0,
    seq: version,
    streamId,
    version,
    type,
    schemaVersion: 1,
    data,
    tags: {},
    metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
    recordedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, version)).toISOString(),
  }) satisfies StoredEvent;

function partAfter(one: AnyProjection, ...events: readonly StoredEvent[]): Part | undefined {
  return events.reduce<Part | undefined>((part, event) => {
    const source = sourceOf(one, event.category);
    if (!source) throw new Error('no source');
    return foldPart(one, source, part, toRecorded(source, event));
  }, undefined);
}

describe('a definition', () => {
  test('lists what is joined among its sources, and has one writer', () => {
    const one = base
      .join(Person, join)
      .join(Firm, { by: 'firm', none: { firmName: undefined }, fold: { Gone: () => null } })
      .on(Person, { fold: { Gone: () => null } })
      .on(Desk, { fold });
    expect(one.sources.map(({ aggregate: { name }, joins }) => [name, joins.length])).toEqual([
      ['person', 1],
      ['firm', 1],
      ['desk', 0],
    ]);
    expect(one.joins.map(({ source, by, columns }) => [source, by, columns])).toEqual([
      ['person', 'who', ['name']],
      ['firm', 'firm', ['firmName']],
    ]);
    expect([base.manyStreams, base.join(Person, join).on(Person, { fold: { Gone: () => null } }).manyStreams]) //
      .toEqual([false, true]);
    expect([one.rowsMove, base.moving(Desk, { fold }).rowsMove]).toEqual([false, true]);
    for (const part of [one, one.joins, one.joins[0], one.joins[0]?.none, one.sources[0]])
      expect(Object.isFrozen(part)).toBe(true);
  });

  test('an event of a stream that is only joined, or whose row moves, touches no row by key', () => {
    const one = base.join(Person, join).moving(Desk, { fold });
    for (const event of [
      stored('person', 'p', 1, 'Named', { name: 'x' }),
      stored('desk', 'd', 1, 'Placed', { at: 'a', who: null }),
    ]) {
      const source = sourceOf(one, event.category);
      expect(source && keysOf(source, toRecorded(source, event))).toEqual([]);
    }
  });
});

describe('parts', () => {
  const desks = base
    .join(Person, {
      by: 'who',
      none: { name: null },
      fold: {
        Named: (part, { data }) => ({ name: part.name === null ? data.name : `${part.name}, ${data.name}` }),
        Gone: () => null,
      },
    })
    .moving(Desk, {
      fold: {
        Placed: (before, { data }) => ({ id: data.at, who: data.who, level: (before?.level ?? 0) + 1 }),
        Removed: () => null,
      },
    });
  const name = (version: number, text: string) => stored('person', 'p', version, 'Named', { name: text });
  const place = (version: number, at: string) => stored('desk', 'd', version, 'Placed', { at, who: 'p' });

  test('begin with none, go on from what they were, and come back to none', () => {
    expect(partAfter(desks, name(1, 'a'))?.columns).toEqual({ name: 'a' });
    expect(partAfter(desks, name(1, 'a'), name(2, 'b'))?.columns).toEqual({ name: 'a, b' });
    expect(partAfter(desks, name(1, 'a'), stored('person', 'p', 2, 'Gone'))?.columns).toEqual({ name: null });
  });

  test('of a row that moves know since when it is at its key', () => {
    const times = [[place(1, 'a')], [place(1, 'a'), place(2, 'a')], [place(1, 'a'), place(2, 'b')]];
    expect(times.map((events) => partAfter(desks, ...events)?.since.slice(-6))).toEqual(
      ['1.000Z', '1.000Z', '2.000Z'].map((text) => text.slice(-6)),
    );
    expect(partAfter(desks, place(1, 'a'), stored('desk', 'd', 2, 'Removed'))).toMatchObject({
      row: null,
      since: '',
    });
    expect(partAfter(desks, place(1, 'a'), place(2, 'b'))?.row).toEqual({ id: 'b', who: 'p', level: 2 });
  });

  test('do not take an event twice', () => {
    const once = partAfter(desks, name(1, 'a'), name(2, 'b'));
    expect(partAfter(desks, name(1, 'a'), name(1, 'a'), name(2, 'b'), name(1, 'a'), name(2, 'b'))).toEqual(
      once,
    );
  });

  test('a fold that writes into its row does not hide that the row moved', () => {
    const writing = base.moving(Desk, {
      fold: {
        Placed: (before, { data }) =>
          before
            ? Object.assign(before, { id: data.at })
            : { ...row.parse({ id: data.at, who: null, level: 0, name: null }) },
      },
    });
    expect(partAfter(writing, place(1, 'a'), place(2, 'b'))?.since).toContain(':02.000Z');
  });

  const answers: readonly (readonly [string, unknown, RegExp])[] = [
    ['a column of another', { name: 'x', level: 1 }, /\/level: unknown field/],
    ['a wrong value', { name: 7 }, /\/name/],
    ['a column missing', {}, /\/name/],
    ['undefined', undefined, /expected an object or null, got undefined/],
    ['a list', [], /expected an object or null/],
    ['a promise', Promise.resolve({ name: 'x' }), /expected an object or null/],
  ];
  test.each(answers)('%s is refused, and projection, join and event are named', (_name, answer, message) => {
    const wrong = base.join(Person, { ...join, fold: { Named: () => answer as { name: null } } });
    const folding = (): unknown => partAfter(wrong, name(3, 'a'));
    expect(folding).toThrow(expect.objectContaining({ code: 'invalid_row' }));
    expect(folding).toThrow(/projection desks, join by who, fold of Named \(stream "p" version 3\)/);
    expect(folding).toThrow(message);
  });

  test.each(['', ' ', 'x'.repeat(201), 7, undefined])('%j is no key to move to', (at) => {
    const wrong = base.moving(Desk, {
      fold: { Placed: () => ({ id: at as string, who: null, level: 1, name: null }) },
    });
    expect(() => partAfter(wrong, place(1, 'a'))).toThrow(expect.objectContaining({ code: 'invalid_row' }));
  });

  test('a fold that gives a joined column is refused', () => {
    const wrong = base.join(Person, join).moving(Desk, {
      fold: { Placed: () => Object.assign({ id: 'a', who: null, level: 1 }, { name: 'x' }) },
    });
    expect(() => partAfter(wrong, place(1, 'a'))).toThrow(/\/name: unknown field/);
  });

  test('the one that came last is shown; equal times are told apart the same way whatever the order', () => {
    const claim = (source: string, streamId: string, since: string) => ({
      source,
      streamId,
      part: { version: 1, columns: {}, row: { id: 'a' }, since },
    });
    const claims = [
      claim('desk', 'b', '1'),
      claim('desk', 'a', '2'),
      claim('desk', 'c', '2'),
      claim('abc', 'z', '2'),
    ];
    for (const order of [claims, claims.toReversed(), [claims[2], claims[0], claims[3], claims[1]]])
      expect(holderOf(order.flatMap((one) => one ?? []))?.streamId).toBe('c');
    expect(holderOf([])).toBeUndefined();
    // Postgres compares code points, JavaScript UTF-16: U+FF5E is the smaller one there and the greater one here.
    const far = [claim('desk', '\u{1f600}', '1'), claim('desk', '\uff5e', '1')];
    expect([far, far.toReversed()].map((order) => holderOf(order)?.streamId)).toEqual([
      '\u{1f600}',
      '\u{1f600}',
    ]);
    expect(holderOf([claim('desk', 'a', '1'), claim('desk', 'ab', '1')])?.streamId).toBe('ab');
  });

  test('are put into a row and taken out of it', () => {
    const own = { id: 'a', who: 'p', level: 1 };
    const whole = joinRow(desks, own, () => ({ version: 1, columns: { name: 'Ada' }, row: null, since: '' }));
    expect(whole).toEqual({ ...own, name: 'Ada' });
    expect(ownRow(desks, whole)).toEqual(own);
    expect(joinRow(desks, { ...own, who: null }, () => expect.fail('asked'))).toEqual({
      ...own,
      who: null,
      name: null,
    });
    expect(joinRow(desks, own, () => undefined)).toEqual({ ...own, name: null });
  });
});

test('an event that throws for one of its rows changes none of them in memory', () => {
  const both = base.on(Desk, {
    keys: () => ['a', 'b'],
    fold: {
      Placed: (_row, _event, key) => {
        if (key === 'b') throw new Error('no b');
        return { who: null, level: 1, name: null };
      },
    },
  });
  const model = new MemoryModel(both);
  expect(() => model.apply(stored('desk', 'd', 1, 'Placed', { at: 'a', who: null }))).toThrow('no b');
  expect(model.rows().size).toBe(0);
});
