/** Keyset paging: "after this row" as SQL, in the orders of `projections/ordering.ts`. */
import { quoteIdent } from '../platform/postgres/database.js';
import type { Field } from '../domain/fields.js';
import type { SortField } from '../projections/ordering.js';
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

/** `field = value`, null included. @param prefix an alias with its dot */
export const equals = (field: Field, value: FilterValue, values: Values, prefix = ''): string =>
  value === null
    ? `${prefix}${quoteIdent(field.name)} IS NULL`
    : `${prefix}${quoteIdent(field.name)} = ${values.ofField(field, value)}`;

interface Step extends SortField {
  /** The field’s value in the row to go on after. */
  readonly value: FilterValue;
  /** Rows that have null here are looked for too. */
  readonly nulls: boolean;
}

/** Rows whose field alone comes after the value; undefined where none can. */
function strictlyAfter({ field, descending, value, nulls }: Step, values: Values): string | undefined {
  const column = quoteIdent(field.name);
  if (value === null) return descending ? `${column} IS NOT NULL` : undefined;
  const beyond = `${column} ${descending ? '<' : '>'} ${values.ofField(field, value)}`;
  return nulls && !descending ? `(${beyond} OR ${column} IS NULL)` : beyond;
}

/**
 * A row comparison is one index range, however many fields it has, but it is never true for a null that decides: right
 * where fields fall from a value (nulls came before), wrong where they rise.
 */
function canCompareRows(steps: readonly Step[]): boolean {
  const descending = steps[0]?.descending;
  return steps.every(
    (step) => step.descending === descending && (!step.nulls || (step.descending && step.value !== null)),
  );
}

function afterSteps(steps: readonly Step[], values: Values): string {
  const [first, ...rest] = steps;
  if (!first) return 'false';
  const { field, descending, value } = first;
  if (canCompareRows(steps)) {
    const columns = steps.map((step) => quoteIdent(step.field.name)).join(', ');
    const placeholders = steps.map((step) => values.ofField(step.field, step.value)).join(', ');
    return `(${columns}) ${descending ? '<' : '>'} (${placeholders})`;
  }
  const beyond = strictlyAfter(first, values);
  if (rest.length === 0) return beyond ?? 'false';
  const tied = `(${equals(field, value, values)} AND ${afterSteps(rest, values)})`;
  const either = beyond === undefined ? tied : `(${beyond} OR ${tied})`;
  if (value === null || (first.nulls && !descending)) return either;
  // Says nothing new, but lets the planner begin at the right place of an index on the first field.
  return `(${quoteIdent(field.name)} ${descending ? '<=' : '>='} ${values.ofField(field, value)} AND ${either})`;
}

/**
 * The conditions for rows that come after the one with these sort values: disjoint, in the order of the rows. They are two
 * where nulls still follow the values of the first field, as one condition over both could use no index range.
 * @param after one value for each field of `sort`
 */
export function rangesAfter(
  sort: readonly SortField[],
  after: readonly FilterValue[],
  values: Values,
): readonly string[] {
  const steps = sort.map((one, at): Step => ({
    ...one,
    value: after[at] ?? null,
    nulls: one.field.nullable || one.field.optional,
  }));
  const [first, ...rest] = steps;
  if (!first?.nulls || first.descending || first.value === null) return [afterSteps(steps, values)];
  const valued = afterSteps([{ ...first, nulls: false }, ...rest], values);
  return [valued, `${quoteIdent(first.field.name)} IS NULL`];
}
