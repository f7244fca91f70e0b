/** What the compiler refuses, and what it must take, in projections, queries and apps. Checked by `tsc`; nothing runs. */
import { aggregate, defineApp, projection, query } from 'tidemark';
import { project } from 'tidemark/testing';
import { z } from 'zod';
import type { Equal, Expect } from './expect.js';

const Order = aggregate('order', {
  state: z.object({ customer: z.string() }),
  initial: { customer: '' },
  events: { Placed: z.object({ cents: z.int() }), Noted: z.object({ note: z.string() }) },
  commands: { place: z.object({ cents: z.int() }) },
  tags: (state) => ({ customerId: state.customer }),
})
  .evolve({ Placed: (state) => state, Noted: (state) => state })
  .decide({ place: (_state, { cents }, { emit }) => emit('Placed', { cents }) });

const Customer = aggregate('customer', {
  state: z.object({ name: z.string() }),
  initial: { name: '' },
  events: { Named: z.object({ name: z.string() }) },
  commands: {},
})
  .evolve({ Named: (_state, { data }) => data })
  .decide({});

const row = z.object({
  id: z.string(),
  status: z.enum(['placed', 'noted']),
  cents: z.int(),
  note: z.string().optional(),
  seen: z.boolean().nullable(),
  parts: z.array(z.object({ sku: z.string() })),
  extra: z.record(z.string(), z.int()),
});
const bare = { version: 1, row, key: 'id' } as const;
const first = { status: 'placed', cents: 0, seen: null, parts: [], extra: {} } as const;

const summary = projection('summary', {
  ...bare,
  indexes: ['status', ['status', 'cents'], 'note', 'seen'],
  channels: ['status', ['status', 'seen']],
});

// A good one: optional and nullable fields, arrays, records; the key may be left out or passed on.
export const Summary = summary.on(Order, {
  fold: {
    Placed: (before, { data }) => ({ ...first, parts: [], cents: data.cents, seen: before?.seen ?? null }),
    Noted: (before, { data }) => before && { ...before, status: 'noted', note: data.note },
  },
});

// Several aggregates, keys by tag and by stream, one or many.
export const Totals = projection('totals', {
  version: 2,
  row: z.object({ customerId: z.string(), name: z.string(), cents: z.int() }),
  key: 'customerId',
})
  .on(Order, {
    keys: (event) => (event.type === 'Placed' ? event.tags.customerId : []),
    fold: {
      Placed: (before, { data }) => ({ name: '', ...before, cents: (before?.cents ?? 0) + data.cents }),
    },
  })
  .on(Customer, { fold: { Named: (before, { data }) => ({ cents: 0, ...before, name: data.name }) } });

// --- definition

// @ts-expect-error the key is no field
projection('p', { version: 1, row, key: 'ids' });
// @ts-expect-error the key is no text
projection('p', { version: 1, row, key: 'cents' });
// @ts-expect-error the key may be absent
projection('p', { version: 1, row, key: 'note' });
// @ts-expect-error an index on a field that is not there
projection('p', { ...bare, indexes: ['state'] });
// @ts-expect-error an index on an array
projection('p', { ...bare, indexes: [['status', 'parts']] });
// @ts-expect-error a channel on a field that is not there
projection('p', { ...bare, channels: [['status', 'owner']] });
// @ts-expect-error a channel on a field that may be absent
projection('p', { ...bare, channels: ['note'] });
// @ts-expect-error a row that is no object
projection('p', { version: 1, row: z.string(), key: 'id' });

// --- folds

summary.on(Order, {
  // @ts-expect-error an event that is not defined
  fold: { Paid: (before) => before },
});
summary.on(Order, {
  // @ts-expect-error a row with fields missing
  fold: { Placed: () => ({ cents: 1 }) },
});
summary.on(Order, {
  // @ts-expect-error a row with a wrong value
  fold: { Placed: () => ({ ...first, parts: [], status: 'paid' }) },
});
summary.on(Order, {
  // @ts-expect-error undefined is no row; null is "there is none"
  fold: { Placed: () => undefined },
});
summary.on(Order, {
  // @ts-expect-error a fold is pure: no promise
  fold: { Placed: async (before) => before },
});
summary.on(Order, {
  // @ts-expect-error there may be no row yet
  fold: { Noted: (before) => ({ ...before, cents: before.cents }) },
});
summary.on(Order, {
  // @ts-expect-error the event has no such data
  fold: { Noted: (before, { data }) => before && { ...before, cents: data.cents } },
});
// An optional field may be taken away by writing undefined: JSON leaves it out.
summary.on(Order, { fold: { Noted: (before) => before && { ...before, note: undefined } } });
summary.on(Order, {
  // @ts-expect-error keys are texts
  keys: () => 7,
  fold: { Placed: () => null },
});
summary.on(Order, {
  // @ts-expect-error a key may not be undefined
  keys: (event) => (event.type === 'Placed' ? event.tags.customerId : undefined),
  fold: { Placed: () => null },
});
summary.on(Order, {
  // @ts-expect-error a tag that is not stamped
  keys: (event) => event.tags.ownerId,
  fold: { Placed: () => null },
});
summary.on(Customer, {
  // @ts-expect-error an aggregate without tags
  keys: (event) => event.tags.customerId,
  fold: { Named: () => null },
});
// @ts-expect-error an aggregate that is not finished
summary.on(aggregate('x', { state: z.object({}), initial: {}, events: {}, commands: {} }), { fold: {} });

// --- joins

const joining = projection('joining', {
  version: 1,
  row: z.object({
    id: z.string(),
    customerId: z.string().nullable(),
    cents: z.int(),
    name: z.string().nullable(),
    nick: z.string().optional(),
  }),
  key: 'id',
});
const naming = {
  by: 'customerId',
  none: { name: null },
  fold: { Named: (_part: object, { data }: { data: { name: string } }) => ({ name: data.name }) },
} as const;

// Folds neither see nor give what is joined; a part begins as `none`, and null is `none` again.
export const Joined = joining
  .join(Customer, {
    by: 'customerId',
    none: { name: null, nick: undefined },
    fold: {
      Named: (part, { data }) => {
        type _Part = Expect<Equal<keyof typeof part, 'name' | 'nick'>>;
        const found: _Part = true;
        return found && data.name !== '' ? { ...part, name: data.name } : null;
      },
    },
  })
  .on(Order, {
    fold: {
      Placed: (before, { data }, key) => {
        type _Row = Expect<Equal<keyof NonNullable<typeof before>, 'id' | 'customerId' | 'cents'>>;
        const found: _Row = true;
        return { customerId: found ? key : null, cents: data.cents };
      },
    },
  });
project(Joined, [{ type: 'Named', data: { name: 'Ada' } }]).toEqual({
  id: 'a',
  customerId: null,
  cents: 1,
  name: null,
});

// A row that moves has its key from its fold.
export const Moved = joining.join(Customer, naming).moving(Order, {
  fold: { Placed: (before, { data }) => ({ customerId: null, ...before, id: String(data.cents), cents: 1 }) },
});

// @ts-expect-error a fold that reads what is joined
joining.join(Customer, naming).on(Order, { fold: { Noted: (before) => before?.name && before } });
// @ts-expect-error by a number
joining.join(Customer, { ...naming, by: 'cents' });
// @ts-expect-error by a column that is not there
joining.join(Customer, { ...naming, by: 'ownerId' });
// @ts-expect-error a column that is not there
joining.join(Customer, { ...naming, none: { title: null } });
// @ts-expect-error a value that the column cannot have
joining.join(Customer, { ...naming, none: { name: 7 } });
// @ts-expect-error the key
joining.join(Customer, { ...naming, none: { id: 'x' }, fold: { Named: () => null } });
// @ts-expect-error a column of another join
joining.join(Customer, naming).join(Customer, { ...naming, by: 'id' });
// @ts-expect-error by a column of another join
joining.join(Customer, naming).join(Customer, { ...naming, by: 'name', none: { nick: 'x' } });
joining.join(Customer, {
  ...naming,
  // @ts-expect-error an event that is not defined
  fold: { Called: () => null },
});
joining.join(Customer, {
  ...naming,
  // @ts-expect-error another column than the join has
  fold: { Named: () => ({ cents: 1 }) },
});
// @ts-expect-error joins stand before what makes rows
joining.on(Order, { fold: { Placed: () => null } }).join(Customer, naming);
// @ts-expect-error all rows of a projection move, or none
joining.on(Order, { fold: { Placed: () => null } }).moving(Customer, { fold: { Named: () => null } });
joining.moving(Order, {
  // @ts-expect-error a row that moves without its key
  fold: { Placed: () => ({ customerId: null, cents: 1, name: null }) },
});
joining.moving(Order, {
  // @ts-expect-error keys of rows that move
  keys: () => 'a',
  fold: { Placed: () => null },
});

// --- queries

const byStatus = query('by_status', {
  input: z.object({ status: z.string(), limit: z.int().default(10) }),
  output: z.object({ items: z.array(z.object({ id: z.string(), note: z.string().nullable() })) }),
  reads: [Summary, Totals],
});

export const good = byStatus.handle(async ({ db, input }) => {
  const limit: number = input.limit;
  const items = await db
    .selectFrom('summary')
    .innerJoin('totals', 'totals.customerId', 'summary.id')
    .where('status', '=', 'placed')
    .select(['id', 'note', 'name', 'totals.cents'])
    .limit(limit)
    .execute();
  type _Item = Expect<
    Equal<(typeof items)[number], { id: string; note: string | null; name: string; cents: number }>
  >;
  const found: _Item = true;
  return { items: found ? items : [] };
});

byStatus.handle(async ({ db }) => ({
  // @ts-expect-error a table that the query does not read
  items: await db.selectFrom('others').select('id').execute(),
}));
byStatus.handle(async ({ db }) => ({
  // @ts-expect-error a column that the row does not have
  items: await db.selectFrom('summary').select(['id', 'notes']).execute(),
}));
byStatus.handle(async ({ db }) => ({
  // @ts-expect-error a value that the column cannot have
  items: await db.selectFrom('summary').where('status', '=', 'paid').select(['id', 'note']).execute(),
}));
byStatus.handle(({ db }) => {
  // @ts-expect-error queries only read
  db.insertInto('summary');
  return { items: [] };
});
// @ts-expect-error the output lacks a field
byStatus.handle(async ({ db }) => ({ items: await db.selectFrom('summary').select('id').execute() }));
byStatus.handle(({ input }) => {
  // @ts-expect-error the input has no such field
  return { items: [], page: input.page };
});

// --- apps

export const app = defineApp({
  auth: 'none',
  name: 'shop',
  aggregates: [Order, Customer],
  projections: [Summary, Totals],
  queries: [good],
});
export type _Names = Expect<Equal<(typeof app)['projections'][number]['name'], 'summary' | 'totals'>>;

// @ts-expect-error a query that has no handler yet
defineApp({ auth: 'none', name: 'shop', aggregates: [Order], queries: [byStatus] });
// @ts-expect-error the lists are not interchangeable
defineApp({ auth: 'none', name: 'shop', aggregates: [Summary] });
