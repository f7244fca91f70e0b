/** Rows by their content, whatever the order of their fields: a subscriber's and the table's are compared by it. */
import { createHash } from 'node:crypto';

export function digestOf(row: Readonly<Record<string, unknown>>): string {
  const fields = Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha1').update(JSON.stringify(fields)).digest('base64').slice(0, 12);
}
