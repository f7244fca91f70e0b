/** What the compiler refuses, and what it must take, in rules: they are typed from the application’s own definitions. */
import { aggregate, defineApp, jwt, projection, query, tables } from 'tidemark';
import { z } from 'zod';
import type { Equal, Expect } from './expect.js';

const given = <T extends true>(): T | undefined => undefined;

const Order = aggregate('order', {
  state: z.object({ owner: z.string() }),
  initial: { owner: '' },
  events: { Placed: z.object({ owner: z.string(), cents: z.int() }) },
  commands: {
    place: z.object({ owner: z.string(), cents: z.int().default(0) }),
    pay: z.object({ by: z.enum(['card', 'cash']) }),
  },
})
  .evolve({ Placed: (_state, { data }) => ({ owner: data.owner }) })
  .decide({ place: (_state, input, { emit }) => emit('Placed', input), pay: () => [] });

const Door = aggregate('door', {
  state: z.object({ open: z.boolean() }),
  initial: { open: false },
  events: { Opened: z.object({}) },
  commands: { open: z.object({}) },
})
  .evolve({ Opened: () => ({ open: true }) })
  .decide({ open: (_state, _input, { emit }) => emit('Opened', {}) });

const Summary = projection('summary', {
  version: 1,
  row: z.object({
    id: z.string(),
    owner: z.string(),
    cents: z.int(),
    status: z.enum(['placed', 'paid']),
    note: z.string().optional(),
    parts: z.array(z.string()),
  }),
  key: 'id',
}).on(Order, {
  fold: { Placed: (_row, { data }) => ({ ...data, status: 'placed', parts: [] }) },
});

const Ledger = tables('ledger', {
  version: 1,
  tables: { entries: { columns: z.object({ id: z.string() }), primaryKey: ['id'] } },
})
  .on(Order)
  .handle(async () => undefined);

const spent = query('spent', {
  input: z.object({ owner: z.string(), since: z.coerce.string().optional() }),
  output: z.int(),
  reads: [Summary],
}).handle(({ principal }) => {
  given<Expect<Equal<typeof principal.id, string>>>();
  return principal.id.length;
});

const definitions = {
  name: 'shop',
  aggregates: [Order, Door],
  projections: [Summary, Ledger],
  queries: [spent],
} as const;
const claims = z.object({ role: z.enum(['customer', 'staff']), teams: z.array(z.string()).default([]) });
const byToken = jwt({ secret: 'x'.repeat(32), claims });

// A good one, with every kind of rule.
export const shop = defineApp({
  ...definitions,
  auth: {
    authenticate: byToken,
    cookie: 'session',
    anonymous: { id: 'guest', claims: { role: 'customer', teams: [] } },
    recheckMs: 10_000,
    commands: {
      order: {
        place: ({ principal, streamId, command, input, state }) => {
          given<Expect<Equal<typeof principal.claims.role, 'customer' | 'staff'>>>();
          given<Expect<Equal<typeof principal.claims.teams, string[]>>>();
          given<Expect<Equal<typeof input, { owner: string; cents: number }>>>();
          given<Expect<Equal<typeof state, { owner: string }>>>();
          given<Expect<Equal<typeof streamId | typeof command, string>>>();
          return input.owner === principal.id;
        },
        pay: ({ input, state }) => input.by === 'card' && state.owner !== '',
        '*': ({ state }) => state.owner !== '',
      },
      door: { open: true, '*': false },
      '*': ({ principal, input }) => {
        given<Expect<Equal<typeof input, unknown>>>();
        return principal.claims.role === 'staff';
      },
    },
    queries: {
      spent: ({ principal, input }) => {
        given<Expect<Equal<typeof input, { owner: string; since?: string | undefined }>>>();
        return input.owner === principal.id;
      },
      '*': ({ principal, input }) => {
        given<Expect<Equal<typeof input, unknown>>>();
        return principal.claims.role === 'staff';
      },
    },
    views: {
      summary: ({ principal }) =>
        principal.claims.role === 'staff' || { owner: principal.id, status: 'paid' },
      '*': ({ principal }) => ({ owner: principal.id }),
    },
    streams: {
      order: ({ principal, state }) => state.owner === principal.id,
      '*': ({ principal, streamId }) => principal.id === streamId,
    },
    operate: ({ principal }) => principal.claims.role === 'staff',
  },
});

// Claims of a function of one's own; `auth` may stand first.
export const own = defineApp({
  auth: {
    authenticate: async ({ token, via }) =>
      via === 'bearer' && token === 'x' ? { id: 'x', claims: { level: 3 } } : null,
    commands: { '*': ({ principal }) => principal.claims.level > 2 },
  },
  ...definitions,
});

// Claims that nobody described are by name, and unknown.
export const plain = defineApp({
  ...definitions,
  auth: {
    authenticate: jwt({ jwks: 'https://id.example/keys', issuer: 'https://id.example', audience: 'shop' }),
    operate: ({ principal }) => principal.claims['role'] === 'admin',
  },
});

// @ts-expect-error auth must be said
defineApp({ ...definitions });
// @ts-expect-error 'off' is no word for it
defineApp({ ...definitions, auth: 'off' });
// @ts-expect-error somebody must say who calls
defineApp({ ...definitions, auth: { operate: true } });

const rest = { authenticate: byToken };
defineApp({
  ...definitions,
  // @ts-expect-error there is no such aggregate
  auth: { ...rest, commands: { ordr: { place: true } } },
});
defineApp({
  ...definitions,
  // @ts-expect-error there is no such command
  auth: { ...rest, commands: { order: { plce: true } } },
});
defineApp({
  ...definitions,
  // @ts-expect-error the input has no such field
  auth: { ...rest, commands: { order: { place: ({ input }) => input.customer === '' } } },
});
defineApp({
  ...definitions,
  // @ts-expect-error a rule answers at once
  auth: { ...rest, commands: { order: { place: async () => true } } },
});
defineApp({
  ...definitions,
  // @ts-expect-error nothing is not no
  auth: { ...rest, commands: { order: { place: () => undefined } } },
});
defineApp({
  ...definitions,
  // @ts-expect-error there is no such claim
  auth: { ...rest, operate: ({ principal }) => principal.claims.admin === true },
});
defineApp({
  ...definitions,
  // @ts-expect-error there is no such view
  auth: { ...rest, views: { sumary: true } },
});
defineApp({
  ...definitions,
  // @ts-expect-error tables have no view
  auth: { ...rest, views: { ledger: true } },
});
defineApp({
  ...definitions,
  // @ts-expect-error a scope has values of the field's type
  auth: { ...rest, views: { summary: () => ({ cents: 'many' }) } },
});
defineApp({
  ...definitions,
  // @ts-expect-error a scope has no lists
  auth: { ...rest, views: { summary: () => ({ parts: [] }) } },
});
defineApp({
  ...definitions,
  // @ts-expect-error a value that may be missing is no scope
  auth: { ...rest, views: { summary: ({ principal }) => ({ owner: principal.claims.teams[0] }) } },
});
defineApp({
  ...definitions,
  // @ts-expect-error there is no such query
  auth: { ...rest, queries: { spend: true } },
});
defineApp({
  ...definitions,
  // @ts-expect-error the anonymous one has the claims that all have
  auth: { ...rest, anonymous: { id: 'guest', claims: {} } },
});

// @ts-expect-error others have the key too: for whom are the tokens?
jwt({ publicKey: 'PEM', issuer: 'https://id.example' });
// @ts-expect-error keys are of one kind
jwt({ issuer: 'https://id.example', audience: null });
