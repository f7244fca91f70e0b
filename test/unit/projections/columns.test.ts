/** A row gives the same JSON whether it comes from a fold or from the columns of its table. */
import fc from 'fast-check';
import { aggregate, projection } from 'tidemark';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { rowFromColumns, rowJsonFromColumns, rowToJson } from '../../../src/projections/columns.js';
import { rowFault } from '../../../src/projections/limits.js';

const Thing = aggregate('thing', {
  state: z.object({}),
  initial: {},
  events: { Made: z.object({}) },
  commands: {},
})
  .evolve({ Made: (state) => state })
  .decide({});
const Rows = projection('rows', {
  version: 1,
  row: z.object({
    id: z.string(),
    text: z.string().nullable(),
    maybe: z.string().optional(),
    n: z.int().nullable(),
    x: z.number(),
    yes: z.boolean(),
    any: z.union([z.string(), z.number(), z.array(z.string()), z.record(z.string(), z.int()), z.null()]),
  }),
  key: 'id',
  indexes: [['text', 'maybe']],
}).on(Thing, { fold: { Made: () => null } });

const text = fc.string({ unit: 'binary' }).filter((one) => one.isWellFormed());
const rows = fc.record(
  {
    id: text,
    text: fc.option(text),
    maybe: text,
    n: fc.option(fc.maxSafeInteger()),
    x: fc.double({ noNaN: true, noDefaultInfinity: true }),
    yes: fc.boolean(),
    any: fc.oneof(
      text,
      fc.integer(),
      fc.array(text),
      fc.dictionary(fc.string(), fc.integer()),
      fc.constant(null),
    ),
  },
  { requiredKeys: ['id', 'text', 'n', 'x', 'yes', 'any'] },
);

it('is the same JSON by either way, in the order of the definition', () => {
  fc.assert(
    fc.property(rows, (row) => {
      // As the driver gives them: json as its text, and what is absent as NULL.
      const values = Rows.fields.map(({ name, kind }) => {
        const value = Object.entries(row).find(([field]) => field === name)?.[1];
        if (value === undefined || value === null) return null;
        return kind === 'json' ? JSON.stringify(value) : value;
      });
      const json = rowToJson(Rows, row);
      expect(rowJsonFromColumns(Rows, values)).toBe(json);
      expect(rowToJson(Rows, rowFromColumns(Rows, values))).toBe(json);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(row)));
      const order = Rows.fields.map(({ name }) => name).filter((name) => name in row);
      expect(Object.keys(JSON.parse(json))).toEqual(order);
    }),
  );
});

it('is refused when Postgres could not hold it, and only then', () => {
  const row = { id: 'a', text: 'b', n: 1, x: 1, yes: true, any: null };
  const faultOf = (change: object): string | undefined => {
    const changed = { ...row, ...change };
    return rowFault(Rows, changed, rowToJson(Rows, changed));
  };
  expect(faultOf({})).toBeUndefined();
  expect(faultOf({ text: 'a\\u0000 and \\ud800 as they stand' })).toBeUndefined();
  expect(faultOf({ text: '😀'.repeat(100) })).toBeUndefined();
  expect(faultOf({ text: 'a\u0000' })).toMatch(/\/text: .*NUL/);
  expect(faultOf({ any: { 'a\ud800': 1 } })).toMatch(/surrogates/);
  expect(faultOf({ any: ['x', '\udfff'] })).toMatch(/\/any\/1/);
  expect(faultOf({ text: 'x'.repeat(2_499) })).toBeUndefined();
  expect(faultOf({ text: 'x'.repeat(2_500) })).toMatch(/text, maybe, id have 2501 bytes/);
  expect(faultOf({ text: 'é'.repeat(700), maybe: 'é'.repeat(700) })).toMatch(/2801 bytes/);
  expect(faultOf({ any: 'é'.repeat(261_000) })).toBeUndefined();
  expect(faultOf({ any: 'é'.repeat(262_144) })).toMatch(/the row is \d+ bytes/);
});
