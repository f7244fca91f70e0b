/** One row of the table beside what its events make of it. */
import type { Field } from '../../domain/fields.js';
import { joinedStreams } from '../../domain/parts.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { rowJsonFromColumns, rowToJson } from '../columns.js';
import { partCell } from '../parts/cells.js';
import { cut, type ColumnDifference, type Findings } from './report.js';
import type { Expected } from './folding.js';
import type { LeftOut } from './left-out.js';
import type { ActualRow } from './snapshot.js';

/** JSON text of a value with its members in one order; undefined where the field is absent. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function actualText(field: Field, value: unknown): string | undefined {
  if (value === null || value === undefined) return field.optional ? undefined : 'null';
  return field.kind === 'json' && typeof value === 'string' ? value : JSON.stringify(value);
}

function expectedText(field: Field, value: unknown): string | undefined {
  return value === undefined || (value === null && field.optional) ? undefined : JSON.stringify(value);
}

/** JSON says the same, whatever the order of members in it. */
export const sameJson = (a: string, b: string): boolean =>
  a === b || canonical(JSON.parse(a)) === canonical(JSON.parse(b));

const NOTHING: ReadonlySet<string> = new Set();

/** The columns in which a row is not as it should be; nested JSON may have its members in any order. */
export function columnDifferences(
  { fields }: AnyProjection,
  expected: RowValue,
  actual: ActualRow,
  ignored: ReadonlySet<string> = NOTHING,
): ColumnDifference[] {
  return fields.flatMap((field, index) => {
    if (ignored.has(field.name)) return [];
    const [should, is] = [expectedText(field, expected[field.name]), actualText(field, actual.values[index])];
    if (should === is || (should !== undefined && is !== undefined && sameJson(should, is))) return [];
    return [{ column: field.name, expected: should && cut(should), actual: is && cut(is) }];
  });
}

/** Which columns say something: a row that is parked stands still, also where it shows what another stream says. */
const ignoredColumns = ({ joins }: AnyProjection, parked: boolean): ReadonlySet<string> =>
  parked && joins.length > 0 ? new Set(joins.flatMap(({ columns }) => columns)) : NOTHING;

function compareRows(
  projection: AnyProjection,
  { rows, also }: Expected,
  key: string,
  actual: ActualRow,
  parked: boolean,
): ColumnDifference[] {
  const ignored = ignoredColumns(projection, parked);
  const [first, second] = [rows.get(key), also.get(key)];
  const columns = first ? columnDifferences(projection, first, actual, ignored) : [];
  if (columns.length > 0 && second && columnDifferences(projection, second, actual, ignored).length === 0)
    return [];
  return columns;
}

/** Compares a key that has a row, or events; does not look at the change log. */
export function judge(
  projection: AnyProjection,
  findings: Findings,
  expected: Expected,
  leftOut: LeftOut,
  key: string,
  actual: ActualRow | undefined,
): void {
  const row = expected.rows.get(key);
  const cells = [key, ...(row ? joinedStreams(projection, row) : []).map(partCellOf)];
  const parked = cells.some((cell) => leftOut.isParked(cell));
  findings.compared++;
  if (parked) findings.parked.add(key);
  if (cells.some((cell) => leftOut.wasSkipped(cell))) findings.skipped.add(key);
  const error = expected.failed.get(key);
  if (error !== undefined) findings.add({ kind: 'unfoldable', key, error });
  else if (row === undefined && actual !== undefined) {
    const { rev: revision, values } = actual;
    findings.add({ kind: 'extra', key, revision, actual: cut(rowJsonFromColumns(projection, values)) });
  } else if (row !== undefined && actual === undefined) {
    findings.add({ kind: 'missing', key, expected: cut(rowToJson(projection, row)) });
  } else if (actual !== undefined) {
    const columns = compareRows(projection, expected, key, actual, leftOut.isParked(key));
    if (columns.length > 0) findings.add({ kind: 'wrong', key, revision: actual.rev, columns });
  }
}

const partCellOf = ({ source, streamId }: { source: string; streamId: string }): string =>
  partCell(source, streamId);
