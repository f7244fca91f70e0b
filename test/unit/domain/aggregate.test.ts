/** Aggregates: what a definition is refused for, and what runs when a command is decided or an event folded. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../../../src/domain/aggregate.js';
import { DefinitionError } from '../../../src/domain/errors.js';
import { event, type StoredEvent } from '../../../src/domain/events.js';

const options = {
  state: z.object({ open: z.boolean(), log: z.array(z.string()) }),
  initial: { open: false, log: [] as string[] },
  events: { Opened: z.object({ by: z.string(), note: z.string().optional() }), Closed: z.object({}) },
  commands: { open: z.object({ by: z.string() }) },
} as const;
const evolve = {
  Opened: (state: { log: string[] }, { data }: { data: { by: string } }) => ({
    open: true,
    log: [...state.log, data.by],
  }),
  Closed: (state: { log: string[] }) => ({ ...state, open: false }),
};

const stored = (type: string, data: unknown, more: Partial<StoredEvent> = {}): StoredEvent => ({
  eventId: '0',
  category: 'box',
  shard: 3,
  seq: 17,
  streamId: 'b-1',
  version: 2,
  type,
  schemaVersion: 1,
  data,
  tags: {},
  metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
  recordedAt: '2026-01-01T00:00:00.000Z',
  ...more,
});

describe('definitions that cannot work', () => {
  const define = (change: object, name = 'box'): unknown =>
    aggregate(name, { ...options, ...change } as never);
  const refused: readonly (readonly [string, () => unknown, string | RegExp])[] = [
    ['a bad name', () => define({}, 'Box'), 'aggregate name "Box": expected'],
    ['no event', () => define({ events: {} }), 'aggregate box: expected at least one event'],
    [
      'two events of one name',
      () => define({ events: { Opened: z.object({}), OPENED: z.object({}) } }),
      'aggregate box: two events of one name: Opened and OPENED',
    ],
    [
      'a bad event name',
      () => define({ events: { 'Opened!': z.object({}) } }),
      'aggregate box, event "Opened!": expected',
    ],
    [
      'an event named as any object has it',
      () => define({ events: { constructor: z.object({}) } }),
      'constructor',
    ],
    [
      'a bad command name',
      () => define({ commands: { 'o/p': z.object({}) } }),
      'aggregate box, command "o/p": expected',
    ],
    [
      'an event without schema',
      () => define({ events: { Opened: {} } }),
      'aggregate box, event Opened: expected a zod schema',
    ],
    [
      'an event that is nothing',
      () => define({ events: { Opened: undefined } }),
      'aggregate box, event Opened: expected',
    ],
    [
      'an event with a Date',
      () => define({ events: { Opened: z.object({ at: z.date() }) } }),
      'aggregate box, event Opened: a schema must describe JSON',
    ],
    [
      'a command with a transform',
      () => define({ commands: { open: z.object({ a: z.stringbool() }) } }),
      'aggregate box, command open: a schema',
    ],
    [
      'a command that is no object',
      () => define({ commands: { open: z.string() } }),
      'aggregate box, command open: expected z.object',
    ],
    [
      'a state with a Map',
      () => define({ state: z.object({ a: z.map(z.string(), z.string()) }) }),
      'aggregate box, state: a schema',
    ],
    [
      'an initial that does not fit',
      () => define({ initial: { open: 1, log: [] } }),
      'aggregate box: initial does not fit the state: /open',
    ],
    [
      'an upcaster that is none',
      () => event(z.object({}), { upcasters: ['x'] as never }),
      'event: expected upcasters to be functions',
    ],
    [
      'a missing evolve',
      () => aggregate('box', options).evolve({ Opened: evolve.Opened } as never),
      'aggregate box.evolve: no handler for Closed',
    ],
    [
      'an evolve that is no function',
      () => aggregate('box', options).evolve({ ...evolve, Closed: true } as never),
      'aggregate box.evolve: no handler for Closed',
    ],
    [
      'an evolve too many',
      () => aggregate('box', options).evolve({ ...evolve, Shut: evolve.Closed } as never),
      'aggregate box.evolve: handler for unknown Shut; known are Opened, Closed',
    ],
    [
      'a missing decide',
      () =>
        aggregate('box', options)
          .evolve(evolve)
          .decide({} as never),
      'aggregate box.decide: no handler for open',
    ],
    [
      'a decide too many',
      () =>
        aggregate('box', options)
          .evolve(evolve)
          .decide({ open: () => [], shut: () => [] } as never),
      'aggregate box.decide: handler for unknown shut; known are open',
    ],
    [
      'a context for no command',
      () =>
        aggregate('box', options)
          .evolve(evolve)
          .context({ shut: () => 1 } as never),
      'aggregate box.context: handler for unknown shut; known are open',
    ],
    [
      'a context that is no function',
      () =>
        aggregate('box', options)
          .evolve(evolve)
          .context({ open: 1 } as never),
      'no handler for open',
    ],
  ];

  test.each(refused)('%s', (_name, run, text) => {
    expect(run).toThrow(DefinitionError);
    expect(run).toThrow(text);
  });

  test('a handler that every object has does not stand for a missing one', () => {
    const named = aggregate('box', { ...options, events: { valueof: z.object({}) } });
    expect(() => named.evolve({} as never)).toThrow('no handler for valueof');
  });
});

describe('deciding', () => {
  const deciding = (answer: (...args: never[]) => unknown) =>
    aggregate('box', options)
      .evolve(evolve)
      .decide({ open: answer as never });
  const decide = (answer: (...args: never[]) => unknown, state: unknown = options.initial) =>
    deciding(answer).decide('open', state, { by: 'ann' }, { streamId: 'b-1', context: 7 });
  interface Tools {
    emit(type: string, data: unknown): unknown;
    reject(code: string, more?: object): unknown;
    streamId: string;
    context: unknown;
  }

  test('one event, several, none, a rejection', () => {
    expect(decide((_s: never, input: { by: string }, { emit }: Tools) => emit('Opened', input))).toEqual({
      kind: 'accepted',
      events: [{ kind: 'emitted', type: 'Opened', data: { by: 'ann' } }],
    });
    expect(
      decide((_s: never, _i: never, { emit }: Tools) => [emit('Opened', { by: 'x' }), emit('Closed', {})]),
    ).toMatchObject({ events: [{ type: 'Opened' }, { type: 'Closed' }] });
    expect(decide(() => [])).toEqual({ kind: 'accepted', events: [] });
    expect(
      decide((_s: never, _i: never, { reject }: Tools) =>
        reject('no', { as: 'not_found', detail: 'Nowhere.' }),
      ),
    ).toEqual({
      kind: 'rejection',
      code: 'no',
      as: 'not_found',
      detail: 'Nowhere.',
    });
    expect(decide((_s: never, _i: never, { reject }: Tools) => reject('no'))).toMatchObject({
      as: 'conflict',
    });
  });

  test('the stream’s id and the context are passed in', () => {
    const seen: unknown[] = [];
    decide((_s: never, _i: never, { streamId, context }: Tools) => {
      seen.push(streamId, context);
      return [];
    });
    expect(seen).toEqual(['b-1', 7]);
  });

  test('fields that the event’s schema does not know are not stored', () => {
    expect(
      decide((_s: never, _i: never, { emit }: Tools) => emit('Opened', { by: 'a', more: 1 })),
    ).toMatchObject({
      events: [{ data: { by: 'a' } }],
    });
  });

  const wrong: readonly (readonly [string, (...args: never[]) => unknown, RegExp])[] = [
    [
      'an event that is not defined',
      (_s, _i, { emit }: Tools) => emit('Shut', {}),
      /box emits "Shut", which it does not define/,
    ],
    [
      'an event named as any object has it',
      (_s, _i, { emit }: Tools) => emit('constructor', {}),
      /does not define/,
    ],
    ['data that the schema refuses', (_s, _i, { emit }: Tools) => emit('Opened', { by: 1 }), /refuses: \/by/],
    [
      'a text with NUL',
      (_s, _i, { emit }: Tools) => emit('Opened', { by: 'a\u0000' }),
      /\/by: expected a text without NUL/,
    ],
    ['half a character', (_s, _i, { emit }: Tools) => emit('Opened', { by: '🦆'.slice(0, 1) }), /surrogates/],
    [
      'a code that is a sentence',
      (_s, _i, { reject }: Tools) => reject('Already open!'),
      /reject\("Already open!"\): expected a code/,
    ],
    ['nothing', () => undefined, /must answer with emit/],
    ['null', () => null, /must answer with emit/],
    ['a promise', async () => [], /gave a promise/],
    ['a list of other things', () => ['Opened'], /gave other things/],
    ['a list with a hole', (_s, _i, { emit }: Tools) => [emit('Closed', {}), undefined], /gave other things/],
  ];
  test.each(wrong)('%s is an error of the definition, not of the caller', (_name, answer, message) => {
    expect(() => decide(answer)).toThrow(
      expect.objectContaining({ code: 'invalid_emit', message: expect.stringMatching(message) }),
    );
  });

  test('a command that there is not', () => {
    const box = deciding(() => []);
    for (const command of ['shut', 'constructor', '__proto__', 'toString']) {
      expect(() => box.decide(command, {}, {}, { streamId: 'b', context: undefined })).toThrow(/no handler/);
      expect(box.needsContext(command)).toBe(false);
      expect(box.commands[command]).toBeUndefined();
      expect(box.events[command]).toBeUndefined();
    }
  });

  test('a state that may be in a cache cannot be written into', () => {
    const state = { open: false, log: ['a'] };
    expect(() => decide((s: { open: boolean }) => ((s.open = true), []), state)).toThrow(TypeError);
    expect(() => decide((s: { log: string[] }) => (s.log.push('b'), []), state)).toThrow(TypeError);
    expect(state).toEqual({ open: false, log: ['a'] });
  });

  test('context is resolved only for the commands that have one', async () => {
    const two = aggregate('box', { ...options, commands: { open: z.object({}), shut: z.object({}) } })
      .evolve(evolve)
      .context({ open: async ({ streamId }) => `price of ${streamId}` })
      .decide({ open: () => [], shut: () => [] });
    expect([two.needsContext('open'), two.needsContext('shut')]).toEqual([true, false]);
    expect(await two.resolveContext('open', { streamId: 'b-1', input: {} })).toBe('price of b-1');
    expect(await two.resolveContext('shut', { streamId: 'b-1', input: {} })).toBeUndefined();
  });
});

describe('initial', () => {
  test('is a frozen copy, so that no stream begins with another one’s state', () => {
    const initial = { open: false, log: ['a'] };
    const box = aggregate('box', { ...options, initial })
      .evolve({
        Opened: (state) => {
          state.log.push('x');
          return state;
        },
        Closed: (state) => state,
      })
      .decide({ open: () => [] });
    expect(() => box.evolveStored(box.initial, stored('Opened', { by: 'a' }))).toThrow(TypeError);
    initial.log.push('b');
    expect(box.initial).toEqual({ open: false, log: ['a'] });
  });
});

describe('tags', () => {
  const tagged = (tags: unknown) =>
    aggregate('box', { ...options, tags: () => tags as never })
      .evolve(evolve)
      .decide({ open: () => [] })
      .tagsOf({ open: true, log: [] });

  test('are texts; none where there are none', () => {
    expect(tagged({ a: 'x', b: '' })).toEqual({ a: 'x', b: '' });
    expect(
      aggregate('box', options)
        .evolve(evolve)
        .decide({ open: () => [] })
        .tagsOf({}),
    ).toEqual({});
  });

  test.each([
    [{ a: 1 }],
    [{ a: undefined }],
    [null],
    ['a'],
    [{ a: '\u0000' }],
    [{ a: '\ud800' }],
    [{ 'a\u0000': 'x' }],
  ])('%j are refused', (tags) => {
    expect(() => tagged(tags)).toThrow(expect.objectContaining({ code: 'invalid_emit' }));
  });
});

describe('stored events', () => {
  const versioned = aggregate('box', {
    ...options,
    events: {
      Opened: event(z.object({ by: z.string(), times: z.int() }), {
        upcasters: [
          (data: { name: string }) => ({ by: data.name }),
          (data: { by: string }) => {
            if (data.by === 'throws') throw new Error('cannot');
            return { ...data, times: data.by === 'wrong' ? 0.5 : 1 };
          },
        ],
      }),
    },
  })
    .evolve({
      Opened: (state, { data, streamId, version, type }) => ({
        ...state,
        log: [`${data.by} ${data.times} ${streamId} ${version} ${type}`],
      }),
    })
    .decide({ open: () => [] });
  const fold = (data: unknown, more: Partial<StoredEvent>) =>
    (versioned.evolveStored(versioned.initial, stored('Opened', data, more)) as { log: string[] }).log[0];

  test('are upcast from whatever version they are of', () => {
    expect(versioned.events['Opened']?.version).toBe(3);
    expect(fold({ name: 'ann' }, { schemaVersion: 1 })).toBe('ann 1 b-1 2 Opened');
    expect(fold({ by: 'bob' }, { schemaVersion: 2 })).toBe('bob 1 b-1 2 Opened');
    expect(fold({ by: 'eve', times: 5 }, { schemaVersion: 3 })).toBe('eve 5 b-1 2 Opened');
  });

  const named = 'event box.Opened v1 (stream "b-1" version 2, shard 3 seq 17)';
  test.each([
    [
      { schemaVersion: 4 },
      {},
      'needs_newer_code',
      'event box.Opened v4 (stream "b-1" version 2, shard 3 seq 17) is newer than this code, which knows it up to v3',
    ],
    [
      { type: 'Shut' },
      {},
      'needs_newer_code',
      'event box.Shut v1 (stream "b-1" version 2, shard 3 seq 17) is newer than this code, which does not know its type',
    ],
    [{ type: 'constructor' }, {}, 'needs_newer_code', 'does not know its type'],
    [{}, { name: 'throws' }, 'event_unreadable', `${named}: its upcaster threw`],
    [
      {},
      { name: 'wrong' },
      'event_unreadable',
      `${named}: its upcaster gave what the schema refuses: /times`,
    ],
    [{ schemaVersion: 0 }, {}, 'event_unreadable', 'schema versions begin at 1'],
  ] as const)('%j of %j: %s', (more, data, code, text) => {
    expect(() => versioned.evolveStored(versioned.initial, stored('Opened', data, more))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(text) }),
    );
  });
});
