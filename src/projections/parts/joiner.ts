/**
 * Makes rows of parts: after a batch is folded, finds the rows that its parts change (those that name a joined stream, those
 * that move), and puts the joined columns into every row that is written. A row is told by parts and by its own columns
 * alone, so that rows and parts may be found in any order, and finding one twice changes nothing.
 */
import { holderOf, joinedStreams, joinRow, keyOfPart, type Part } from '../../domain/parts.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { textArray } from '../../platform/postgres/arrays.js';
import type { Touched } from '../fold.js';
import { knownRows, NO_ROW, type KnownRow, type Rows } from '../rows.js';
import type { Writer } from '../write.js';
import { cellName, foldable, isPartCell, partCell, partIn } from './cells.js';
import type { Parts } from './parts.js';
import { selectReferring } from './statements.js';

/** A part that is to be written. */
export interface PartChange {
  readonly cell: string;
  readonly before: KnownRow;
  readonly part: Part;
}

/** Rows that name streams whose parts changed, by one column. */
interface Spread {
  readonly by: string;
  readonly streams: readonly string[];
}

export interface Plan {
  readonly parts: readonly PartChange[];
  /** Rows that were folded, by key, without joined columns. */
  readonly folded: Map<string, Touched>;
  /** Rows that moved: at their old and new keys, without joined columns. */
  readonly moved: Map<string, Touched>;
  readonly spread: readonly Spread[];
  /** Current parts of the cells that were folded. */
  readonly current: ReadonlyMap<string, Part | undefined>;
}

/** Where a walk over the rows that name changed parts goes on. */
export interface Cursor {
  /** Index in `Plan.spread`. */
  readonly at: number;
  /** After this key. */
  readonly after: string;
}

export interface Bounds {
  readonly rows: number;
  readonly bytes: number;
}

export interface Page {
  /** Rows that name changed parts and were not folded themselves, by key, without joined columns. */
  readonly rows: Map<string, Touched>;
  /** There are more: where they begin. */
  readonly next: Cursor | undefined;
}

const SAME: unique symbol = Symbol('same');

const columnsOf = (known: KnownRow): string | typeof SAME => {
  const part = partIn(known.row);
  return part === undefined ? SAME : JSON.stringify(part.columns);
};

export class Joiner {
  readonly #db: Writer;
  readonly #projection: AnyProjection;
  readonly #rows: Rows;
  readonly #parts: Parts;

  constructor(options: { db: Writer; projection: AnyProjection; rows: Rows; parts: Parts }) {
    this.#db = options.db;
    this.#projection = options.projection;
    this.#rows = options.rows;
    this.#parts = options.parts;
  }

  /**
   * What a folded batch comes to.
   * @param again cells of parts that had events which are in already: after a write that broke off, their rows may lack it
   * @param maxBytes of rows and parts that are read
   * @throws BatchTooLarge
   */
  async plan(
    touched: ReadonlyMap<string, Touched>,
    again: ReadonlySet<string>,
    maxBytes: number,
  ): Promise<Plan> {
    const folded = new Map<string, Touched>();
    const current = new Map<string, Part | undefined>();
    const parts: PartChange[] = [];
    for (const [cell, entry] of touched) {
      const part = isPartCell(cell) ? partIn(entry.row) : undefined;
      if (!isPartCell(cell)) folded.set(cell, entry);
      else current.set(cell, part);
      if (part && part.version > entry.before.rev) parts.push({ cell, before: entry.before, part });
    }
    const moved = this.#projection.rowsMove
      ? await this.#standing(touched, current, maxBytes)
      : new Map<string, Touched>();
    return { parts, folded, moved, current, spread: this.#spread(touched, again) };
  }

  /** Rows at the keys that folded parts stood at and stand at now. */
  async #standing(
    touched: ReadonlyMap<string, Touched>,
    current: ReadonlyMap<string, Part | undefined>,
    maxBytes: number,
  ): Promise<Map<string, Touched>> {
    const keys = new Set<string>();
    for (const [cell, part] of current) {
      const before = keyOfPart(this.#projection, partIn(touched.get(cell)?.before.row ?? null));
      const now = keyOfPart(this.#projection, part);
      for (const key of [before, now]) if (key !== undefined) keys.add(key);
    }
    const standing = await this.#rows.load(keys, maxBytes);
    const others = await this.#parts.holders([...keys], [...current.keys()]);
    const here = new Map<string, { cell: string; part: Part }[]>();
    for (const [cell, part] of current) {
      const key = keyOfPart(this.#projection, part);
      if (key !== undefined && part) here.set(key, [...(here.get(key) ?? []), { cell, part }]);
    }
    const moved = new Map<string, Touched>();
    for (const key of keys) {
      const other = others.get(key);
      const part = partIn(other?.known.row ?? null);
      const all = [...(here.get(key) ?? []), ...(other && part ? [{ cell: other.cell, part }] : [])];
      const holder = holderOf(
        all.map((one) => {
          const { part: source, key: streamId } = cellName(one.cell);
          return { source, streamId, part: one.part };
        }),
      );
      moved.set(key, { before: standing.get(key) ?? NO_ROW, row: holder?.part.row ?? null });
    }
    return moved;
  }

  #spread(touched: ReadonlyMap<string, Touched>, again: ReadonlySet<string>): Spread[] {
    const changed = new Map<string, string[]>();
    for (const [cell, { before, row }] of touched) {
      const part = partIn(row);
      if (!isPartCell(cell) || !part) continue;
      if (columnsOf(before) === JSON.stringify(part.columns) && !again.has(cell)) continue;
      const { part: source, key } = cellName(cell);
      changed.set(source, [...(changed.get(source) ?? []), key]);
    }
    return this.#projection.joins.flatMap(({ source, by }) => {
      const streams = changed.get(source);
      return streams ? [{ by, streams }] : [];
    });
  }

  /**
   * The next rows that name changed parts, in the order of joins and keys.
   * @param without keys of rows that are parked: they stand still until they are taken out
   * @throws BatchTooLarge when one row alone is more than the bound
   */
  async page(plan: Plan, from: Cursor, without: ReadonlySet<string>, bounds: Bounds): Promise<Page> {
    const rows = new Map<string, Touched>();
    let { rows: left, bytes } = bounds;
    let { at, after } = from;
    for (; at < plan.spread.length; at++, after = '') {
      const one = plan.spread[at];
      if (!one) break;
      const text = selectReferring(this.#db, this.#projection, one.by, one.streams.length === 1);
      const found = await this.#db.query(text, [textArray(one.streams), after, left, bytes]);
      const size = Number(found.at(-1)?.[this.#projection.fields.length + 1] ?? 0);
      // The row that makes it too much comes along, so that a page is never empty.
      const known = knownRows(this.#projection, found, Number.POSITIVE_INFINITY);
      for (const [key, before] of known) {
        after = key;
        if (plan.folded.has(key) || plan.moved.has(key) || without.has(key)) continue;
        rows.set(key, { before, row: foldable(this.#projection, key, before.row) });
      }
      left -= found.length;
      bytes -= size;
      if (left <= 0 || bytes <= 0) return { rows, next: { at, after } };
    }
    return { rows, next: undefined };
  }

  /**
   * Rows as they are written: with their joined columns. What is returned is new.
   * @throws BatchTooLarge
   */
  async join(
    plan: Plan,
    touched: ReadonlyMap<string, Touched>,
    maxBytes: number,
  ): Promise<Map<string, Touched>> {
    const needed = new Set<string>();
    for (const { row } of touched.values()) {
      for (const { source, streamId } of row ? joinedStreams(this.#projection, row) : []) {
        const cell = partCell(source, streamId);
        if (!plan.current.has(cell)) needed.add(cell);
      }
    }
    const loaded = await this.#parts.load(needed, maxBytes);
    const partOf = (source: string, streamId: string): Part | undefined => {
      const cell = partCell(source, streamId);
      return plan.current.get(cell) ?? partIn(loaded.get(cell)?.row ?? null);
    };
    const whole = (row: RowValue | null): RowValue | null => row && joinRow(this.#projection, row, partOf);
    return new Map([...touched].map(([key, { before, row }]) => [key, { before, row: whole(row) }]));
  }
}
