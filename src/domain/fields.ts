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
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly maxLength?: number;
}

/** @throws DefinitionError when the schema describes something that JSON does not carry */
export function jsonSchemaOf(where: string, schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  try {
    const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' });
    return rest as JsonSchema; // zod types the document more loosely than it is
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
  value === null ? 'null' : Number.isInteger(value) ? 'integer' : typeof value;

/** All JSON types that a schema admits; `any` where it cannot be told. */
function typesIn(schema: JsonSchema): Set<string> {
  if (schema.anyOf) return new Set(schema.anyOf.flatMap((option) => [...typesIn(option)]));
  if (typeof schema.type === 'string') return new Set([schema.type]);
  if (Array.isArray(schema.type)) return new Set(schema.type as readonly string[]);
  if (schema.enum) return new Set(schema.enum.map(typeOfValue));
  if ('const' in schema) return new Set([typeOfValue(schema.const)]);
  return new Set(['any']);
}

function kindOf(types: ReadonlySet<string>): FieldKind {
  const [only, ...more] = [...types].filter((type) => type !== 'null');
  if (only === 'integer' && more.length === 1 && more[0] === 'number') return 'number';
  if (more.length > 0)
    return more.every((type) => type === 'integer') && only === 'number' ? 'number' : 'json';
  switch (only) {
    case 'string':
      return 'text';
    case 'integer':
    case 'number':
    case 'boolean':
      return only;
    default:
      return 'json';
  }
}

/** The fields of an object schema, in the order of the definition. */
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
