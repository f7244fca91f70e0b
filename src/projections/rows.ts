/**
 * Rows as a worker knows them: from its last batches, else from the table. A row that is known here may only be used by
 * one who then proves that nobody else wrote in between (apply.ts); who cannot prove it forgets all.
 */
import { LRUCache } from 'lru-cache';
import type { AnyProjection, RowValue } from '../domain/projection.js';
import { textArray } from '../platform/postgres/arrays.js';
import { rowFromColumns, rowJsonFromColumns } from './columns.js';
import { selectRows } from './statements.js';
import { BatchTooLarge, type Writer } from './write.js';

export interface KnownRow {
  /** 0: there is none. */
  readonly rev: number;
  readonly row: RowValue | null;
  readonly json: string | null;
}

export const NO_ROW: KnownRow = Object.freeze({ rev: 0, row: null, json: null });

/**
 * Rows as they were read: key → row.
 * @param rows columns in the order of the definition, the revision, the bytes up to each
 * @throws BatchTooLarge when they are more than `maxBytes`
 */
export function knownRows(
  projection: AnyProjection,
  rows: readonly (readonly unknown[])[],
  maxBytes: number,
): Map<string, KnownRow> {
  const { fields } = projection;
  if (Number(rows.at(-1)?.[fields.length + 1] ?? 0) > maxBytes)
    throw new BatchTooLarge(`more than ${maxBytes} bytes of rows`);
  const keyAt = fields.findIndex(({ name }) => name === projection.key);
  return new Map(
    rows.map((values) => [
      String(values[keyAt]),
      {
        rev: Number(values[fields.length]),
        row: rowFromColumns(projection, values),
        json: rowJsonFromColumns(projection, values),
      },
    ]),
  );
}

export class Rows {
  readonly #db: Writer;
  readonly #projection: AnyProjection;
  readonly #known: LRUCache<string, KnownRow>;

  /** @param maxChars JSON text of the rows kept at the most, in characters */
  constructor(db: Writer, projection: AnyProjection, maxChars: number) {
    this.#db = db;
    this.#projection = projection;
    this.#known = new LRUCache({
      maxSize: maxChars,
      sizeCalculation: ({ json }, key) => (json?.length ?? 0) + key.length + 64,
    });
  }

  /**
   * The rows of some keys; those that are not known are read in one query.
   * @param maxBytes of the rows that are read
   * @throws BatchTooLarge
   */
  async load(keys: Iterable<string>, maxBytes: number): Promise<Map<string, KnownRow>> {
    const found = new Map<string, KnownRow>();
    const missing: string[] = [];
    for (const key of keys) {
      const known = this.#known.get(key);
      if (known) found.set(key, known);
      else missing.push(key);
    }
    if (missing.length === 0) return found;
    const rows = await this.#db.query(selectRows(this.#db, this.#projection), [textArray(missing), maxBytes]);
    for (const [key, row] of knownRows(this.#projection, rows, maxBytes)) found.set(key, row);
    for (const key of missing) if (!found.has(key)) found.set(key, NO_ROW);
    return found;
  }

  keep(key: string, row: KnownRow): void {
    this.#known.set(key, row);
  }

  drop(key: string): void {
    this.#known.delete(key);
  }

  clear(): void {
    this.#known.clear();
  }
}
