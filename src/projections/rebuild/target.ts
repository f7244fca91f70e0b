/** What the streams of one aggregate are loaded into: rows, or the parts that rows are made of. */
import { foldRow } from '../../domain/folding.js';
import { foldPart, joinRow, keyOfPart, touchesPart } from '../../domain/parts.js';
import type { AnyProjection, ProjectionSource, RecordedEvent, RowValue } from '../../domain/projection.js';
import { hasRows } from '../../domain/sources.js';
import { COPY_NULL, copyField } from '../../platform/postgres/copy.js';
import type { Database } from '../../platform/postgres/database.js';
import { rowToJson } from '../columns.js';
import { partFault, rowFault } from '../limits.js';
import { partCell, partIn, partValue } from '../parts/cells.js';
import { copyParts } from '../parts/load-statements.js';
import { rowLine } from './row-lines.js';
import { copyRows } from './statements.js';

/** One stream makes one of them. */
export interface StreamTarget {
  /** How parking and folding name it (parts/cells.ts). */
  cell(streamId: string): string;
  /** @throws as `foldRow` or `foldPart` */
  fold(before: RowValue | null, event: RecordedEvent): RowValue | null;
  /** Why it cannot be stored, or undefined when it can. */
  fault(value: RowValue): string | undefined;
  /** JSON text, as what folds it again knows it. */
  json(value: RowValue): string;
  /** A line for `copy`, its end included. */
  line(value: RowValue, streamId: string): string;
  /** `COPY … FROM STDIN`. */
  readonly copy: string;
}

function rowTarget(db: Database, projection: AnyProjection, source: ProjectionSource): StreamTarget {
  return {
    cell: (streamId) => streamId,
    fold: (before, event) => foldRow(projection, source, event.streamId, before, event),
    fault: (row) => rowFault(projection, row, rowToJson(projection, row)),
    json: (row) => rowToJson(projection, row),
    // Joined columns come in once all parts are there.
    line: (row) =>
      rowLine(
        projection,
        joinRow(projection, row, () => undefined),
      ),
    copy: copyRows(db, projection),
  };
}

function partTarget(db: Database, projection: AnyProjection, source: ProjectionSource): StreamTarget {
  const { name } = source.aggregate;
  return {
    cell: (streamId) => partCell(name, streamId),
    fold: (before, event) => {
      if (!touchesPart(source, event.type)) return before;
      return partValue(foldPart(projection, source, partIn(before), event));
    },
    fault: (value) => {
      const part = partIn(value);
      return part && partFault(projection, source, part);
    },
    json: (value) => JSON.stringify(value),
    line: (value, streamId) => {
      const part = partIn(value);
      if (!part) return '';
      const key = keyOfPart(projection, part);
      const at = key === undefined ? COPY_NULL : copyField(key);
      const fields = [copyField(name), copyField(streamId), part.version, at, copyField(part.since)];
      return `${fields.join('\t')}\t${copyField(JSON.stringify(part))}\n`;
    },
    copy: copyParts(db, projection),
  };
}

/** What the streams of an aggregate make; never both (loadable.ts). */
export const targetOf = (db: Database, projection: AnyProjection, source: ProjectionSource): StreamTarget =>
  hasRows(source) && !source.moving ? rowTarget(db, projection, source) : partTarget(db, projection, source);
