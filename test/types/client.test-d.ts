/** What the compiler knows of an application from the client’s side: payloads, rows, inputs and outputs. Checked by `tsc`; nothing runs. */
import { aggregate, defineApp, projection, query, tables } from 'tidemark';
import { createClient, type CommandResult, type LiveStore, type Page } from 'tidemark/client';
import { z } from 'zod';
import { WebSocket } from 'ws';
import type { Equal, Expect } from './expect.js';

const Order = aggregate('order', {
  state: z.object({}),
  initial: {},
  events: { Placed: z.object({ cents: z.int() }) },
  commands: { place: z.object({ cents: z.int(), note: z.string().default('') }), pay: z.object({}) },
})
  .evolve({ Placed: (state) => state })
  .decide({ place: (_state, { cents }, { emit }) => emit('Placed', { cents }), pay: () => [] });

const Customer = aggregate('customer', {
  state: z.object({}),
  initial: {},
  events: { Named: z.object({ name: z.string() }) },
  commands: { rename: z.object({ name: z.string() }) },
})
  .evolve({ Named: (state) => state })
  .decide({ rename: (_state, input, { emit }) => emit('Named', input) });

const summaryRow = z.object({
  id: z.string(),
  customerId: z.string(),
  status: z.enum(['placed', 'paid']),
  cents: z.int(),
  note: z.string().optional(),
  paidAt: z.string().nullable(),
  parts: z.array(z.string()),
});
type SummaryRow = z.output<typeof summaryRow>;
const Summary = projection('summary', {
  version: 1,
  row: summaryRow,
  key: 'id',
  indexes: ['cents'],
  channels: ['status'],
}).on(Order, { fold: {} });
const Names = projection('names', {
  version: 1,
  row: z.object({ customerId: z.string(), name: z.string() }),
  key: 'customerId',
}).on(Customer, { fold: { Named: (_row, { data }) => data } });
const Sales = tables('sales', {
  version: 1,
  tables: { days: { columns: z.object({ day: z.string(), cents: z.int() }), primaryKey: ['day'] } },
})
  .on(Order)
  .handle(async () => undefined);
const largest = query('largest', {
  input: z.object({ status: z.string().optional(), limit: z.int().default(10) }),
  output: z.object({ items: z.array(summaryRow) }),
  reads: [Summary],
}).handle(() => ({ items: [] }));

export const app = defineApp({
  auth: 'none',
  name: 'shop',
  aggregates: [Order, Customer],
  projections: [Summary, Names, Sales],
  queries: [largest],
});

const client = createClient<typeof app>({ url: 'http://127.0.0.1:3000' });

// Good ones: by name and by definition.
const placed = client.command('order', 'o-1', 'place', { cents: 1 });
const renamed = client.command(Customer, 'c-1', 'rename', { name: 'Ann' }, { expectedVersion: 3 });
const row = client.view('summary', 'o-1', { after: 'token' });
const rowByDefinition = client.view(Names, 'c-1');
const page = client.view(Summary, {
  where: { status: 'placed', cents: 3 },
  sort: ['-cents', 'id'],
  limit: 5,
});
const found = client.query(largest, {});
const live = client.live('summary', { where: { status: 'placed', paidAt: null }, sort: '-cents', limit: 50 });
const state = client.peek(Names, { key: 'c-1' });
export type Checks = [
  Expect<Equal<typeof placed, Promise<CommandResult>>>,
  Expect<Equal<typeof renamed, Promise<CommandResult>>>,
  Expect<Equal<typeof row, Promise<SummaryRow | null>>>,
  Expect<Equal<typeof rowByDefinition, Promise<{ customerId: string; name: string } | null>>>,
  Expect<Equal<typeof page, Promise<Page<SummaryRow>>>>,
  Expect<Equal<typeof found, Promise<{ items: SummaryRow[] }>>>,
  Expect<Equal<typeof live, LiveStore<SummaryRow>>>,
  Expect<Equal<(typeof state.rows)[number], { customerId: string; name: string }>>,
];
client.subscribe(
  'summary',
  { key: 'o-1', from: 'cursor' },
  {
    snapshot: (rows) => rows.map(([key, rev, { cents }]) => [key satisfies string, rev + cents]),
    changes: (rows, at) => rows.map(([, , one]) => at + (one?.cents ?? 0)),
  },
);
void client.command(
  'order',
  'o-1',
  'pay',
  {},
  { optimistic: (expect) => expect('summary', 'o-1', (one) => one && { ...one, status: 'paid' }) },
);
client.optimistic(Names, 'c-1', () => ({ customerId: 'c-1', name: 'Ann' })).rollback();

// Of an application whose type is not known, everything goes, and nothing is known of what comes.
const any = createClient({ WebSocket });
void any.command('order', 'o-1', 'place', { cents: 1 });
const anything = any.live('summary', { where: { status: 'placed' }, sort: '-cents' });
export type AnyChecks = [Expect<Equal<(typeof anything.rows)[number], Readonly<Record<string, unknown>>>>];

// Mistakes.
// @ts-expect-error there is no such aggregate
void client.command('invoice', 'i-1', 'place', {});
// @ts-expect-error the command is another aggregate’s
void client.command('order', 'o-1', 'rename', { name: 'Ann' });
// @ts-expect-error of another aggregate, by definition
void client.command(Order, 'o-1', 'rename', { name: 'Ann' });
// @ts-expect-error a payload without what it must have
void client.command('order', 'o-1', 'place', {});
// @ts-expect-error a payload of another type
void client.command('order', 'o-1', 'place', { cents: '1' });
// @ts-expect-error tables have no view
void client.view('sales', 'd-1');
// @ts-expect-error there is no such view
client.live('summaries');
// @ts-expect-error there is no such field
client.live('summary', { where: { colour: 'red' } });
// @ts-expect-error a field has a value of its type
client.live('summary', { where: { status: 'lost' } });
// @ts-expect-error nobody filters by a list
client.live('summary', { where: { parts: [] } });
// @ts-expect-error nobody sorts by a list
client.live('summary', { sort: 'parts' });
// @ts-expect-error there is no such query
void client.query('smallest', {});
// @ts-expect-error the input has another type
void client.query('largest', { limit: 'ten' });
// @ts-expect-error what is expected of a row is a row
client.optimistic('names', 'c-1', () => ({ customerId: 'c-1' }));
// @ts-expect-error rows are nobody’s to change
live.rows.push();
