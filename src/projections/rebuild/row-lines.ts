/** Rows as lines for COPY. */
import type { Field } from '../../domain/fields.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { COPY_NULL, copyField } from '../../platform/postgres/copy.js';

/** Revision of every row that was loaded: the change log begins after it. */
export const LOADED_REVISION = 1;

function fieldOf({ name, kind }: Field, row: RowValue): string {
  const value = row[name];
  if (value === null || value === undefined) return COPY_NULL;
  if (kind === 'json') return copyField(JSON.stringify(value));
  return typeof value === 'string' ? copyField(value) : String(value);
}

/** A line, its end included, with the columns of `copyRows`. */
export function rowLine({ fields }: AnyProjection, row: RowValue): string {
  let line = '';
  for (const field of fields) line += `${fieldOf(field, row)}\t`;
  return `${line}${LOADED_REVISION}\n`;
}
