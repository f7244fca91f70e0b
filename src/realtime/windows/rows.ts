/**
 * The first rows of a filter in an order, kept up with its changes: those that a window shows, and some spare ones behind
 * them, so that a row which leaves is followed by one that is known already. What stands behind the last place that is
 * known is not looked at (as the buffer of Meteor's oplog driver does it).
 */
import type { SortField } from '../../projections/ordering.js';
import type { ShownRow } from './differences.js';
import { compare, type SortValues } from './order.js';

export interface WindowRow extends ShownRow {
  readonly values: SortValues;
}

/** How many rows are kept; when there are more than `most`, the last ones are let go. */
interface Size {
  readonly keep: number;
  readonly most: number;
}

/** What a row weighs beside its text: objects, values, map entries. */
const OVERHEAD_BYTES = 300;
const weight = ({ text, key }: WindowRow): number => 2 * (text.length + key.length) + OVERHEAD_BYTES;

export class WindowRows {
  readonly #sort: readonly SortField[];
  readonly #size: Size;
  readonly #rows: WindowRow[] = [];
  readonly #byKey = new Map<string, WindowRow>();
  /** All rows up to this place are here; undefined: all there are. */
  #known: SortValues | undefined;
  #bytes = 0;

  /**
   * @param sort ends with the key
   * @param rows as they were read, in their order
   * @param complete there are no others
   */
  constructor(sort: readonly SortField[], size: Size, rows: readonly WindowRow[], complete: boolean) {
    this.#sort = sort;
    this.#size = size;
    for (const row of rows) {
      this.#rows.push(row);
      this.#byKey.set(row.key, row);
      this.#bytes += weight(row);
    }
    if (!complete) this.#known = this.#rows.at(-1)?.values;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** There are no rows but these. */
  get complete(): boolean {
    return this.#known === undefined;
  }

  get bytes(): number {
    return this.#bytes;
  }

  at(index: number): WindowRow | undefined {
    return this.#rows[index];
  }

  first(count: number): readonly WindowRow[] {
    return this.#rows.slice(0, count);
  }

  /** A row of the filter, as it is after a change. */
  set(row: WindowRow): void {
    this.remove(row.key);
    if (this.#known && compare(this.#sort, row.values, this.#known) > 0) return;
    this.#rows.splice(this.#placeOf(row.values), 0, row);
    this.#byKey.set(row.key, row);
    this.#bytes += weight(row);
    if (this.#rows.length > this.#size.most) this.#cut();
  }

  /** There is no such row in the filter any more. */
  remove(key: string): void {
    const row = this.#byKey.get(key);
    if (!row) return;
    this.#rows.splice(this.#placeOf(row.values), 1);
    this.#byKey.delete(key);
    this.#bytes -= weight(row);
  }

  #cut(): void {
    for (const row of this.#rows.splice(this.#size.keep)) {
      this.#byKey.delete(row.key);
      this.#bytes -= weight(row);
    }
    this.#known = this.#rows.at(-1)?.values;
  }

  /** Index of the first row that is not before these values. */
  #placeOf(values: SortValues): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.#rows[middle];
      if (row && compare(this.#sort, row.values, values) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
