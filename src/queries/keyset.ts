/**
 * Keyset paging: order and "after this row" as SQL. Nulls count as greater than every value, as Postgres orders by
 * default: last where a field rises, first where it falls; so one index serves both directions.
 */
import { quoteIdent } from '../platform/postgres/database.js';
import type { Field } from '../domain/fields.js';
import type { SortField } from './list-request.js';
import type { FilterValue } from './parameters.js';

const SQL_TYPES = {
  text: 'text',
  integer: 'bigint',
  number: 'double precision',
  boolean: 'boolean',
  json: 'json',
} as const;

/** Collects the values of a statement; gives the placeholder of each, with its type. */
export class Values {
  readonly list: unknown[] = [];

  add(value: unknown, type: string): string {
    return `$${this.list.push(value)}::${type}`;
  }

  ofField(field: Field, value: FilterValue): string {
    return this.add(value, SQL_TYPES[field.kind]);
  }
}

/** `field = value`, null included. */
export const equals = (field: Field, value: FilterValue, values: Values): string =>
  value === null
    ? `${quoteIdent(field.name)} IS NULL`
    : `${quoteIdent(field.name)} = ${values.ofField(field, value)}`;

/** The text behind ORDER BY. */
export const orderBy = (sort: readonly SortField[]): string =>
  sort.map(({ field, descending }) => quoteIdent(field.name) + (descending ? ' DESC' : '')).join(', ');

const mayBeNull = ({ field }: SortField): boolean => field.nullable || field.optional;

/** Rows whose field alone comes after `value`; undefined where none can. */
function strictlyAfter(one: SortField, value: FilterValue, values: Values): string | undefined {
  const column = quoteIdent(one.field.name);
  if (value === null) return one.descending ? `${column} IS NOT NULL` : undefined;
  const beyond = `${column} ${one.descending ? '<' : '>'} ${values.ofField(one.field, value)}`;
  return !one.descending && mayBeNull(one) ? `(${beyond} OR ${column} IS NULL)` : beyond;
}

/**
 * The condition for rows that come after the one with these sort values.
 * @param after one value for each field of `sort`
 */
export function afterRow(sort: readonly SortField[], after: readonly FilterValue[], values: Values): string {
  const [first, ...rest] = sort;
  if (!first) return 'false';
  const sameWay = rest.every(({ descending }) => descending === first.descending);
  if (sameWay && !sort.some(mayBeNull)) {
    // A row comparison is one index range, however many fields it has.
    const columns = sort.map(({ field }) => quoteIdent(field.name)).join(', ');
    const placeholders = sort.map(({ field }, at) => values.ofField(field, after[at] ?? null)).join(', ');
    return `(${columns}) ${first.descending ? '<' : '>'} (${placeholders})`;
  }
  const value = after[0] ?? null;
  const beyond = strictlyAfter(first, value, values);
  if (rest.length === 0) return beyond ?? 'false';
  const tied = `(${equals(first.field, value, values)} AND ${afterRow(rest, after.slice(1), values)})`;
  const either = beyond === undefined ? tied : `(${beyond} OR ${tied})`;
  if (value === null || mayBeNull(first)) return either;
  // Says nothing new, but lets the planner begin at the right place of an index on the first field.
  return `(${quoteIdent(first.field.name)} ${first.descending ? '<=' : '>='} ${values.ofField(first.field, value)} AND ${either})`;
}
