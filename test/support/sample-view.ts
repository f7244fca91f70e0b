/** A projection with a field of every kind, for tests of reads: its rows are put into the tables as they are. */
import { aggregate, defineApp, idText, projection, query } from 'tidemark';
import { z } from 'zod';
import type { FilterValue } from '../../src/queries/parameters.js';

export const Thing = aggregate('thing', {
  state: z.object({ seen: z.int() }),
  initial: { seen: 0 },
  events: { Seen: z.object({ name: idText() }) },
  commands: { see: z.object({ name: idText() }) },
})
  .evolve({ Seen: (state) => ({ seen: state.seen + 1 }) })
  .decide({ see: (_state, input, { emit }) => emit('Seen', { name: input.name }) });

export const SampleRow = z.object({
  id: z.string(),
  name: z.string(),
  note: z.string().nullable(),
  amount: z.int().nullable(),
  ratio: z.number(),
  flag: z.boolean().nullable(),
  extra: z.string().optional(),
  tags: z.array(z.string()),
  secret: z.string(),
});
export type SampleRow = z.output<typeof SampleRow>;

export const Sample = projection('sample', {
  version: 1,
  row: SampleRow,
  key: 'id',
  indexes: [['name', 'amount'], 'note', 'amount', 'ratio', 'extra'],
  channels: ['name', ['name', 'flag']],
}).on(Thing, {
  fold: {
    Seen: (_row, event) => ({
      name: event.data.name,
      note: null,
      amount: event.version,
      ratio: 0.5,
      flag: null,
      tags: ['new'],
      secret: 's',
    }),
  },
});

export const Tally = projection('tally', {
  version: 3,
  row: z.object({ name: z.string(), count: z.int(), total: z.number() }),
  key: 'name',
}).on(Thing, {
  keys: (event) => event.data.name,
  fold: { Seen: (row) => ({ count: (row?.count ?? 0) + 1, total: row?.total ?? 0 }) },
});

/** Fields that a listing of `sample` may sort by. */
export const SORTABLE = ['id', 'name', 'note', 'amount', 'ratio', 'flag', 'extra'] as const;
export type Sortable = (typeof SORTABLE)[number];
export const valueIn = (row: SampleRow, field: Sortable): FilterValue => row[field] ?? null;

const byName = query('by_name', {
  input: z.object({
    name: z.string(),
    limit: z.int().min(1).max(100).default(10),
    flags: z.array(z.boolean()).optional(),
    atLeast: z.number().nullable().optional(),
  }),
  output: z.object({ items: z.array(SampleRow), total: z.int() }),
  reads: [Sample],
}).handle(async ({ db, input }) => {
  let rows = db.selectFrom('sample').where('name', '=', input.name);
  if (input.flags) rows = rows.where('flag', 'in', input.flags);
  if (typeof input.atLeast === 'number') rows = rows.where('ratio', '>=', input.atLeast);
  const [items, counted] = await Promise.all([
    rows.selectAll().orderBy('id').limit(input.limit).execute(),
    rows.select(({ fn }) => fn.countAll<number>().as('n')).executeTakeFirstOrThrow(),
  ]);
  // SQL has null where a row has no such field.
  const shown = items.map(({ extra, ...row }) => (extra === null ? row : { ...row, extra }));
  return { items: shown, total: counted.n };
});

export const sampleApp = defineApp({
  auth: 'none',
  name: 'samples',
  aggregates: [Thing],
  projections: [Sample, Tally],
  queries: [byName],
  shards: 4,
});
