/** What a `sub` with `sort` or `limit` asks for: the first rows of a filter in an order. */
import type { AnyProjection } from '../../domain/projection.js';
import {
  decisive,
  DEFAULT_LIMIT,
  listFields,
  MAX_LIMIT,
  readSort,
  sortText,
  type SortField,
} from '../../projections/ordering.js';
import type { SubFrame } from '../../protocol/frames.js';
import { windowName } from '../../protocol/positions.js';

/** Order and size of a window. */
export interface WindowSpec {
  /** Ends with the key; fields that the filter holds still are left out. */
  readonly sort: readonly SortField[];
  readonly limit: number;
  /** As it was asked for: what the cursor of a listing must say to go on from it. */
  readonly name: string;
}

/**
 * @param still names of the fields that the filter holds still
 * @returns undefined where no window is asked for; a text: what is wrong with it
 */
export function windowOf(
  projection: AnyProjection,
  frame: SubFrame,
  still: readonly string[],
): WindowSpec | string | undefined {
  const { limit = DEFAULT_LIMIT } = frame;
  if (frame.sort === undefined && frame.limit === undefined) return undefined;
  if (!(limit >= 1 && limit <= MAX_LIMIT)) return `limit: expected a whole number from 1 to ${MAX_LIMIT}`;
  const read = readSort(projection, frame.sort);
  if ('fault' in read) return `sort: ${read.fault}`;
  if ('unknown' in read) return `sort: expected ${[...listFields(projection).keys()].join(', ')} only`;
  return {
    sort: decisive(projection, read.sort, new Set(still)),
    limit,
    name: windowName(sortText(read.sort), limit),
  };
}
