/** What a listing asks for: filters, order, limit, checked against what the projection declares. */
import { createHash } from 'node:crypto';
import type { Field } from '../domain/fields.js';
import { idFault } from '../domain/identifiers.js';
import type { AnyProjection } from '../domain/projection.js';
import type { RowScope } from '../domain/rights.js';
import { TidemarkError, type Fault } from '../platform/errors.js';
import {
  decisive,
  DEFAULT_LIMIT,
  listFields,
  MAX_LIMIT,
  readSort,
  sortText,
  type SortField,
} from '../projections/ordering.js';
import { windowName, type CursorBinding } from '../protocol/positions.js';
import {
  expectedOf,
  fault,
  invalidParameter,
  single,
  valueOf,
  wholeNumber,
  type FilterValue,
  type Parameters,
} from './parameters.js';

export interface Filter {
  readonly field: Field;
  readonly value: FilterValue;
}

export interface ListRequest {
  /** By field name, each field once. */
  readonly filters: readonly Filter[];
  /** Ends with the key; fields that a filter holds still are left out. */
  readonly sort: readonly SortField[];
  readonly limit: number;
  /** Order and limit as a live window names them, which may go on from the first page. */
  readonly window: string;
  /** The page token as it came. */
  readonly page: string | undefined;
  /** The same request gives the same text. */
  readonly canonical: string;
}

const PARAMETERS = new Set(['sort', 'limit', 'page', 'after', 'wait']);

function unknownField(projection: AnyProjection, at: string, names: readonly string[]): TidemarkError {
  const known = [...listFields(projection).keys()];
  const message = `${projection.name} filters and sorts by ${known.join(', ')} only`;
  return new TidemarkError('unknown_field', message, {
    faults: names.map((name) =>
      fault(at || name, at ? `no such sort field: ${name}` : 'no such filter field'),
    ),
    extra: { known },
  });
}

function filtersOf(projection: AnyProjection, parameters: Parameters): Filter[] {
  const fields = listFields(projection);
  const given = [...parameters.keys()].filter((name) => !PARAMETERS.has(name));
  const unknown = given.filter((name) => !fields.has(name));
  if (unknown.length > 0) throw unknownField(projection, '', unknown);
  const faults: Fault[] = [];
  const filters: Filter[] = [];
  for (const name of given.sort()) {
    const field = fields.get(name);
    const text = single(parameters, name);
    if (!field || text === undefined) continue;
    const value = valueOf(field, text);
    const wrong =
      value === undefined ? expectedOf(field) : name === projection.key ? idFault(String(value)) : undefined;
    if (value === undefined || wrong !== undefined) faults.push(fault(name, wrong ?? expectedOf(field)));
    else filters.push({ field, value });
  }
  if (faults.length > 0) throw invalidParameter(faults);
  return filters;
}

function sortOf(projection: AnyProjection, text: string | undefined): readonly SortField[] {
  const read = readSort(projection, text);
  if ('fault' in read) throw invalidParameter([fault('sort', read.fault)]);
  if ('unknown' in read) throw unknownField(projection, 'sort', read.unknown);
  return read.sort;
}

/**
 * @throws TidemarkError `unknown_field` (with the list of those that are known), `invalid_parameter`
 */
export function parseListRequest(projection: AnyProjection, parameters: Parameters): ListRequest {
  const filters = filtersOf(projection, parameters);
  const asked = sortOf(projection, single(parameters, 'sort'));
  const limit = wholeNumber(parameters, 'limit', { min: 1, max: MAX_LIMIT, fallback: DEFAULT_LIMIT });
  const sort = decisive(projection, asked, new Set(filters.map(({ field }) => field.name)));
  const canonical = JSON.stringify([
    projection.name,
    filters.map(({ field, value }) => [field.name, value]),
    sort.map(({ field, descending }) => [field.name, descending]),
    limit,
  ]);
  const window = windowName(sortText(asked), limit);
  return { filters, sort, limit, window, page: single(parameters, 'page'), canonical };
}

/** What a page belongs to. */
export interface PageOf {
  readonly request: ListRequest;
  /** As `scopeHash` gives it. */
  readonly scope: string | undefined;
}

/** A short name of a request and the rows that it sees, for its pages: those of one are no good for another. */
export const requestHash = ({ request, scope }: PageOf): string =>
  createHash('sha256')
    .update(scope === undefined ? request.canonical : `${request.canonical} ${scope}`)
    .digest('base64url')
    .slice(0, 22);

/** A scope as filters. @param scope as the guard gives it: its fields are the row’s, and it is not `false` */
export const filtersWithin = (projection: AnyProjection, scope: RowScope): readonly Filter[] =>
  typeof scope === 'boolean'
    ? []
    : projection.fields.flatMap((field) => {
        const value = Object.hasOwn(scope, field.name) ? scope[field.name] : undefined;
        return value === undefined ? [] : [{ field, value }];
      });

/**
 * What a subscription would be bound to that follows the listing: the whole view, one key, or one declared tuple of
 * channel fields. Undefined where no subscription can have this filter.
 * @param all the filters that were asked for, and those of the row scope, which a subscription has to meet as well
 */
export function bindingOf(
  projection: AnyProjection,
  filters: readonly Filter[],
  all: readonly Filter[] = filters,
): CursorBinding | undefined {
  const view = projection.name;
  const [only] = filters;
  if (filters.length === 1 && only?.field.name === projection.key) return { view, key: String(only.value) };
  const held = new Map(all.map(({ field, value }) => [field.name, value]));
  if (all.some(({ field, value }) => held.get(field.name) !== value)) return undefined;
  const declared = projection.channels.some(
    (tuple) => tuple.length === held.size && tuple.every((name) => held.has(name)),
  );
  if (held.size > 0 && !declared) return undefined;
  if (!only) return { view };
  return { view, where: Object.fromEntries(filters.map(({ field, value }) => [field.name, value])) };
}
