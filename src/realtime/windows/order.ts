/**
 * The order of rows in memory, as Postgres has it for the same sort: texts by their UTF-8 bytes (COLLATE "C"), false before
 * true, and null greater than every value.
 */
import { byteOrder } from '../../platform/postgres/logs.js';
import type { SortField } from '../../projections/ordering.js';
import type { ChannelValue } from '../../projections/types.js';

/** One value for each field of a sort. */
export type SortValues = readonly ChannelValue[];

/** The values of a row, as its JSON has them. */
export const sortValues = (sort: readonly SortField[], row: Readonly<Record<string, unknown>>): SortValues =>
  sort.map(({ field }) => {
    const value = row[field.name];
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? value
      : null;
  });

/** Code units sort as bytes do, but for surrogates, which stand for what comes after U+FFFF. */
const SURROGATES = /[\ud800-\udfff]/;

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  if (SURROGATES.test(a) || SURROGATES.test(b)) return byteOrder(a, b);
  return a < b ? -1 : 1;
}

function compareValues(a: ChannelValue, b: ChannelValue): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b);
  return Number(a) - Number(b);
}

/** Below 0 where `a` comes first. 0 for the very same row only, as every sort ends with the key. */
export function compare(sort: readonly SortField[], a: SortValues, b: SortValues): number {
  for (const [at, { descending }] of sort.entries()) {
    const order = compareValues(a[at] ?? null, b[at] ?? null);
    if (order !== 0) return descending ? -order : order;
  }
  return 0;
}
