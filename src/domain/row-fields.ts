/** What projections ask of their fields: of rows that are kept by key, and of tables that a handler writes. */
import type { z } from 'zod';
import { DefinitionError } from './errors.js';
import { fieldsOf, jsonSchemaOf, type Field } from './fields.js';
import { checkFieldName } from './identifiers.js';

/** Names of the columns whose values are all of `V`. */
export type ColumnOf<S extends z.ZodObject, V> = {
  [F in keyof z.output<S>]-?: z.output<S>[F] extends V ? F : never;
}[keyof z.output<S>] &
  string;
export type IndexColumn<S extends z.ZodObject> = ColumnOf<S, string | number | boolean | null | undefined>;

const MAX_FIELDS = 200;
const MAX_TUPLE = 8;
export const namesOf = (fields: readonly Field[]): string => fields.map((field) => field.name).join(', ');

function checkTupleField(where: string, kind: string, fields: readonly Field[], name: string): void {
  const field = fields.find((candidate) => candidate.name === name);
  if (!field)
    throw new DefinitionError(
      `${where}: ${kind} on "${name}", which is no field; fields are ${namesOf(fields)}`,
    );
  if (field.kind === 'json')
    throw new DefinitionError(`${where}: ${kind} on "${name}", which is not a text, number or boolean`);
  if (kind === 'channel' && field.optional)
    throw new DefinitionError(
      `${where}: channel on "${name}", which may be absent; make it nullable instead`,
    );
}

/** Tuples of fields that can be columns of an index or a key, or channels. @throws DefinitionError with what was expected */
export function tuples(
  where: string,
  kind: 'index' | 'channel' | 'primary key',
  fields: readonly Field[],
  given: readonly (string | readonly string[])[],
): readonly (readonly string[])[] {
  const seen = new Set<string>();
  return given.map((one) => {
    const tuple: readonly string[] = typeof one === 'string' ? [one] : [...one];
    if (tuple.length === 0 || tuple.length > MAX_TUPLE)
      throw new DefinitionError(`${where}: ${kind} of ${tuple.length} fields: expected 1 to ${MAX_TUPLE}`);
    for (const name of tuple) checkTupleField(where, kind, fields, name);
    const id = JSON.stringify(kind === 'channel' ? tuple.toSorted() : tuple);
    if (seen.has(id) || new Set(tuple).size < tuple.length)
      throw new DefinitionError(`${where}: ${kind} ${tuple.join(', ')} stands there twice`);
    seen.add(id);
    return Object.freeze(tuple);
  });
}

/** The fields of a row (or of a table's columns, as `what` says). @throws DefinitionError with what was expected */
export function checkedFields(where: string, what: string, row: z.ZodType): readonly Field[] {
  const fields = fieldsOf(`${where}, ${what}`, row);
  if (jsonSchemaOf(where, row, 'output')['additionalProperties'] !== false)
    throw new DefinitionError(
      `${where}, ${what}: expected z.object({…}) without other fields (loose, catchall)`,
    );
  if (fields.length > MAX_FIELDS)
    throw new DefinitionError(
      `${where}, ${what}: ${fields.length} fields: expected at most ${MAX_FIELDS}; put what is never filtered by into one`,
    );
  for (const field of fields) {
    checkFieldName(where, field.name);
    if (field.optional && field.nullable) {
      throw new DefinitionError(
        `${where}: field "${field.name}" is both optional and nullable, which a column cannot tell apart`,
      );
    }
  }
  return Object.freeze(fields);
}

/** @throws DefinitionError unless it is a whole number that a table's name has room for */
export function checkVersion(where: string, version: unknown): void {
  if (!Number.isInteger(version) || Number(version) < 1 || Number(version) > 999_999)
    throw new DefinitionError(
      `${where}: version ${String(version)}: expected a whole number from 1 to 999999`,
    );
}
