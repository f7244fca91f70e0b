/** Queries and apps: what a definition is refused for. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../../../src/domain/aggregate.js';
import { defineApp, isApp } from '../../../src/domain/app.js';
import { DefinitionError } from '../../../src/domain/errors.js';
import { projection } from '../../../src/domain/projection.js';
import { query } from '../../../src/domain/query.js';
import { everyone } from '../../support/rights.js';

const makeAggregate = (name: string) =>
  aggregate(name, { state: z.object({}), initial: {}, events: { Placed: z.object({}) }, commands: {} })
    .evolve({ Placed: () => ({}) })
    .decide({});
const makeProjection = (name: string, version = 1) =>
  projection(name, { version, row: z.object({ id: z.string() }), key: 'id' });
const Order = makeAggregate('order');
const Summary = makeProjection('summary').on(Order, { fold: { Placed: () => ({}) } });
const makeQuery = (name: string, reads = [Summary]) =>
  query(name, { input: z.object({}), output: z.object({ n: z.int() }), reads }).handle(() => ({ n: 1 }));

describe('queries', () => {
  const define = (change: object, name = 'orders'): unknown =>
    query(name, { input: z.object({}), output: z.int(), reads: [Summary], ...change } as never);
  const refused: readonly (readonly [string, () => unknown, string])[] = [
    ['a bad name', () => define({}, 'orders-of'), 'query name "orders-of": expected'],
    [
      'an input that is no object',
      () => define({ input: z.string() }),
      'query orders: input: expected z.object({…})',
    ],
    [
      'an input with a Date',
      () => define({ input: z.object({ at: z.date() }) }),
      'query orders, input: a schema must describe JSON',
    ],
    [
      'an output with a Map',
      () => define({ output: z.map(z.string(), z.int()) }),
      'query orders, output: a schema must describe JSON',
    ],
    [
      'an input named after',
      () => define({ input: z.object({ after: z.string() }) }),
      'input field "after" collides with a query parameter; reserved are after, wait',
    ],
    [
      'an input named wait',
      () => define({ input: z.object({ wait: z.int() }) }),
      'input field "wait" collides',
    ],
    [
      'nothing to read',
      () => define({ reads: [] }),
      'query orders: expected at least one projection in reads',
    ],
    [
      'a table twice',
      () => define({ reads: [Summary, makeProjection('summary', 2)] }),
      'query orders: two reads of one name',
    ],
    [
      'no handler',
      () =>
        query('orders', { input: z.object({}), output: z.int(), reads: [Summary] }).handle(
          undefined as never,
        ),
      'query orders: expected handle to be given a function',
    ],
  ];
  test.each(refused)('%s', (_name, run, text) => {
    expect(run).toThrow(DefinitionError);
    expect(run).toThrow(text);
  });

  test('page, limit and sort are a query’s own', () => {
    const input = z.object({ page: z.int(), limit: z.int(), sort: z.string() });
    expect(() => define({ input })).not.toThrow();
  });

  test('answer asynchronously, whatever the handler does', async () => {
    const throwing = query('q', { input: z.object({}), output: z.int(), reads: [Summary] }).handle(() => {
      throw new Error('handler');
    });
    await expect(throwing.handle({ db: undefined, input: {}, principal: everyone })).rejects.toThrow(
      'handler',
    );
    expect(await makeQuery('q').handle({ db: undefined, input: {}, principal: everyone })).toEqual({ n: 1 });
  });
});

describe('apps', () => {
  const define = (change: object): unknown =>
    defineApp({
      auth: 'none',
      name: 'shop',
      aggregates: [Order],
      projections: [Summary],
      queries: [makeQuery('orders')],
      ...change,
    } as never);
  const Twin = makeAggregate('order');
  const refused: readonly (readonly [string, () => unknown, string])[] = [
    ['a bad name', () => define({ name: 'Shop' }), 'app name "Shop": expected'],
    ['no aggregate', () => define({ aggregates: [] }), 'app shop: expected at least one aggregate'],
    ['shards 0', () => define({ shards: 0 }), 'app shop: shards 0: expected a whole number from 1 to 256'],
    ['shards 257', () => define({ shards: 257 }), 'shards 257: expected'],
    ['shards 1.5', () => define({ shards: 1.5 }), 'shards 1.5: expected'],
    ['shards as text', () => define({ shards: '16' }), 'shards 16: expected'],
    [
      'two aggregates of one name',
      () => define({ aggregates: [Order, Twin] }),
      'app shop: two aggregates of one name: order',
    ],
    [
      'two versions of one projection',
      () =>
        define({
          projections: [Summary, makeProjection('summary', 2).on(Order, { fold: { Placed: () => ({}) } })],
        }),
      'app shop: two projections of one name: summary',
    ],
    [
      'two queries of one name',
      () => define({ queries: [makeQuery('a'), makeQuery('a')] }),
      'app shop: two queries of one name: a',
    ],
    [
      'a projection without source',
      () => define({ projections: [Summary, makeProjection('other')] }),
      'projection other: expected at least one .on(aggregate, …)',
    ],
    [
      'a projection of an aggregate that is not there',
      () => define({ aggregates: [makeAggregate('payment')] }),
      'projection summary follows aggregate order, which is not in app shop',
    ],
    [
      'a projection of a twin of the aggregate',
      () => define({ aggregates: [Twin] }),
      'projection summary follows aggregate order, which is not in app shop',
    ],
    [
      'a query of a projection that is not there',
      () => define({ projections: [] }),
      'query orders reads summary v1, which is not in app shop',
    ],
    [
      'a query of another version',
      () =>
        define({ projections: [makeProjection('summary', 2).on(Order, { fold: { Placed: () => ({}) } })] }),
      'query orders reads summary v1, which is not in app shop',
    ],
    [
      'a projection in the wrong list',
      () => define({ aggregates: [Order, Summary] }),
      'app shop: aggregate 2 of the list: expected what aggregate(…).evolve(…).decide(…) gives',
    ],
    [
      'an aggregate that is not finished',
      () => define({ aggregates: [undefined] }),
      'aggregate 1 of the list',
    ],
    [
      'a query without handler',
      () => define({ queries: [query('q', { input: z.object({}), output: z.int(), reads: [Summary] })] }),
      'query 1 of the list: expected what query(…).handle(…) gives',
    ],
  ];
  test.each(refused)('%s', (_name, run, text) => {
    expect(run).toThrow(DefinitionError);
    expect(run).toThrow(text);
  });

  test('are frozen, with 16 shards unless told otherwise', () => {
    const aggregates = [Order];
    const app = defineApp({ auth: 'none', name: 'shop', aggregates });
    expect(app).toMatchObject({ kind: 'app', name: 'shop', shards: 16, projections: [], queries: [] });
    aggregates.push(Twin);
    expect(app.aggregates).toHaveLength(1);
    for (const part of [app, app.aggregates, app.projections, app.queries])
      expect(Object.isFrozen(part)).toBe(true);
    expect(defineApp({ auth: 'none', name: 'shop', aggregates: [Order], shards: 256 }).shards).toBe(256);
  });

  test('are told from whatever else a module may export', () => {
    expect(isApp(defineApp({ auth: 'none', name: 'shop', aggregates: [Order] }))).toBe(true);
    for (const other of [undefined, null, 'app', {}, { kind: 'app' }, Order, Summary, () => undefined]) {
      expect(isApp(other)).toBe(false);
    }
  });
});
