/** Consumers as they are defined, and what they make of a record. */
import { aggregate, command, consume, defineApp, projection } from 'tidemark';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { ConsumedRecord, SentCommand } from '../../../src/domain/consume.js';

const named = <N extends string>(name: N) =>
  aggregate(name, {
    state: z.object({ paid: z.boolean() }),
    initial: { paid: false },
    events: { Paid: z.object({ cents: z.int() }) },
    commands: { pay: z.object({ cents: z.int() }) },
  })
    .evolve({ Paid: () => ({ paid: true }) })
    .decide({ pay: (_state, { cents }, { emit }) => emit('Paid', { cents }) });

const Order = named('order');
const Invoice = named('invoice');

const schema = z.object({ order: z.string(), cents: z.int() });
const options = { topic: 'billing.payments', schema, sends: [Order] } as const;
const payments = (name = 'payments', more: object = {}) =>
  consume(name, { ...options, ...more }).handle(({ data }) =>
    command(Order, data.order, 'pay', { cents: data.cents }),
  );

const record = (data: unknown, more: Partial<ConsumedRecord> = {}): ConsumedRecord => ({
  data,
  id: 'p-1',
  key: null,
  headers: {},
  topic: 'billing.payments',
  partition: 0,
  offset: 7,
  ...more,
});

test('a record becomes the commands that the handler answers with', () => {
  expect(payments().take(record({ order: 'o-1', cents: 5, note: 'not of the schema' }))).toEqual({
    kind: 'commands',
    commands: [
      { kind: 'command', aggregate: 'order', streamId: 'o-1', command: 'pay', payload: { cents: 5 } },
    ],
  });
});

test('none and several commands are as good as one', () => {
  const split = consume('split', { ...options, sends: [Order, Invoice] }).handle(({ data, id }) =>
    data.cents === 0
      ? []
      : [command(Order, data.order, 'pay', { cents: 1 }), command(Invoice, id, 'pay', { cents: 2 })],
  );
  expect(split.take(record({ order: 'o-1', cents: 0 }))).toEqual({ kind: 'commands', commands: [] });
  expect(split.take(record({ order: 'o-1', cents: 3 }))).toMatchObject({
    commands: [{ aggregate: 'order' }, { aggregate: 'invoice', streamId: 'p-1' }],
  });
});

test('what the schema does not know is left out, and what it refuses is told', () => {
  expect(payments().take(record({ order: 'o-1', cents: 'five' }))).toMatchObject({
    kind: 'refused',
    faults: [{ path: '/cents' }],
  });
  expect(payments().take(record(null))).toMatchObject({ kind: 'refused' });
  expect(payments().take(record({ order: 'a\u0000b', cents: 1 }))).toEqual({
    kind: 'refused',
    faults: [{ path: '/order', message: 'expected a text without NUL' }],
  });
  const unknown = { order: 'o-1', cents: 1, 'a\u0000': 1 };
  expect(payments().take(record(unknown))).toMatchObject({ kind: 'commands' });
});

test.each(['paid', ['refunded', 'paid']])('of types %j, others are passed over', (type) => {
  const some = payments('some', { type });
  const data = { order: 'o-1', cents: 1 };
  expect(some.take(record(data, { type: 'paid' }))).toMatchObject({ kind: 'commands' });
  expect(some.take(record(data, { type: 'voided' }))).toEqual({ kind: 'passed_over' });
  // Not even looked at.
  expect(some.take(record('nonsense'))).toEqual({ kind: 'passed_over' });
});

test('a handler cannot write into its record', () => {
  const vandal = consume('vandal', options).handle((given) => {
    Object.assign(given.data, { cents: 0 });
    return [];
  });
  expect(() => vandal.take(record({ order: 'o-1', cents: 1 }))).toThrow(TypeError);
});

test.each<[string, unknown, RegExp]>([
  ['nothing', undefined, /gave undefined/],
  ['a promise', Promise.resolve([]), /gave a promise/],
  ['other things', [{ pay: 1 }], /gave object/],
  [
    'an aggregate not in sends',
    { kind: 'command', aggregate: 'invoice' },
    /"invoice", which is not in sends/,
  ],
  [
    'an unknown command',
    { kind: 'command', aggregate: 'order', command: 'toString' },
    /no command "toString"/,
  ],
])('a handler that answers with %s is told', (_what, answer, message) => {
  // What no compiler let through: JavaScript, or a cast.
  const wrong = consume('wrong', options).handle(() => answer as SentCommand<'order'>);
  const taking = () => wrong.take(record({ order: 'o-1', cents: 1 }));
  expect(taking).toThrow(message);
  expect(taking).toThrow(expect.objectContaining({ code: 'invalid_command' }));
});

test.each<[string, () => unknown, RegExp]>([
  ['a name', () => payments('Payments'), /consumer name "Payments": expected/],
  ['a topic', () => payments('a', { topic: 'what ever' }), /topic "what ever": expected/],
  ['a topic of dots', () => payments('a', { topic: '..' }), /topic ".."/],
  ['no types', () => payments('a', { type: [] }), /type: expected a CloudEvents type/],
  ['a blank type', () => payments('a', { type: ['x', ' '] }), /type: expected a CloudEvents type/],
  ['no aggregate', () => payments('a', { sends: [] }), /at least one aggregate in sends/],
  ['an aggregate twice', () => payments('a', { sends: [Order, Order] }), /two aggregates of one name/],
  ['no schema', () => payments('a', { schema: {} }), /schema: expected a zod schema/],
  ['a schema of no JSON', () => payments('a', { schema: z.date() }), /consumer a, schema/],
  ['no attempts', () => payments('a', { attempts: 0 }), /attempts 0: expected a whole number from 1/],
])('%s that cannot work is refused where it is defined', (_what, define, message) => {
  expect(define).toThrow(message);
  expect(define).toThrow(expect.objectContaining({ code: 'invalid_definition' }));
});

test('an application checks its consumers', () => {
  const app = { auth: 'none', name: 'shop', aggregates: [Order] } as const;
  expect(defineApp(app).consumers).toEqual([]);
  expect(defineApp({ ...app, consumers: [payments()] }).consumers).toHaveLength(1);
  expect(() => defineApp({ ...app, consumers: [payments(), payments()] })).toThrow(
    'two consumers of one name: payments',
  );
  const strange = consume('strange', { ...options, sends: [Invoice] }).handle(() => []);
  expect(() => defineApp({ ...app, consumers: [strange] })).toThrow(
    'consumer strange sends commands to aggregate invoice, which is not in app shop',
  );
  const long = payments('long', { topic: 'x'.repeat(240) });
  expect(() => defineApp({ ...app, consumers: [long] })).toThrow('expected at most 231');
  const Totals = projection('totals', { version: 1, row: z.object({ id: z.string() }), key: 'id' }).on(
    Order,
    {
      fold: { Paid: () => ({}) },
    },
  );
  const twin = payments('twin', { topic: 'totals' });
  expect(() => defineApp({ ...app, projections: [Totals], consumers: [twin] })).toThrow(
    'topic totals has a projection’s name',
  );
  // What a forgotten `.handle(…)` leaves.
  const half = consume('half', options) as unknown as ReturnType<typeof payments>;
  expect(() => defineApp({ ...app, consumers: [half] })).toThrow('expected what consume(…).handle(…) gives');
});
