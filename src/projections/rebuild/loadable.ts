/** Which projections a loader can build. */
import { hasParts } from '../../domain/parts.js';
import type { AnyProjection } from '../../domain/projection.js';
import { hasRows } from '../../domain/sources.js';

/**
 * Where rows are made of parts, each stream is loaded into a row or into a part: not where rows come from many streams by
 * `keys` or of several aggregates, nor where an aggregate makes rows and is joined to them. Such a version follows its events
 * from the first.
 */
export function isLoadable(projection: AnyProjection): boolean {
  if (!hasParts(projection)) return true;
  if (projection.rowsMove) return true;
  const own = projection.sources.filter(hasRows);
  return own.length === 1 && own.every(({ keys, joins }) => keys === undefined && joins.length === 0);
}
