/**
 * Rows as columns and as JSON. A row is the same JSON text over HTTP, in snapshots and in the change log: its fields in
 * the order of the definition, an absent field left out (SQL NULL where the field is optional).
 */
import type { Field, FieldKind } from '../domain/fields.js';
import type { AnyProjection, RowValue } from '../domain/projection.js';
import { quoteIdent } from '../platform/postgres/database.js';

export interface ReadModelColumn {
  readonly field: Field;
  /** Quoted: `"customerId"`. */
  readonly name: string;
  /** SQL type with its collation. */
  readonly type: string;
}

type Described = Pick<AnyProjection, 'fields'>;

const TYPES: Readonly<Record<FieldKind, string>> = {
  text: 'text COLLATE "C"',
  integer: 'bigint',
  number: 'double precision',
  boolean: 'boolean',
  json: 'json',
};

const columns = new WeakMap<readonly Field[], readonly ReadModelColumn[]>();

/** The columns of a read-model table in the order of the definition, without `_rev`. */
export function readModelColumns(projection: Described): readonly ReadModelColumn[] {
  const known = columns.get(projection.fields);
  if (known) return known;
  const made = projection.fields.map((field) =>
    Object.freeze({ field, name: quoteIdent(field.name), type: TYPES[field.kind] }),
  );
  columns.set(projection.fields, made);
  return made;
}

/** `"orderId", "customerId", …`, for a select list; `prefix` is an alias with its dot. */
export const columnList = (projection: Described, prefix = ''): string =>
  readModelColumns(projection)
    .map(({ name }) => prefix + name)
    .join(', ');

/**
 * A row from its column values.
 * @param values in the order of `readModelColumns`, as `Database` gives them (json as text); further ones are ignored
 */
export function rowFromColumns(projection: Described, values: readonly unknown[]): RowValue {
  const row: Record<string, unknown> = {};
  for (const [index, field] of projection.fields.entries()) {
    const value = values[index];
    if (value === null || value === undefined) {
      if (!field.optional) row[field.name] = null;
    } else {
      row[field.name] = field.kind === 'json' && typeof value === 'string' ? JSON.parse(value) : value;
    }
  }
  return row;
}

const prefixes = new WeakMap<readonly Field[], readonly string[]>();

function prefixesOf({ fields }: Described): readonly string[] {
  const known = prefixes.get(fields);
  if (known) return known;
  const made = fields.map(({ name }) => `${JSON.stringify(name)}:`);
  prefixes.set(fields, made);
  return made;
}

/** The JSON text of a row from its column values (as for `rowFromColumns`); nested JSON is passed on as it is stored. */
export function rowJsonFromColumns(projection: Described, values: readonly unknown[]): string {
  const names = prefixesOf(projection);
  let text = '';
  for (const [index, field] of projection.fields.entries()) {
    const value = values[index];
    let json: string;
    if (value === null || value === undefined) {
      if (field.optional) continue;
      json = 'null';
    } else {
      json = field.kind === 'json' && typeof value === 'string' ? value : JSON.stringify(value);
    }
    text += `${text === '' ? '' : ','}${names[index] ?? ''}${json}`;
  }
  return `{${text}}`;
}

/** The JSON text of a row, as it goes to the change log, to sockets and to Kafka. */
export function rowToJson(projection: Described, row: RowValue): string {
  const names = prefixesOf(projection);
  let text = '';
  for (const [index, field] of projection.fields.entries()) {
    const value = row[field.name];
    if (value === undefined || (value === null && field.optional)) continue;
    text += `${text === '' ? '' : ','}${names[index] ?? ''}${JSON.stringify(value)}`;
  }
  return `{${text}}`;
}
