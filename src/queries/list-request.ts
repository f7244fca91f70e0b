/** What a listing asks for: filters, order, limit, checked against what the projection declares. */
import { createHash } from 'node:crypto';
import type { Field } from '../domain/fields.js';
import { idFault } from '../domain/identifiers.js';
import type { AnyProjection } from '../domain/projection.js';
import { TidemarkError, type Fault } from '../platform/errors.js';
import type { CursorBinding } from '../protocol/positions.js';
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

export interface SortField {
  readonly field: Field;
  readonly descending: boolean;
}

export interface ListRequest {
  /** By field name, each field once. */
  readonly filters: readonly Filter[];
  /** Ends with the key; fields that a filter holds still are left out. */
  readonly sort: readonly SortField[];
  readonly limit: number;
  /** The page token as it came. */
  readonly page: string | undefined;
  /** The same request gives the same text. */
  readonly canonical: string;
}

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 1_000;
const PARAMETERS = new Set(['sort', 'limit', 'page', 'after', 'wait']);

const fieldsByProjection = new WeakMap<AnyProjection, ReadonlyMap<string, Field>>();

/** Fields that a listing may filter and sort by: the key, and whatever stands in an index or a channel. */
export function listFields(projection: AnyProjection): ReadonlyMap<string, Field> {
  const known = fieldsByProjection.get(projection);
  if (known) return known;
  const names = new Set([projection.key, ...projection.indexes.flat(), ...projection.channels.flat()]);
  const fields = projection.fields.filter(({ name }) => names.has(name));
  const made = new Map(fields.map((field) => [field.name, field]));
  fieldsByProjection.set(projection, made);
  return made;
}

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

function sortOf(projection: AnyProjection, text: string | undefined): SortField[] {
  const fields = listFields(projection);
  const sort: SortField[] = [];
  const names = text === undefined ? [] : text.split(',');
  const unknown = names.map((one) => one.replace(/^-/, '')).filter((name) => !fields.has(name));
  if (unknown.includes('')) {
    throw invalidParameter([
      fault('sort', 'expected field names, separated by commas, each with - before it to turn its order'),
    ]);
  }
  if (unknown.length > 0) throw unknownField(projection, 'sort', unknown);
  for (const one of names) {
    const descending = one.startsWith('-');
    const field = fields.get(descending ? one.slice(1) : one);
    if (!field) continue;
    if (sort.some((earlier) => earlier.field === field)) {
      throw invalidParameter([fault('sort', `${field.name} stands there twice`)]);
    }
    sort.push({ field, descending });
  }
  // No two rows have the same key: what would come after it decides nothing.
  const at = sort.findIndex(({ field }) => field.name === projection.key);
  if (at >= 0) return sort.slice(0, at + 1);
  const key = fields.get(projection.key);
  return key ? [...sort, { field: key, descending: false }] : sort;
}

/**
 * @throws TidemarkError `unknown_field` (with the list of those that are known), `invalid_parameter`
 */
export function parseListRequest(projection: AnyProjection, parameters: Parameters): ListRequest {
  const filters = filtersOf(projection, parameters);
  const asked = sortOf(projection, single(parameters, 'sort'));
  const limit = wholeNumber(parameters, 'limit', { min: 1, max: MAX_LIMIT, fallback: DEFAULT_LIMIT });
  const still = new Set(filters.map(({ field }) => field));
  const sort = asked.filter(({ field }) => field.name === projection.key || !still.has(field));
  const canonical = JSON.stringify([
    projection.name,
    filters.map(({ field, value }) => [field.name, value]),
    sort.map(({ field, descending }) => [field.name, descending]),
    limit,
  ]);
  return { filters, sort, limit, page: single(parameters, 'page'), canonical };
}

/** A short name of a request, for its pages: pages of one request are no good for another. */
export const requestHash = (request: ListRequest): string =>
  createHash('sha256').update(request.canonical).digest('base64url').slice(0, 22);

/**
 * What a subscription would be bound to that follows the listing: the whole view, one key, or one declared tuple of
 * channel fields. Undefined where no subscription can have this filter.
 */
export function bindingOf(projection: AnyProjection, filters: readonly Filter[]): CursorBinding | undefined {
  const view = projection.name;
  const [only] = filters;
  if (!only) return { view };
  if (filters.length === 1 && only.field.name === projection.key) return { view, key: String(only.value) };
  const names = filters.map(({ field }) => field.name);
  const declared = projection.channels.some(
    (tuple) => tuple.length === names.length && tuple.every((name) => names.includes(name)),
  );
  if (!declared) return undefined;
  return { view, where: Object.fromEntries(filters.map(({ field, value }) => [field.name, value])) };
}
