/** Row scopes: checked, put beside what a read asks for, and told apart. */
import { createHash } from 'node:crypto';
import type { Field } from '../domain/fields.js';
import type { AnyProjection } from '../domain/projection.js';
import type { RowScope, ScopeValue } from '../domain/rights.js';

type Conditions = Readonly<Record<string, ScopeValue>>;

function fits(field: Field, value: unknown): value is ScopeValue {
  switch (field.kind) {
    case 'text':
      return typeof value === 'string' && value.isWellFormed() && !value.includes('\0');
    case 'integer':
      return Number.isSafeInteger(value);
    case 'number':
      return Number.isFinite(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'json':
      return false;
  }
}

/**
 * What a rule gave, if it is a scope of the projection’s rows. An object without a condition is none: it most likely came
 * of a value that was not there, and would give away all rows.
 * @returns the scope with its fields in one order, or what is wrong with it
 */
export function checkedScope(
  projection: AnyProjection,
  given: unknown,
): RowScope | { readonly wrong: string } {
  if (typeof given === 'boolean') return given;
  if (typeof given !== 'object' || given === null || Array.isArray(given) || 'then' in given)
    return { wrong: 'expected true, false, or an object, field → value' };
  const entries = Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return { wrong: 'expected at least one field; true is for all rows' };
  const conditions: [string, ScopeValue][] = [];
  for (const [name, value] of entries) {
    const field = projection.fields.find((one) => one.name === name);
    if (!field || field.kind === 'json')
      return { wrong: `"${name}" is no text, number or boolean of the row` };
    const isNull = value === null && (field.nullable || field.optional);
    if (!isNull && !fits(field, value))
      return { wrong: `"${name}": expected a value of its type, ${field.kind}` };
    conditions.push([name, isNull ? null : Object.is(value, -0) ? 0 : value]);
  }
  return Object.freeze(Object.fromEntries(conditions));
}

/**
 * A short name of a scope, for positions that are bound to it; undefined for all rows, as while rights are off. The fields
 * stand in one order (`checkedScope`). Hex, as it stands at the end of the epochs that sockets are given.
 */
export const scopeHash = (scope: RowScope): string | undefined =>
  scope === true ? undefined : createHash('sha256').update(JSON.stringify(scope)).digest('hex').slice(0, 24);

/** Both have to hold. @returns undefined where no row can have both, `{}` where all rows are asked for and may be */
export function conditionsWithin(where: Conditions, scope: RowScope): Conditions | undefined {
  if (scope === true) return where;
  if (scope === false) return undefined;
  const contradicts = Object.entries(scope).some(
    ([name, value]) => Object.hasOwn(where, name) && where[name] !== value,
  );
  return contradicts ? undefined : { ...where, ...scope };
}

/** Whether a row is one of those; a field that is absent from it counts as null. */
export const rowWithin = (scope: RowScope, row: Readonly<Record<string, unknown>>): boolean =>
  typeof scope === 'boolean'
    ? scope
    : Object.entries(scope).every(([name, value]) => (row[name] ?? null) === value);
