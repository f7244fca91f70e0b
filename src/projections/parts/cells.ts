/**
 * What events change: rows, and parts of streams that rows are made of. Both are cells of one map, so that folding and
 * parking treat them alike. A row's cell is its key; a part's begins with a character that no key may have.
 */
import { hasParts, ownRow, type Part } from '../../domain/parts.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';

const MARK = '\u0001';

/** The cell of a stream's part. */
export const partCell = (source: string, streamId: string): string => `${MARK}${source}${MARK}${streamId}`;

export const isPartCell = (cell: string): boolean => cell.startsWith(MARK);

/** Cells as `parked` and `parked_events` name them: `part` is an aggregate, or an empty text where it is a row. */
export interface CellName {
  readonly part: string;
  readonly key: string;
}

export function cellName(cell: string): CellName {
  if (!isPartCell(cell)) return { part: '', key: cell };
  const at = cell.indexOf(MARK, 1);
  return { part: cell.slice(1, at), key: cell.slice(at + 1) };
}

export const cellOf = ({ part, key }: CellName): string => (part === '' ? key : partCell(part, key));

/** A part as a cell holds it, or undefined where the stream has none yet. */
export const partIn = (value: RowValue | null): Part | undefined =>
  // Cells of parts are only written by `foldPart`, and by what reads them back.
  value === null ? undefined : (value as unknown as Part);

export const partValue = (part: Part): RowValue => ({ ...part });

/** What a fold gets of a cell as it is known: a copy, and of a row only its own columns. */
export function foldable(projection: AnyProjection, cell: string, value: RowValue | null): RowValue | null {
  if (value === null || !hasParts(projection)) return value && { ...value };
  if (!isPartCell(cell)) return ownRow(projection, value);
  const part = partIn(value);
  return part ? partValue({ ...part, row: part.row && { ...part.row } }) : null;
}
