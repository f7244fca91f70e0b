/** Input of a named query from a query string: texts become what the input's schema has there. */
import { fieldsOf, type Field, type JsonSchema } from '../domain/fields.js';
import type { AnyQuery } from '../domain/query.js';
import { valueOf, type Parameters } from './parameters.js';

/** Parameters of the route itself; an input has no field of these names. */
const OWN: ReadonlySet<string> = new Set(['after', 'wait']);

const isArray = (schema: JsonSchema): boolean =>
  schema.type === 'array' || (schema.anyOf ?? []).some((option) => option.type === 'array');

const itemsOf = (schema: JsonSchema): JsonSchema =>
  schema.items ?? (schema.anyOf ?? []).find((option) => option.type === 'array')?.items ?? {};

type ValueField = Pick<Field, 'kind' | 'nullable'>;

const ITEM_KINDS: Readonly<Record<string, Field['kind']>> = {
  string: 'text',
  integer: 'integer',
  number: 'number',
  boolean: 'boolean',
};

const itemField = ({ schema }: Field): ValueField => {
  const { type } = itemsOf(schema);
  return { kind: (typeof type === 'string' ? ITEM_KINDS[type] : undefined) ?? 'json', nullable: false };
};

/** A text that fits no type stays a text: the schema's own check then says what it expected. */
function coerced(field: ValueField, text: string): unknown {
  // An input that may be absent is left out, not sent empty.
  const value = valueOf({ ...field, optional: false }, text);
  if (value !== undefined) return value;
  if (field.kind !== 'json') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Makes the reader of a query's parameters once, as it looks at the schema. */
export function inputReader(query: AnyQuery): (parameters: Parameters) => Record<string, unknown> {
  const fields = new Map(
    fieldsOf(`query ${query.name}, input`, query.input, 'input').map((field) => [field.name, field]),
  );
  const items = new Map(
    [...fields.values()]
      .filter(({ schema }) => isArray(schema))
      .map((field) => [field.name, itemField(field)]),
  );
  return (parameters) => {
    const input: [string, unknown][] = [];
    for (const [name, texts] of parameters) {
      if (OWN.has(name)) continue;
      const field = fields.get(name);
      const item = items.get(name);
      const [first = ''] = texts;
      if (item) input.push([name, texts.map((text) => coerced(item, text))]);
      else if (field && texts.length === 1) input.push([name, coerced(field, first)]);
      // Unknown, or given more than once: the schema's check refuses it.
      else input.push([name, texts.length === 1 ? first : texts]);
    }
    return Object.fromEntries(input);
  };
}
