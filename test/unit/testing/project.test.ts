/** The projection kit: rows by key, tags as the aggregate stamps them, and the mistakes that it must find. */
import { aggregate, projection } from 'tidemark';
import { project } from 'tidemark/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { interleave, seeded } from '../../../src/testing/interleavings.js';

const Order = aggregate('order', {
  state: z.object({ owner: z.string() }),
  initial: { owner: '' },
  events: {
    Placed: z.object({ owner: z.string(), cents: z.int() }),
    Moved: z.object({ to: z.string() }),
    Gone: z.object({}),
  },
  commands: {},
  tags: (state) => ({ owner: state.owner }),
})
  .evolve({
    Placed: (_state, { data }) => ({ owner: data.owner }),
    Moved: (_state, { data }) => ({ owner: data.to }),
    Gone: (state) => state,
  })
  .decide({});

const Note = aggregate('note', {
  state: z.object({}),
  initial: {},
  events: { Written: z.object({ text: z.string() }), Gone: z.object({}) },
  commands: {},
})
  .evolve({ Written: () => ({}), Gone: () => ({}) })
  .decide({});

const rowOf = z.object({ id: z.string(), owner: z.string(), cents: z.int(), seen: z.string().optional() });
const plain = projection('plain', { version: 1, row: rowOf, key: 'id' });
const placed = (stream: string, owner = 'ann', cents = 1) =>
  ({ type: 'Placed', stream, data: { owner, cents } }) as const;

describe('rows', () => {
  const Plain = plain.on(Order, {
    fold: {
      Placed: (_row, { data }) => ({ ...data }),
      Moved: (row, { data }) => row && { ...row, owner: data.to, seen: undefined },
      Gone: () => null,
    },
  });

  test('one row, several in key order, none, gone and made again', () => {
    project(Plain, [placed('stream-1')]).toEqual({ id: 'stream-1', owner: 'ann', cents: 1 });
    const { type, data } = placed('x');
    project(Plain, [{ type, data }]).toEqual({ id: 'stream-1', owner: 'ann', cents: 1 });
    project(Plain, []).toEqual(null);
    project(Plain, [placed('b'), placed('a', 'bob', 2)]).toEqual([
      { id: 'a', owner: 'bob', cents: 2 },
      { id: 'b', owner: 'ann', cents: 1 },
    ]);
    const gone = { type: 'Gone', stream: 'a', data: {} } as const;
    project(Plain, [placed('a'), gone]).toEqual([]);
    const again = project(Plain, [placed('a'), gone, placed('a', 'eve')]);
    expect(again.row('a')).toEqual({ id: 'a', owner: 'eve', cents: 1 });
    expect(again.row('b')).toBeNull();
  });

  test('a difference fails, also in the number of rows', () => {
    const one = project(Plain, [placed('a')]);
    expect(() => one.toEqual({ id: 'a', owner: 'ann', cents: 2 })).toThrow(/cents: 1[\s\S]*cents: 2/);
    expect(() => one.toEqual({ id: 'a', owner: 'ann', cents: 2 })).not.toThrow(/cents: 2[\s\S]*cents: 2/); // once
    expect(() => one.toEqual(null)).toThrow(/other rows than expected/);
    expect(() => one.toEqual([])).toThrow(/other rows than expected/);
    const two = project(Plain, [placed('a'), placed('b')]);
    expect(() => two.toEqual({ id: 'a', owner: 'ann', cents: 1 })).toThrow(/other rows than expected/);
  });

  test('an event that no source has, or that two have', () => {
    expect(() => project(Plain, [{ type: 'Paid', data: {} } as never])).toThrow(
      /no aggregate with an event "Paid"/,
    );
    const Both = Plain.on(Note, { fold: { Gone: () => null } });
    expect(() => project(Both, [{ type: 'Gone', data: {} }])).toThrow(/Gone is of order and note: say which/);
    project(Both, [placed('a'), { type: 'Gone', aggregate: 'note', stream: 'a', data: {} }], {
      tries: 0,
    }).toEqual([]);
  });
});

describe('mistakes in a fold', () => {
  const folding = (fold: (row: { cents: number } | null) => unknown) =>
    plain.on(Order, { fold: { Placed: fold as never } });
  const mistakes: readonly (readonly [string, (row: { cents: number } | null) => unknown, RegExp])[] = [
    ['an extra column', () => ({ owner: 'a', cents: 1, colour: 'red' }), /\/colour: unknown field/],
    ['a missing column', () => ({ owner: 'a' }), /\/cents/],
    ['a wrong value', () => ({ owner: 'a', cents: 0.5 }), /\/cents/],
    ['undefined', () => undefined, /expected a row or null, got undefined/],
    ['a promise', async () => null, /expected a row or null, got a promise/],
    ['a list', () => [], /expected a row or null, got an array/],
    ['the clock', () => ({ owner: String(Date.now()), cents: 1 }), /must be pure/],
    [
      'writing into the row',
      (row) => (row ? Object.assign(row, { cents: row.cents + 1 }) : { owner: 'a', cents: 1 }),
      /read only/,
    ],
  ];

  test.each(mistakes)('%s', (_name, fold, message) => {
    expect(() => project(folding(fold), [placed('a'), placed('a')])).toThrow(message);
  });

  test('writing into the event', () => {
    const Writing = plain.on(Order, {
      fold: {
        Placed: (_row, { data }) => {
          data.cents += 1;
          return { ...data };
        },
      },
    });
    expect(() => project(Writing, [placed('a')])).toThrow(/read only/);
  });

  test('keys that cannot be row keys', () => {
    const keyed = (key: unknown) =>
      plain.on(Order, { keys: () => key as string, fold: { Placed: (_row, { data }) => ({ ...data }) } });
    for (const key of ['', ' ', 'a\u0000', 'x'.repeat(201), undefined, 7, ['a', '']]) {
      expect(() => project(keyed(key), [placed('a')])).toThrow(/keys of Placed/);
    }
    expect(project(keyed([]), [placed('a')]).rows).toEqual([]);
    expect(project(keyed(['a', 'b', 'a']), [placed('a')]).rows).toHaveLength(2);
  });
});

describe('many streams', () => {
  const totals = projection('totals', {
    version: 1,
    row: z.object({ owner: z.string(), cents: z.int(), last: z.string() }),
    key: 'owner',
  });

  test('tags come from the state after the event', () => {
    const ByOwner = totals.on(Order, {
      keys: (event) => event.tags.owner,
      fold: {
        Placed: (row, { data }) => ({ cents: (row?.cents ?? 0) + data.cents, last: '' }),
        Moved: (row) => row ?? { cents: 0, last: 'moved in' },
      },
    });
    const events = [placed('a', 'ann', 5), { type: 'Moved', stream: 'a', data: { to: 'bob' } }] as const;
    project(ByOwner, events).toEqual([
      { owner: 'ann', cents: 5, last: '' },
      { owner: 'bob', cents: 0, last: 'moved in' },
    ]);
  });

  test('a fold that depends on the interleaving is shown, with the order and the seed to see it again', () => {
    const LastWins = totals.on(Order, {
      keys: (event) => event.tags.owner,
      fold: {
        Placed: (row, { data, streamId }) => ({ cents: data.cents + (row?.cents ?? 0), last: streamId }),
      },
    });
    const events = [placed('a'), placed('b'), placed('c')];
    const message = /another interleaving of the streams gives other rows \(seed (\d+)\): order/;
    let seed = 0;
    try {
      project(LastWins, events);
    } catch (error) {
      expect(String(error)).toMatch(message);
      seed = Number(message.exec(String(error))?.[1]);
    }
    expect(seed).toBeGreaterThan(0);
    expect(() => project(LastWins, events, { seed })).toThrow(`seed ${seed}`);
    // One stream has one order.
    project(LastWins, [placed('a'), placed('a')]).toEqual({ owner: 'ann', cents: 2, last: 'a' });
  });
});

test('an interleaving keeps every list in its order and loses nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat()), { maxLength: 6 }), fc.nat(), (lists, seed) => {
      const tagged = lists.map((list, stream) => list.map((value, place) => ({ stream, place, value })));
      const merged = interleave(tagged, seeded(seed));
      expect(merged).toHaveLength(lists.flat().length);
      lists.forEach((_list, stream) => {
        expect(merged.filter((item) => item.stream === stream)).toEqual(tagged[stream]);
      });
      expect(interleave(tagged, seeded(seed))).toEqual(merged);
    }),
  );
});
