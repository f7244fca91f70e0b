/** Rows of many streams while they are loaded: kept in memory up to a bound, written when they are flushed, read when they are gone. */
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { textArray } from '../../platform/postgres/arrays.js';
import type { Database } from '../../platform/postgres/database.js';
import { rowFromColumns, rowToJson } from '../columns.js';
import { rowFault } from '../limits.js';
import { selectRows } from '../statements.js';
import { rowLine } from './row-lines.js';

export interface CachedRow {
  readonly key: string;
  row: RowValue | null;
  /** The table has a row of this key. */
  stored: boolean;
  /** It is not as the table has it. */
  dirty: boolean;
  /** Since the last look at what could go. */
  used: boolean;
  /** About the characters that it takes; measured now and then, as measuring takes as long as folding. */
  chars: number;
  touches: number;
}

/** Of a row that has no text to measure, and of what a Map keeps beside it. */
const BASE_CHARS = 200;
const MEASURE_EVERY = 16;
/** Of keys in one statement. */
const KEYS = 10_000;

/** A row cannot be stored as it is. */
export interface UnfitRow {
  readonly key: string;
  readonly fault: string;
}

export class RowCache {
  readonly #db: Database;
  readonly #projection: AnyProjection;
  readonly #rows = new Map<string, CachedRow>();
  readonly #dirty = new Set<CachedRow>();
  readonly #keyAt: number;
  /** Every row that the table has is here. */
  #complete: boolean;
  #chars = 0;

  /** @param empty the table has no rows */
  constructor(db: Database, projection: AnyProjection, empty: boolean) {
    this.#db = db;
    this.#projection = projection;
    this.#complete = empty;
    this.#keyAt = projection.fields.findIndex(({ name }) => name === projection.key);
  }

  get chars(): number {
    return this.#chars;
  }

  /** Must have been loaded. */
  get(key: string): CachedRow {
    const known = this.#rows.get(key);
    if (known) return known;
    if (this.#complete) return this.#put(key, null);
    throw new Error(`row ${JSON.stringify(key)} was not loaded`);
  }

  /** Reads what is not here. @throws as `Database.query` */
  async load(keys: Iterable<string>): Promise<void> {
    if (this.#complete) return;
    const missing = new Set<string>();
    for (const key of keys) if (!this.#rows.has(key)) missing.add(key);
    if (missing.size === 0) return;
    const text = selectRows(this.#db, this.#projection);
    // Rows may be large: few at a time then, as a statement gives as many as fit.
    let left = [...missing];
    while (left.length > 0) {
      const found = await this.#db.query(text, [textArray(left.slice(0, KEYS)), MAX_READ_BYTES]);
      for (const values of found) {
        this.#put(String(values[this.#keyAt]), rowFromColumns(this.#projection, values)).stored = true;
      }
      const cut = Number(found.at(-1)?.[this.#projection.fields.length + 1] ?? 0) > MAX_READ_BYTES;
      // What was asked for and not found is not there, unless the answer was cut off.
      if (!cut) for (const key of left.slice(0, KEYS)) if (!this.#rows.has(key)) this.#put(key, null);
      left = left.filter((key) => !this.#rows.has(key));
    }
  }

  /** @param given is kept as a text of its own, not as a part of its event's line */
  #put(given: string, row: RowValue | null): CachedRow {
    const key = Buffer.from(given).toString();
    const made: CachedRow = {
      key,
      row,
      stored: false,
      dirty: false,
      used: true,
      chars: BASE_CHARS,
      touches: 0,
    };
    this.#rows.set(key, made);
    this.#chars += made.chars;
    return made;
  }

  set(entry: CachedRow, row: RowValue | null): void {
    entry.row = row;
    entry.used = true;
    if (!entry.dirty) {
      entry.dirty = true;
      this.#dirty.add(entry);
    }
    if (entry.touches++ % MEASURE_EVERY > 0) return;
    const chars = BASE_CHARS + (row === null ? 0 : rowToJson(this.#projection, row).length);
    this.#chars += chars - entry.chars;
    entry.chars = chars;
  }

  /** Rows that are written anew or go, and have to leave the table before. */
  replaced(): string[] {
    return [...this.#dirty].flatMap(({ stored, key }) => (stored ? [key] : []));
  }

  /** Lines of all rows that are to be written; the first that cannot be ends it. */
  *lines(): Generator<string, UnfitRow | undefined> {
    for (const { key, row } of this.#dirty) {
      if (row === null) continue;
      const fault = rowFault(this.#projection, row, rowToJson(this.#projection, row));
      if (fault !== undefined) return { key, fault };
      yield rowLine(this.#projection, row);
    }
    return undefined;
  }

  /** What was to be written is in the table. */
  flushed(): void {
    for (const entry of this.#dirty) {
      entry.dirty = false;
      entry.stored = entry.row !== null;
    }
    this.#dirty.clear();
  }

  /** Lets go of rows until they take at most `chars`; those that were used lately stay longest. After a flush only. */
  shrink(chars: number): void {
    // Each is passed over once where it was used: a clock. At most two rounds.
    for (const [key, entry] of this.#rows) {
      if (this.#chars <= chars) return;
      this.#rows.delete(key);
      if (entry.used) {
        entry.used = false;
        this.#rows.set(key, entry);
        continue;
      }
      this.#complete = false;
      this.#chars -= entry.chars;
    }
  }
}

/** Of rows that one statement reads. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
