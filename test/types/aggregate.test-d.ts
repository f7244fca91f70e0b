/** What the compiler refuses, and what it must take, when an aggregate is written. Checked by `tsc`; nothing runs. */
import { aggregate, event, type Aggregate } from 'tidemark';
import { z } from 'zod';
import type { Equal, Expect } from './expect.js';

const options = {
  state: z.object({ status: z.enum(['none', 'open', 'closed']), owner: z.string() }),
  initial: { status: 'none', owner: '' },
  events: {
    Opened: z.object({ owner: z.string(), size: z.int().default(1) }),
    Closed: z.object({ reason: z.string().optional() }),
  },
  commands: {
    open: z.object({ owner: z.string(), size: z.int().optional() }),
    close: z.object({ reason: z.string().default('done') }),
  },
  tags: (state: { owner: string }) => ({ owner: state.owner }),
} as const;

const account = aggregate('account', options);
const evolved = account.evolve({
  Opened: (state, { data }) => ({ ...state, status: 'open', owner: data.owner }),
  Closed: (state) => ({ ...state, status: 'closed' }),
});

// A good one: optional input, defaults on both sides, several events, none, a rejection.
export const Account = evolved.decide({
  open: (state, input, { emit, reject }) => {
    if (state.status !== 'none') return reject('already_open', { as: 'invalid', detail: 'It is open.' });
    return input.size === undefined
      ? emit('Opened', { owner: input.owner })
      : [emit('Opened', { owner: input.owner, size: input.size }), emit('Closed', {})];
  },
  close: (state, { reason }, { emit }) => (state.status === 'open' ? emit('Closed', { reason }) : []),
});

type TypesOf<A> = A extends Aggregate<infer N, infer S, infer _E, infer _C, infer T> ? [N, S, T] : never;
export type _Name = Expect<
  Equal<
    TypesOf<typeof Account>,
    ['account', { status: 'none' | 'open' | 'closed'; owner: string }, { owner: string }]
  >
>;

// --- evolve

// @ts-expect-error an event without evolve
account.evolve({ Opened: (state) => state });

account.evolve({
  Opened: (state) => state,
  Closed: (state) => state,
  // @ts-expect-error an event that is not defined
  Shut: (state) => state,
});

account.evolve({
  // @ts-expect-error a state that the schema refuses
  Opened: (state) => ({ ...state, status: 'ajar' }),
  // @ts-expect-error a state with a field missing
  Closed: () => ({ status: 'closed' }),
});

account.evolve({
  Opened: (state, { data }) => {
    const size: number = data.size;
    // @ts-expect-error the data has no such field
    return { ...state, owner: data.holder ?? String(size) };
  },
  // @ts-expect-error `evolve` is pure: no promise
  Closed: async (state) => state,
});

account.evolve({
  Opened: (state, past) => {
    const known: [string, number, 'Opened'] = [past.streamId, past.version, past.type];
    // @ts-expect-error the time of recording is not known when the event is decided
    return known.length > 0 ? { ...state, owner: past.recordedAt } : state;
  },
  Closed: (state) => state,
});

// @ts-expect-error `initial` must fit the state
aggregate('account', { ...options, initial: { status: 'gone', owner: '' } });

// @ts-expect-error tags are texts
aggregate('account', { ...options, tags: (state: { owner: string }) => ({ length: state.owner.length }) });

// --- decide

// @ts-expect-error a command without decide
evolved.decide({ open: () => [] });

evolved.decide({
  open: () => [],
  close: () => [],
  // @ts-expect-error a command that is not defined
  shut: () => [],
});

evolved.decide({
  // @ts-expect-error an event that is not defined
  open: (_state, input, { emit }) => emit('Opend', { owner: input.owner }),
  // @ts-expect-error neither events nor a rejection
  close: () => 'closed',
});

evolved.decide({
  // @ts-expect-error a missing field
  open: (_state, _input, { emit }) => emit('Opened', {}),
  // @ts-expect-error a field of the wrong type
  close: (_state, _input, { emit }) => emit('Closed', { reason: 7 }),
});

evolved.decide({
  // @ts-expect-error a field that the event does not have
  open: (_state, { owner }, { emit }) => emit('Opened', { owner, colour: 'red' }),
  // @ts-expect-error `decide` is pure: no promise
  close: async (_state, _input, { emit }) => emit('Closed', {}),
});

evolved.decide({
  open: (state, input, { reject, context }) => {
    // @ts-expect-error the state has no such status
    if (state.status === 'ajar') return reject('no');
    // @ts-expect-error the input may have no size
    const size: number = input.size;
    const nothing: undefined = context;
    return reject(`${size}${String(nothing)}`);
  },
  close: (_state, input, { reject }) => {
    // A default makes it always there.
    const reason: string = input.reason;
    // @ts-expect-error a kind of rejection that there is not
    return reject(reason, { as: 'gone' });
  },
});

evolved.decide({
  open: (state) => {
    // @ts-expect-error what was decided on is not written into… by assignment of another type
    state.owner = 7;
    return [];
  },
  close: () => [],
});

// --- context

evolved.context({ open: async ({ input }) => ({ price: input.owner.length }) }).decide({
  open: (_state, input, { emit, context }) => {
    const price: number = context.price;
    // @ts-expect-error the context has no such field
    return emit('Opened', { owner: input.owner, size: price + context.rate });
  },
  close: (_state, _input, { context, emit }) => {
    const nothing: undefined = context;
    return nothing ?? emit('Closed', {});
  },
});

evolved.context({
  // @ts-expect-error a resolver for a command that is not defined
  shut: () => 1,
});

evolved.context({
  // @ts-expect-error the payload has no such field
  open: ({ input, streamId }) => `${streamId}${input.price}`,
});

// --- events that changed

event(z.object({ owner: z.string(), size: z.int() }), {
  upcasters: [
    (data: { name: string }) => ({ owner: data.name }),
    (data: { owner: string }) => ({ ...data, size: 1 }),
  ],
});

event(z.object({ owner: z.string(), size: z.int() }), {
  // @ts-expect-error the last upcaster leaves a field out
  upcasters: [(data: { owner: string }) => ({ owner: data.owner })],
});

const Versioned = aggregate('versioned', {
  state: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('none') }),
    z.object({ kind: z.literal('some'), sizes: z.record(z.string(), z.int()) }),
  ]),
  initial: { kind: 'none' },
  events: {
    Sized: event(z.object({ name: z.string(), size: z.int() }), {
      upcasters: [(data: { name: string }) => ({ ...data, size: 0 })],
    }),
    Renamed: z.discriminatedUnion('to', [
      z.object({ to: z.literal('name'), name: z.string() }),
      z.object({ to: z.literal('none') }),
    ]),
  },
  commands: {
    size: z.discriminatedUnion('by', [
      z.object({ by: z.literal('number'), size: z.int() }),
      z.object({ by: z.literal('text'), text: z.string().nullable() }),
    ]),
  },
});

// A state that is a union: narrowed on the way in, any branch on the way out; no tags.
export const Sizes = Versioned.evolve({
  Sized: (state, { data }) => ({
    kind: 'some',
    sizes: { ...(state.kind === 'some' ? state.sizes : {}), [data.name]: data.size },
  }),
  Renamed: (state, { data }) => (data.to === 'none' ? { kind: 'none' } : state),
}).decide({
  size: (state, input, { emit, streamId }) => {
    if (input.by === 'number') return emit('Sized', { name: streamId, size: input.size });
    // @ts-expect-error this branch has no sizes until it is narrowed
    const sizes = state.sizes;
    return input.text === null && sizes
      ? emit('Renamed', { to: 'none' })
      : emit('Renamed', { to: 'name', name: '' });
  },
});
