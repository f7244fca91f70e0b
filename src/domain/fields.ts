/**
 * What a schema looks like as JSON Schema, and which kind of column a field of a row needs. Going through JSON Schema
 * keeps the rule "schemas describe JSON": what JSON cannot carry (Date, bigint, transforms) is refused at definition.
 */
import { z } from 'zod';
import { DefinitionError } from './errors.js';

export interface JsonSchema {
  readonly [key: string]: unknown;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly maxLength?: number;
}

/**
 * zod would describe one side of these and say nothing of the other: what is stored would not be what was checked, and
 * a field that a transform took away would look like one that the schema does not know.
 */
const NOT_JSON: Readonly<Record<string, string>> = {
  pipe: 'a transform, pipe or codec changes what JSON carries',
  transform: 'a transform changes what JSON carries',
  promise: 'a promise is no JSON',
  file: 'a file is no JSON',
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keywords that hold data, not schemas. */
const DATA_KEYWORDS: readonly string[] = ['default', 'const', 'enum', 'examples', 'required'];

type Definitions = Readonly<Record<string, unknown>>;

const mapValues = (value: object, change: (part: unknown, name: string) => unknown): object =>
  Object.fromEntries(Object.entries(value).map(([name, part]) => [name, change(part, name)]));

/** Puts each `$ref` target in its place, so that a part can stand by itself; where a schema contains itself: `{}`. */
function inlined(value: unknown, definitions: Definitions, within: readonly string[]): unknown {
  const inner = (part: unknown): unknown => inlined(part, definitions, within);
  if (Array.isArray(value)) return value.map(inner);
  if (!isRecord(value)) return value;
  const { $ref: ref } = value;
  if (typeof ref === 'string') {
    const target = within.includes(ref) ? {} : definitions[ref.replace('#/$defs/', '')];
    const { $ref: _ref, ...beside } = value;
    return { ...(inlined(target ?? {}, definitions, [...within, ref]) as object), ...beside };
  }
  return mapValues(value, (part, name) => {
    if (name === 'properties' && isRecord(part)) return mapValues(part, inner);
    return DATA_KEYWORDS.includes(name) ? part : inner(part);
  });
}

/**
 * The JSON Schema (2020-12) of a schema, without `$ref`, so that it can be put into any document.
 * @param io `input` is what a caller sends (fields with a default may be absent), `output` what is stored
 * @throws DefinitionError when the schema describes something that JSON does not carry
 */
export function jsonSchemaOf(where: string, schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  if (typeof schema?.safeParse !== 'function') throw new DefinitionError(`${where}: expected a zod schema`);
  try {
    const {
      $schema: _dialect,
      $defs: definitions,
      ...rest
    } = z.toJSONSchema(schema, {
      io,
      target: 'draft-2020-12',
      override: ({ zodSchema }) => {
        const why = NOT_JSON[zodSchema._zod.def.type];
        if (why !== undefined) throw new Error(why);
      },
    });
    return inlined(rest, definitions ?? {}, ['#']) as JsonSchema; // zod types the document more loosely than it is
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DefinitionError(`${where}: a schema must describe JSON: ${why}`, { cause });
  }
}

/** `text` strings and enums, `integer` safe integers, `number` doubles, `boolean`, `json` everything else. */
export type FieldKind = 'text' | 'integer' | 'number' | 'boolean' | 'json';

export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  /** `null` is a value of the field. */
  readonly nullable: boolean;
  /** The field may be absent. */
  readonly optional: boolean;
  readonly schema: JsonSchema;
}

const typeOfValue = (value: unknown): string =>
  value === null ? 'null' : Number.isSafeInteger(value) ? 'integer' : typeof value;

/** All JSON types that a schema admits; `any` where it cannot be told. */
function typesIn(schema: JsonSchema): Set<string> {
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return new Set(options.flatMap((option) => [...typesIn(option)]));
  // Values come before types: `z.literal(3)` is a number by type and an integer by value.
  if (schema.enum) return new Set(schema.enum.map(typeOfValue));
  if ('const' in schema) return new Set([typeOfValue(schema.const)]);
  if (typeof schema.type === 'string') return new Set([schema.type]);
  if (Array.isArray(schema.type)) return new Set(schema.type as readonly string[]);
  return new Set(['any']);
}

const COLUMN_KINDS: Readonly<Record<string, FieldKind>> = {
  string: 'text',
  integer: 'integer',
  number: 'number',
  boolean: 'boolean',
};

function kindOf(types: ReadonlySet<string>): FieldKind {
  const kinds = new Set([...types].filter((type) => type !== 'null').map((type) => COLUMN_KINDS[type]));
  if (kinds.has('number')) kinds.delete('integer');
  const [only, ...more] = kinds;
  return more.length === 0 ? (only ?? 'json') : 'json';
}

/** The fields of an object schema, in the order of the definition. @throws DefinitionError when it is no plain object */
export function fieldsOf(
  where: string,
  schema: z.ZodType,
  io: 'input' | 'output' = 'output',
): readonly Field[] {
  const json = jsonSchemaOf(where, schema, io);
  if (json.type !== 'object' || !json.properties)
    throw new DefinitionError(`${where}: expected z.object({…})`);
  const required = new Set(json.required ?? []);
  return Object.entries(json.properties).map(([name, property]) => {
    const types = typesIn(property);
    const nullable = types.has('null') || types.has('any');
    const optional = !required.has(name);
    return Object.freeze({ name, kind: kindOf(types), nullable, optional, schema: property });
  });
}
