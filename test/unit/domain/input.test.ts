/** What comes from outside: shape, unknown fields, texts, depth, and the places that faults are told at. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseInput } from '../../../src/domain/input.js';
import { jsonPointer } from '../../../src/domain/texts.js';

const faults = (schema: z.ZodType, value: unknown): string[] => {
  const parsed = parseInput(schema, value);
  return parsed.ok ? [] : parsed.faults.map(({ path, message }) => `${path} ${message}`);
};
const paths = (schema: z.ZodType, value: unknown): string[] => {
  const parsed = parseInput(schema, value);
  return parsed.ok ? [] : parsed.faults.map(({ path }) => path);
};

const Order = z.object({
  customer: z.string(),
  lines: z.array(z.object({ sku: z.string(), quantity: z.int().min(1) })).max(100),
  note: z.string().optional(),
  page: z.int().default(1),
  parts: z.record(z.string(), z.object({ n: z.int() })).optional(),
});
const good = { customer: 'ann', lines: [{ sku: 'tea', quantity: 2 }] };

describe('what fits', () => {
  test('comes back with its defaults', () => {
    expect(parseInput(Order, good)).toEqual({ ok: true, value: { ...good, page: 1 } });
  });

  test('parts that no schema looks into are handed on', () => {
    const value = { anything: { a: [1, { b: null }] } };
    expect(parseInput(z.object({ anything: z.unknown() }), value)).toEqual({ ok: true, value });
    expect(parseInput(z.looseObject({ a: z.int() }), { a: 1, b: 2 })).toEqual({
      ok: true,
      value: { a: 1, b: 2 },
    });
    expect(parseInput(z.object({ j: z.json() }), { j: { a: [1, 'x', null] } }).ok).toBe(true);
  });
});

describe('unknown fields', () => {
  test.each<readonly [unknown, string[]]>([
    [{ ...good, colour: 1 }, ['/colour']],
    [
      {
        ...good,
        lines: [
          { sku: 'a', quantity: 1 },
          { sku: 'b', quantity: 1, colour: 1 },
        ],
      },
      ['/lines/1/colour'],
    ],
    [{ ...good, parts: { 'a/b~c': { n: 1, m: 2 } } }, ['/parts/a~1b~0c/m']],
    [{ ...good, a: 1, b: 2 }, ['/a', '/b']],
  ])('%j', (value, expected) => {
    expect(paths(Order, value)).toEqual(expected);
  });

  test('strict schemas say the same', () => {
    expect(faults(z.strictObject({ a: z.strictObject({}) }), { a: { b: 1 }, c: 1 })).toEqual([
      '/a/b unknown field',
      '/c unknown field',
    ]);
  });

  test('in intersections, tuples, unions, nullable and lazy parts', () => {
    const Tree: z.ZodType = z.object({ kids: z.array(z.lazy(() => Tree)) });
    const schema = z.object({
      both: z.intersection(z.object({ a: z.int() }), z.object({ b: z.int() })),
      pair: z.tuple([z.object({ x: z.int() }), z.string()]),
      either: z.union([z.object({ a: z.int() }), z.object({ b: z.int() })]),
      maybe: z.object({ n: z.int() }).nullable(),
      tree: Tree,
    });
    const value = {
      both: { a: 1, b: 2 },
      pair: [{ x: 1 }, 's'],
      either: { b: 2 },
      maybe: { n: 1 },
      tree: { kids: [{ kids: [] }] },
    };
    expect(paths(schema, value)).toEqual([]);
    expect(paths(schema, { ...value, both: { a: 1, b: 2, c: 3 } })).toEqual(['/both/c']);
    expect(paths(schema, { ...value, pair: [{ x: 1, y: 2 }, 's'] })).toEqual(['/pair/0/y']);
    expect(paths(schema, { ...value, either: { b: 2, c: 1 } })).toEqual(['/either/c']);
    expect(paths(schema, { ...value, maybe: { n: 1, m: 1 } })).toEqual(['/maybe/m']);
    expect(paths(schema, { ...value, tree: { kids: [{ kids: [], more: 1 }] } })).toEqual([
      '/tree/kids/0/more',
    ]);
  });

  test('names of every object are unknown as well', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      expect(paths(z.object({}), { [name]: 1 })).toEqual([`/${name}`]);
    }
  });

  test('__proto__ is refused at any depth, in records and in what no schema looks into', () => {
    const parsed: unknown = JSON.parse('{"a": {"__proto__": {"admin": true}}}');
    for (const schema of [
      z.object({ a: z.object({}) }),
      z.object({ a: z.record(z.string(), z.unknown()) }),
      z.object({ a: z.unknown() }),
      z.looseObject({}),
    ]) {
      expect(faults(schema, parsed)).toEqual(['/a/__proto__ field name: expected another name']);
    }
    expect(Object.hasOwn({}, 'admin')).toBe(false);
  });
});

describe('texts', () => {
  test('NUL and unpaired surrogates, in values and names', () => {
    const schema = z.object({ a: z.array(z.string()), r: z.record(z.string(), z.string()) });
    expect(
      faults(schema, { a: ['ok', 'a\u0000b', '\ud800'], r: { 'k\u0000': 'x', '\udfff': '\udfff' } }),
    ).toEqual([
      '/a/1 expected a text without NUL',
      '/a/2 expected a text without unpaired surrogates',
      '/r/k\u0000 field name: expected a text without NUL',
      '/r/\udfff field name: expected a text without unpaired surrogates',
      '/r/\udfff expected a text without unpaired surrogates',
    ]);
  });

  test('pairs are whole characters', () => {
    expect(parseInput(z.string(), '🦆').ok).toBe(true);
    expect(parseInput(z.string(), '🦆'.slice(0, 1)).ok).toBe(false);
  });
});

describe('places', () => {
  test('a pointer leads back to the value', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 6 }), (path) => {
        const parts = jsonPointer(path)
          .split('/')
          .slice(1)
          .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
        expect(parts).toEqual(path);
      }),
    );
  });

  test('shape faults are told where they are', () => {
    expect(paths(Order, { ...good, lines: [{ sku: 1, quantity: 0 }] })).toEqual([
      '/lines/0/sku',
      '/lines/0/quantity',
    ]);
    expect(paths(Order, {})).toEqual(['/customer', '/lines']);
    expect(paths(Order, null)).toEqual(['']);
    expect(paths(Order, [])).toEqual(['']);
  });

  test('a union tells the faults of the branch that came closest', () => {
    const schema = z.object({
      by: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('card'), number: z.string(), year: z.int() }),
        z.object({ kind: z.literal('cash') }),
      ]),
    });
    expect(paths(schema, { by: { kind: 'card', number: 1, year: 'x' } })).toEqual(['/by/number', '/by/year']);
    expect(paths(schema, { by: { kind: 'cheque' } })).toEqual(['/by/kind']);
    const plain = z.object({ by: z.union([z.string(), z.object({ a: z.int(), b: z.int() })]) });
    expect(paths(plain, { by: { a: 1, b: 'x' } })).toEqual(['/by/b']);
    expect(paths(plain, { by: 7 })).toEqual(['/by']);
    const strict = z.union([z.strictObject({ a: z.int() }), z.strictObject({ b: z.int() })]);
    expect(paths(strict, { a: 1, c: 1 })).toEqual(['/c']);
  });

  test('messages do not repeat what was sent', () => {
    const secret = 'hunter2-hunter2';
    const told = faults(Order, {
      customer: [secret],
      lines: [{ sku: { secret }, quantity: secret }],
      note: 1,
    });
    expect(told.length).toBeGreaterThan(2);
    expect(told.join()).not.toContain(secret);
  });
});

describe('numbers', () => {
  test.each([1.5, 2 ** 53, -(2 ** 53), Number.NaN, Number.POSITIVE_INFINITY, '1', null, true])(
    '%j is no integer',
    (value) => {
      expect(parseInput(z.int(), value).ok).toBe(false);
    },
  );
  test.each([0, -1, 2 ** 53 - 1])('%j is one', (value) => {
    expect(parseInput(z.int(), value).ok).toBe(true);
  });
  test('JSON’s 1e400 is no number', () => {
    expect(parseInput(z.number(), JSON.parse('1e400')).ok).toBe(false);
  });
});

describe('bounds', () => {
  const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

  test('64 levels, whatever the schema', () => {
    expect(parseInput(z.unknown(), nested(64)).ok).toBe(true);
    expect(faults(z.unknown(), nested(65))).toEqual([`${'/0'.repeat(64)} expected at most 64 levels`]);
    expect(faults(z.unknown(), nested(200_000))).toHaveLength(1);
  });

  test('at most 50 faults', () => {
    expect(faults(z.array(z.string()), Array(500).fill('\u0000'))).toHaveLength(50);
    expect(faults(z.array(z.string()), Array(500).fill(1))).toHaveLength(50);
    expect(
      faults(z.object({}), Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, 1]))),
    ).toHaveLength(50);
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, 1]));
    expect(faults(z.strictObject({}), many)).toHaveLength(50);
  });

  test('a list far over its limit is one fault', () => {
    const lines = Array.from({ length: 300_000 }, () => 0);
    expect(paths(Order, { ...good, lines })).toEqual(['/lines']);
  });
});

test('what is taken is what JSON would give back', () => {
  const schema = z.object({
    a: z.json().optional(),
    b: z.array(z.int()).optional(),
    c: z.record(z.string(), z.json()).optional(),
  });
  const value = fc.record(
    { a: fc.jsonValue(), b: fc.array(fc.integer()), c: fc.dictionary(fc.string(), fc.jsonValue()) },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(value, (input) => {
      const sent: unknown = JSON.parse(JSON.stringify(input));
      const parsed = parseInput(schema, sent);
      if (parsed.ok) expect(parsed.value).toEqual(sent);
      else
        expect(
          parsed.faults.every(({ message }) => /__proto__|another name|surrogates|NUL/.test(message)),
        ).toBe(true);
    }),
  );
});
