/** The given/when/then kit: what it lets pass, and above all what it finds. */
import { aggregate, event } from 'tidemark';
import { given } from 'tidemark/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

interface Broken {
  readonly evolveOpened?: (state: { open: boolean; log: string[] }) => unknown;
  readonly decideOpen?: (state: { open: boolean; log: string[] }, input: { tags: string[] }) => void;
}

/** A box whose handlers can be made to misbehave; the casts are what the compiler would otherwise refuse. */
const boxWith = (broken: Broken) =>
  aggregate('box', {
    state: z.object({ open: z.boolean(), log: z.array(z.string()) }),
    initial: { open: false, log: [] },
    events: {
      Opened: event(z.object({ by: z.string(), times: z.int() }), {
        upcasters: [(data: { by: string }) => ({ ...data, times: 1 })],
      }),
      Closed: z.object({ reason: z.string().optional() }),
    },
    commands: {
      open: z.object({ tags: z.array(z.string()).default([]) }),
      close: z.object({ reason: z.string().optional() }),
    },
    tags: (state) => ({ open: String(state.open) }),
  })
    .evolve({
      Opened: (state, { data }) =>
        (broken.evolveOpened?.(state) as typeof state | undefined) ?? {
          open: true,
          log: [...state.log, `${data.by}:${data.times}`],
        },
      Closed: (state) => ({ ...state, open: false }),
    })
    .context({ close: () => ({ allowed: true }) })
    .decide({
      open: (state, input, { emit, reject, streamId }) => {
        broken.decideOpen?.(state, input);
        return state.open
          ? reject('already_open', { as: 'invalid' })
          : emit('Opened', { by: streamId, times: 1 });
      },
      close: (state, { reason }, { emit, context, reject }) => {
        if (!context.allowed) return reject('not_allowed');
        return state.open ? emit('Closed', { reason }) : [];
      },
    });

const Box = boxWith({});
const opened = { type: 'Opened', data: { by: 'ann', times: 2 } } as const;
const allowed = { context: { allowed: true } };

describe('what passes', () => {
  test('events, none, state and tags', () => {
    given(Box, [], { streamId: 'b-7' })
      .when('open', {})
      .then([{ type: 'Opened', data: { by: 'b-7', times: 1 } }])
      .thenState({ open: true, log: ['b-7:1'] });
    given(Box, []).when('close', {}, allowed).then([]);
    given(Box, [opened])
      .when('close', {}, allowed)
      .then([{ type: 'Closed', data: {} }]);
    given(Box, [opened]).thenState({ open: true, log: ['ann:2'] });
    given(Box, [opened]).thenTags({ open: 'true' });
    given(Box, [opened]).when('close', {}, allowed).thenTags({ open: 'false' });
  });

  test('rejections with their kind, refused payloads with their places', () => {
    given(Box, [opened]).when('open', {}).thenRejected('already_open', { as: 'invalid' });
    given(Box, [opened])
      .when('close', {}, { context: { allowed: false } })
      .thenRejected('not_allowed');
    given(Box, [])
      .when('open', { tags: ['\u0000'] })
      .thenInvalid('/tags/0');
  });

  test('events of an older schema version are upcast', () => {
    given(Box, [{ type: 'Opened', schemaVersion: 1, data: { by: 'bob' } }]).thenState({
      open: true,
      log: ['bob:1'],
    });
  });
});

describe('what is found', () => {
  const open = () => given(Box, []).when('open', {});
  const failures: readonly (readonly [string, () => unknown, RegExp])[] = [
    [
      'another event',
      () => open().then([{ type: 'Closed', data: {} }]),
      /other events than expected[\s\S]*Closed/,
    ],
    [
      'other data',
      () => open().then([{ type: 'Opened', data: { by: 'stream-1', times: 3 } }]),
      /times: 1[\s\S]*times: 3/,
    ],
    ['events for none', () => open().then([]), /other events than expected/],
    [
      'a rejection instead of events',
      () => given(Box, [opened]).when('open', {}).then([]),
      /expected no event, but it was rejected: already_open/,
    ],
    [
      'events instead of a rejection',
      () => open().thenRejected('x'),
      /expected a rejection x, but it was accepted with Opened/,
    ],
    [
      'another code',
      () => given(Box, [opened]).when('open', {}).thenRejected('closed'),
      /expected a rejection closed, but it was rejected: already_open/,
    ],
    [
      'another kind of rejection',
      () => given(Box, [opened]).when('open', {}).thenRejected('already_open', { as: 'not_found' }),
      /came as invalid/,
    ],
    ['a payload that was taken', () => open().thenInvalid(), /expected the payload to be refused/],
    [
      'a fault elsewhere',
      () =>
        given(Box, [])
          .when('open', { tags: ['\u0000'] })
          .thenInvalid('/tags/1'),
      /expected a fault at \/tags\/1/,
    ],
    ['another state', () => open().thenState({ open: false, log: [] }), /another state than expected/],
    ['other tags', () => given(Box, []).thenTags({ open: 'true' }), /other tags than expected/],
    ['an awaited outcome', () => open().then((() => undefined) as never), /an outcome is not awaited/],
    [
      'a given event that its schema refuses',
      () => given(Box, [{ type: 'Opened', data: { by: 'ann', times: 1.5 } }]),
      /box\.Opened does not fit its schema: \/times/,
    ],
    [
      'a given event with a field too many',
      () => given(Box, [{ type: 'Closed', data: JSON.parse('{"why":"x"}') }]),
      /box\.Closed does not fit its schema: \/why: unknown field/,
    ],
    [
      'a given event that there is not',
      () => given(Box, [{ type: 'Sealed', data: {} } as never]),
      /no event "Sealed"; events are Opened, Closed/,
    ],
    [
      'a command that there is not',
      () => given(Box, []).when('seal' as 'open', {}),
      /no command "seal"; commands are open, close/,
    ],
    [
      'a missing context',
      () => given(Box, [opened]).when('close', {}, { context: undefined as never }),
      /needs context/,
    ],
  ];

  test.each(failures)('%s', (_name, run, message) => {
    expect(run).toThrow(message);
  });

  const misbehaving: readonly (readonly [string, Broken, RegExp])[] = [
    [
      'evolve that writes into the state',
      { evolveOpened: (state) => Object.assign(state, { open: true }) },
      /read only/,
    ],
    [
      'evolve that writes deep down',
      { evolveOpened: (state) => (state.log.push('x'), state) },
      /not extensible/,
    ],
    ['a state the schema refuses', { evolveOpened: () => ({ open: 'yes', log: [] }) }, /\/open/],
    [
      'a state with a field too many',
      { evolveOpened: (s) => ({ ...s, extra: 1 }) },
      /\/extra: unknown field/,
    ],
    [
      'evolve by the clock',
      { evolveOpened: (s) => ({ ...s, log: [new Date().toISOString()] }) },
      /box\.evolve of Opened must be pure: it used the clock/,
    ],
    ['evolve by dice', { evolveOpened: (s) => ({ ...s, open: Math.random() > 2 }) }, /Math\.random/],
    ['decide that writes into the state', { decideOpen: (state) => void (state.open = true) }, /read only/],
    [
      'decide that writes into its input',
      { decideOpen: (_s, input) => void input.tags.push('x') },
      /not extensible/,
    ],
    ['decide by the clock', { decideOpen: () => void Date.now() }, /decide of open must be pure/],
    ['decide that makes an id', { decideOpen: () => void crypto.randomUUID() }, /crypto\.randomUUID/],
  ];

  test.each(misbehaving)('%s', (_name, broken, message) => {
    expect(() => given(boxWith(broken), []).when('open', {})).toThrow(message);
    // The clock is back afterwards, whatever happened.
    expect(Date.now()).toBeGreaterThan(Date.UTC(2020));
    expect(new Date()).toBeInstanceOf(Date);
    expect(Math.random()).toBeLessThan(1);
  });

  test('reading a time that was passed in is pure', () => {
    const read = boxWith({
      evolveOpened: (state) => ({ ...state, log: [new Date('2026-01-01T00:00:00Z').toISOString()] }),
    });
    given(read, [])
      .when('open', {})
      .thenState({ open: false, log: ['2026-01-01T00:00:00.000Z'] });
  });
});
