/** Projections that a handler writes: what they are, and what a definition is refused for. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../../../src/domain/aggregate.js';
import { defineApp } from '../../../src/domain/app.js';
import { DefinitionError } from '../../../src/domain/errors.js';
import { projection } from '../../../src/domain/projection.js';
import { query } from '../../../src/domain/query.js';
import { tables } from '../../../src/domain/tables.js';

const makeAggregate = (name: string) =>
  aggregate(name, { state: z.object({}), initial: {}, events: { Placed: z.object({}) }, commands: {} })
    .evolve({ Placed: () => ({}) })
    .decide({});
const Order = makeAggregate('order');
const Refund = makeAggregate('refund');
const columns = z.object({
  day: z.string(),
  cents: z.int(),
  note: z.string().optional(),
  parts: z.array(z.int()),
});
const table = { columns, primaryKey: ['day'] } as const;
const handler = async (): Promise<void> => undefined;
const Sales = tables('sales', {
  version: 2,
  tables: { sales: { ...table, indexes: [['cents', 'day'], 'note'] }, sales_log: table },
  batch: 50,
})
  .on(Order)
  .on(Refund)
  .handle(handler);

test('tables, sources and bounds, frozen', () => {
  expect(Sales).toMatchObject({
    kind: 'tables',
    name: 'sales',
    version: 2,
    manyStreams: true,
    attempts: 3,
    batch: 50,
  });
  expect(Sales.tables.map(({ name, primaryKey, indexes }) => ({ name, primaryKey, indexes }))).toEqual([
    { name: 'sales', primaryKey: ['day'], indexes: [['cents', 'day'], ['note']] },
    { name: 'sales_log', primaryKey: ['day'], indexes: [] },
  ]);
  expect(Sales.tables[0]?.fields.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    'day text',
    'cents integer',
    'note text',
    'parts json',
  ]);
  expect(Sales.sources.map((source) => source.aggregate.name)).toEqual(['order', 'refund']);
  expect(Object.isFrozen(Sales) && Object.isFrozen(Sales.tables) && Object.isFrozen(Sales.sources)).toBe(
    true,
  );
});

test('a handler that throws before its first await is a rejected promise', async () => {
  const Broken = tables('sales', { version: 1, tables: { sales: table } })
    .on(Order)
    .handle(() => {
      throw new Error('no');
    });
  await expect(Broken.handle({ db: undefined, events: [] })).rejects.toThrow('no');
});

describe('a definition is refused for', () => {
  const define = (change: object, name = 'sales'): unknown =>
    tables(name, { version: 1, tables: { sales: table }, ...change } as never);
  const refused: readonly (readonly [string, () => unknown, string])[] = [
    ['a bad name', () => define({}, 'sales-by-day'), 'projection name "sales-by-day": expected'],
    [
      'the name of a table of Tidemark',
      () => define({}, 'events'),
      'projection name "events" collides with a table',
    ],
    ['version 0', () => define({ version: 0 }), 'projection sales: version 0: expected a whole number'],
    ['no tables', () => define({ tables: {} }), 'projection sales: expected at least one table'],
    [
      'a bad name of a table',
      () => define({ tables: { 'By Day': table } }),
      'projection sales: table name "By Day": expected',
    ],
    [
      'a table of the name of one of Tidemark',
      () => define({ tables: { checkpoints: table } }),
      'projection sales: table name "checkpoints" collides with a table',
    ],
    [
      'a table that looks like a version of another',
      () => define({ tables: { sales__v2: table } }),
      'collides with a table; reserved are',
    ],
    [
      'columns that are no object',
      () => define({ tables: { sales: { ...table, columns: z.string() } } }),
      'projection sales, table sales, columns: expected z.object({…})',
    ],
    [
      'columns of any name',
      () => define({ tables: { sales: { ...table, columns: z.looseObject({ day: z.string() }) } } }),
      'columns: expected z.object({…}) without other fields',
    ],
    [
      'a date',
      () => define({ tables: { sales: { ...table, columns: z.object({ day: z.date() }) } } }),
      'a schema must describe JSON',
    ],
    [
      'no primary key',
      () => define({ tables: { sales: { columns } } }),
      'projection sales, table sales: primary key of 0 fields: expected 1 to 8',
    ],
    [
      'a primary key that is no column',
      () => define({ tables: { sales: { columns, primaryKey: ['sku'] } } }),
      'primary key on "sku", which is no field; fields are day, cents, note, parts',
    ],
    [
      'a primary key that may be absent',
      () => define({ tables: { sales: { columns, primaryKey: ['note'] } } }),
      'primary key on "note", which may be absent or null',
    ],
    [
      'a primary key of JSON',
      () => define({ tables: { sales: { columns, primaryKey: ['parts'] } } }),
      'primary key on "parts", which is not a text, number or boolean',
    ],
    [
      'an index on what is no column',
      () => define({ tables: { sales: { ...table, indexes: ['sku'] } } }),
      'index on "sku", which is no field',
    ],
    ['no attempts', () => define({ attempts: 0 }), 'attempts 0: expected a whole number from 1 to 100'],
    ['a huge batch', () => define({ batch: 10_001 }), 'batch 10001: expected a whole number from 1 to 10000'],
    ['half a millisecond', () => define({ timeoutMs: 0.5 }), 'timeoutMs 0.5: expected a whole number'],
    [
      'a source that is no aggregate',
      () => tables('sales', { version: 1, tables: { sales: table } }).on({} as never),
      'projection sales: .on(…): expected what aggregate(…).evolve(…).decide(…) gives',
    ],
    [
      'a source twice',
      () =>
        tables('sales', { version: 1, tables: { sales: table } })
          .on(Order)
          .on(Order),
      'projection sales: .on(order) stands there twice',
    ],
    [
      'a handler that is none',
      () =>
        tables('sales', { version: 1, tables: { sales: table } })
          .on(Order)
          .handle('sql' as never),
      'projection sales: expected handle to be given a function',
    ],
  ];
  test.each(refused)('%s', (_what, make, message) => {
    expect(make).toThrow(DefinitionError);
    expect(make).toThrow(message);
  });
});

describe('an app', () => {
  const Summary = projection('summary', { version: 1, row: z.object({ id: z.string() }), key: 'id' }).on(
    Order,
    {
      fold: { Placed: () => ({}) },
    },
  );
  const app = (change: object): unknown =>
    defineApp({
      auth: 'none',
      name: 'shop',
      aggregates: [Order, Refund],
      projections: [Summary, Sales],
      ...change,
    } as never);

  test('has all projections, and apart those with a view', () => {
    expect(app({})).toMatchObject({ projections: [Summary, Sales], views: [Summary] });
  });

  test('lets a query read tables beside rows', () => {
    const sales = query('all_sales', {
      input: z.object({}),
      output: z.int(),
      reads: [Summary, Sales],
    }).handle(() => 1);
    expect(app({ queries: [sales] })).toMatchObject({ queries: [{ reads: [Summary, Sales] }] });
  });

  const another = (name: string, table_: string) =>
    tables(name, { version: 1, tables: { [table_]: table } })
      .on(Order)
      .handle(handler);
  const refused: readonly (readonly [string, object, string])[] = [
    [
      'a projection before its end',
      { projections: [tables('sales', { version: 1, tables: { sales: table } }).on(Order)] },
      'projection 1 of the list: expected what projection(…).on(…) or tables(…).on(…).handle(…) gives',
    ],
    [
      'one that follows nothing',
      { projections: [tables('sales', { version: 1, tables: { sales: table } }).handle(handler)] },
      'projection sales: expected at least one .on(aggregate)',
    ],
    [
      'one that follows a stranger',
      { aggregates: [Order] },
      'projection sales follows aggregate refund, which is not in',
    ],
    [
      'a table of the name of a view',
      { projections: [Summary, another('more', 'summary')] },
      'app shop: table summary of projection more has a name of projection summary',
    ],
    [
      'a table of two projections',
      { projections: [Sales, another('more', 'sales_log')] },
      'app shop: table sales_log of projection more has a name of projection sales',
    ],
    [
      'two projections of one name',
      { projections: [Sales, another('sales', 'x')] },
      'two projections of one name: sales',
    ],
  ];
  test.each(refused)('refuses %s', (_what, change, message) => {
    expect(() => app(change)).toThrow(message);
  });
});
