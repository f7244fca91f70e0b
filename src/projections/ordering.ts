/**
 * The orders that rows can be read in: what a `sort` may name, how it is written, and its SQL. Listings over HTTP and live
 * windows share it. Nulls count as greater than every value, as Postgres orders by default: last where a field rises,
 * first where it falls; so one index serves both directions.
 */
import type { Field } from '../domain/fields.js';
import type { AnyProjection } from '../domain/projection.js';
import { quoteIdent } from '../platform/postgres/database.js';

export interface SortField {
  readonly field: Field;
  readonly descending: boolean;
}

/** Rows of a listing or a window, unless it says another number. */
export const DEFAULT_LIMIT = 50;
/** … and the most that it may say. */
export const MAX_LIMIT = 1_000;

export type ReadSort =
  | { readonly sort: readonly SortField[] }
  /** Names that are no fields to sort by. */
  | { readonly unknown: readonly string[] }
  /** What is wrong with the text. */
  | { readonly fault: string };

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

/**
 * Reads a `sort`: field names by comma, `-` before one that falls; by key where there is none. It ends with the key.
 * @param text undefined: none was given
 */
export function readSort(projection: AnyProjection, text: string | undefined): ReadSort {
  const fields = listFields(projection);
  const sort: SortField[] = [];
  const names = text === undefined ? [] : text.split(',');
  const unknown = names.map((one) => one.replace(/^-/, '')).filter((name) => !fields.has(name));
  if (unknown.includes(''))
    return { fault: 'expected field names, separated by commas, each with - before it to turn its order' };
  if (unknown.length > 0) return { unknown };
  for (const one of names) {
    const descending = one.startsWith('-');
    const field = fields.get(descending ? one.slice(1) : one);
    if (!field) continue;
    if (sort.some((earlier) => earlier.field === field)) return { fault: `${field.name} stands there twice` };
    sort.push({ field, descending });
  }
  // No two rows have the same key: what would come after it decides nothing.
  const at = sort.findIndex(({ field }) => field.name === projection.key);
  if (at >= 0) return { sort: sort.slice(0, at + 1) };
  const key = fields.get(projection.key);
  return { sort: key ? [...sort, { field: key, descending: false }] : sort };
}

/** The sort without what a filter holds still, which decides nothing; the key stays. @param still names of fields */
export const decisive = (
  projection: AnyProjection,
  sort: readonly SortField[],
  still: ReadonlySet<string>,
): readonly SortField[] =>
  sort.filter(({ field }) => field.name === projection.key || !still.has(field.name));

/** A sort as it is written: `-placedAt,orderId`. */
export const sortText = (sort: readonly SortField[]): string =>
  sort.map(({ field, descending }) => (descending ? '-' : '') + field.name).join(',');

/** The text behind ORDER BY. */
export const orderBy = (sort: readonly SortField[]): string =>
  sort.map(({ field, descending }) => quoteIdent(field.name) + (descending ? ' DESC' : '')).join(', ');
