/** Which column a field needs, and which schemas do not describe JSON. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DefinitionError } from '../../../src/domain/errors.js';
import { fieldsOf, jsonSchemaOf } from '../../../src/domain/fields.js';

const told = (schema: z.ZodType): string => {
  const [field] = fieldsOf('row', z.object({ f: schema }));
  return `${field?.kind}${field?.nullable ? ' nullable' : ''}${field?.optional ? ' optional' : ''}`;
};

describe('kinds', () => {
  const kinds: readonly (readonly [string, z.ZodType, string])[] = [
    ['string', z.string(), 'text'],
    ['iso datetime', z.iso.datetime(), 'text'],
    ['uuid', z.uuid(), 'text'],
    ['email', z.email(), 'text'],
    ['trimmed', z.string().trim(), 'text'],
    ['template', z.templateLiteral(['o-', z.int()]), 'text'],
    ['enum', z.enum(['a', 'b']), 'text'],
    ['literal text', z.literal('a'), 'text'],
    ['int', z.int(), 'integer'],
    ['number().int()', z.number().int(), 'integer'],
    ['int32', z.int32(), 'integer'],
    ['uint32', z.uint32(), 'integer'],
    ['literal integer', z.literal(3), 'integer'],
    ['literal integers', z.literal([1, 2]), 'integer'],
    ['literal fraction', z.literal(1.5), 'number'],
    ['number', z.number(), 'number'],
    ['float64', z.float64(), 'number'],
    ['multiple', z.number().multipleOf(0.01), 'number'],
    ['int or number', z.union([z.int(), z.number()]), 'number'],
    ['boolean', z.boolean(), 'boolean'],
    ['literal true', z.literal(true), 'boolean'],
    ['text or int', z.union([z.string(), z.int()]), 'json'],
    ['mixed literals', z.literal(['a', 3]), 'json'],
    ['array', z.array(z.string()), 'json'],
    ['object', z.object({ a: z.int() }), 'json'],
    ['record', z.record(z.string(), z.int()), 'json'],
    [
      'discriminated',
      z.discriminatedUnion('k', [z.object({ k: z.literal('a') }), z.object({ k: z.literal('b') })]),
      'json',
    ],
    ['null', z.null(), 'json nullable'],
    ['any JSON', z.json(), 'json nullable'],
    ['unknown', z.unknown(), 'json nullable'],
    ['nullable text', z.string().nullable(), 'text nullable'],
    ['nullable enum', z.enum(['a']).nullable(), 'text nullable'],
    ['nullable int', z.int().nullable(), 'integer nullable'],
    ['nullable object', z.object({}).nullable(), 'json nullable'],
    ['text or null', z.union([z.string(), z.null()]), 'text nullable'],
    ['optional text', z.string().optional(), 'text optional'],
    ['text with default', z.string().default('x'), 'text'],
    ['readonly', z.array(z.int()).readonly(), 'json'],
    ['lazy', z.lazy(() => z.boolean()), 'boolean'],
    ['with an id of its own', z.string().meta({ id: 'OrderId' }), 'text'],
  ];
  test.each(kinds)('%s', (_name, schema, expected) => {
    expect(told(schema)).toBe(expected);
  });

  test('in the order of the definition', () => {
    const names = fieldsOf('row', z.object({ z: z.int(), a: z.int(), m: z.int() })).map(
      (field) => field.name,
    );
    expect(names).toEqual(['z', 'a', 'm']);
  });

  test('only of an object', () => {
    for (const schema of [z.string(), z.array(z.object({})), z.union([z.object({}), z.object({})])]) {
      expect(() => fieldsOf('projection p, row', schema)).toThrow(
        'projection p, row: expected z.object({…})',
      );
    }
  });
});

describe('what is no JSON', () => {
  const refused: readonly (readonly [string, z.ZodType])[] = [
    ['date', z.date()],
    ['bigint', z.bigint()],
    ['map', z.map(z.string(), z.string())],
    ['set', z.set(z.string())],
    ['symbol', z.symbol()],
    ['undefined', z.undefined()],
    ['void', z.void()],
    ['nan', z.nan()],
    ['custom', z.custom<string>()],
    ['instance', z.instanceof(Date)],
    ['function', z.custom<() => void>()],
    ['transform', z.string().transform(Number)],
    ['transform and pipe', z.string().transform(Number).pipe(z.number())],
    ['preprocess', z.preprocess((value) => value, z.number())],
    ['codec', z.codec(z.string(), z.number(), { decode: Number, encode: String })],
    ['stringbool', z.stringbool()],
    ['promise', z.promise(z.string())],
    ['file', z.file()],
    ['deep down', z.object({ a: z.array(z.record(z.string(), z.date())) })],
  ];
  test.each(refused)('%s', (_name, schema) => {
    for (const io of ['input', 'output'] as const) {
      const describing = (): unknown => jsonSchemaOf('event Placed', z.object({ f: schema }), io);
      expect(describing).toThrow(DefinitionError);
      expect(describing).toThrow(/^event Placed: a schema must describe JSON: /);
    }
  });

  test('no schema at all', () => {
    for (const other of [undefined, null, {}, 'text', () => z.string()]) {
      expect(() => jsonSchemaOf('event Placed', other as never, 'input')).toThrow(
        'event Placed: expected a zod schema',
      );
    }
  });
});

describe('JSON Schema', () => {
  test('input leaves out what has a default, output has it', () => {
    const schema = z.object({ a: z.int().default(1), b: z.string() });
    expect(jsonSchemaOf('x', schema, 'input').required).toEqual(['b']);
    expect(jsonSchemaOf('x', schema, 'output').required).toEqual(['a', 'b']);
  });

  test('has no references: shared parts stand where they are used, recursive ones end', () => {
    const Id = z.string().max(9).meta({ id: 'Id' });
    const Tree: z.ZodType = z.object({ id: Id, kids: z.array(z.lazy(() => Tree)) }).meta({ id: 'Tree' });
    const schema = z.object({ id: Id, default: Id.nullable(), tree: Tree, example: z.literal('#/$defs/Id') });
    const json = jsonSchemaOf('x', schema, 'input');
    const text = JSON.stringify(json);
    expect(text).not.toContain('$ref');
    expect(text).not.toMatch(/"\$defs"/);
    expect(json.properties?.['id']).toEqual({ type: 'string', maxLength: 9 });
    expect(json.properties?.['default']?.anyOf).toContainEqual({ type: 'string', maxLength: 9 });
    expect(json.properties?.['tree']?.properties?.['kids']?.items).toEqual({});
    expect(json.properties?.['example']?.const).toBe('#/$defs/Id');
    const self: z.ZodType = z.object({ next: z.lazy(() => self).nullable() });
    expect(JSON.stringify(jsonSchemaOf('x', self, 'output'))).not.toContain('$ref');
  });

  test('defaults that look like schemas stay as they are', () => {
    const value = { $ref: '#/$defs/None', id: 'a' };
    const json = jsonSchemaOf('x', z.object({ a: z.record(z.string(), z.string()).default(value) }), 'input');
    expect(json.properties?.['a']?.['default']).toEqual(value);
  });
});
