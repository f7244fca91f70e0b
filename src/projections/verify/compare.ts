/** One row of the table beside what its events make of it. */
import type { Field } from '../../domain/fields.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { rowJsonFromColumns, rowToJson } from '../columns.js';
import { cut, type ColumnDifference, type Findings } from './report.js';
import type { Refolded } from './folding.js';
import type { ActualRow, KeyNotes } from './snapshot.js';

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

/** The columns in which a row is not as it should be; nested JSON may have its members in any order. */
export function columnDifferences(
  { fields }: AnyProjection,
  expected: RowValue,
  actual: ActualRow,
): ColumnDifference[] {
  return fields.flatMap((field, index) => {
    const [should, is] = [expectedText(field, expected[field.name]), actualText(field, actual.values[index])];
    if (should === is || (should !== undefined && is !== undefined && sameJson(should, is))) return [];
    return [{ column: field.name, expected: should && cut(should), actual: is && cut(is) }];
  });
}

/** Compares a key that has a row, or events; does not look at the change log. */
export function judge(
  projection: AnyProjection,
  findings: Findings,
  refolded: Refolded,
  notes: KeyNotes,
  key: string,
  actual: ActualRow | undefined,
): void {
  if (notes.parked.has(key)) {
    findings.parked.add(key);
    return;
  }
  findings.compared++;
  if (notes.skipped.has(key)) findings.skipped.add(key);
  const error = refolded.failed.get(key);
  const expected = refolded.rows.get(key);
  if (error !== undefined) findings.add({ kind: 'unfoldable', key, error });
  else if (expected === undefined && actual !== undefined) {
    const { rev: revision, values } = actual;
    findings.add({ kind: 'extra', key, revision, actual: cut(rowJsonFromColumns(projection, values)) });
  } else if (expected !== undefined && actual === undefined) {
    findings.add({ kind: 'missing', key, expected: cut(rowToJson(projection, expected)) });
  } else if (expected !== undefined && actual !== undefined) {
    const columns = columnDifferences(projection, expected, actual);
    if (columns.length > 0) findings.add({ kind: 'wrong', key, revision: actual.rev, columns });
  }
}
