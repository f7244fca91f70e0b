/**
 * Parts as a worker knows them: from its last batches, else from the table; used and forgotten as rows are (rows.ts).
 */
import { LRUCache } from 'lru-cache';
import type { AnyProjection } from '../../domain/projection.js';
import { textArray } from '../../platform/postgres/arrays.js';
import { NO_ROW, type KnownRow } from '../rows.js';
import { BatchTooLarge, type Writer } from '../write.js';
import { cellName, partCell, partIn } from './cells.js';
import { selectHolders, selectParts } from './statements.js';

/** A part as it is stored; its revision is the version of its stream that it is of. */
function knownPart(json: string): KnownRow {
  const row: KnownRow['row'] = JSON.parse(json);
  return { rev: partIn(row)?.version ?? 0, row, json };
}

export class Parts {
  readonly #db: Writer;
  readonly #projection: AnyProjection;
  readonly #known: LRUCache<string, KnownRow>;
  /** Rises when all is forgotten: what was asked for before is not remembered then. */
  #generation = 0;

  /** @param maxChars JSON text of the parts kept at the most, in characters */
  constructor(db: Writer, projection: AnyProjection, maxChars: number) {
    this.#db = db;
    this.#projection = projection;
    this.#known = new LRUCache({
      maxSize: maxChars,
      sizeCalculation: ({ json }, cell) => (json?.length ?? 0) + cell.length + 64,
    });
  }

  /**
   * The parts of some cells; those that are not known are read in one query.
   * @param maxBytes of the parts that are read
   * @throws BatchTooLarge
   */
  async load(cells: Iterable<string>, maxBytes: number): Promise<Map<string, KnownRow>> {
    const found = new Map<string, KnownRow>();
    const missing: string[] = [];
    for (const cell of cells) {
      const known = this.#known.get(cell);
      if (known) found.set(cell, known);
      else missing.push(cell);
    }
    if (missing.length === 0) return found;
    const generation = this.#generation;
    const names = missing.map(cellName);
    const rows = await this.#db.query<[string, string, string, number]>(
      selectParts(this.#db, this.#projection),
      [textArray(names.map(({ part }) => part)), textArray(names.map(({ key }) => key)), maxBytes],
    );
    if (Number(rows.at(-1)?.[3] ?? 0) > maxBytes)
      throw new BatchTooLarge(`more than ${maxBytes} bytes of parts`);
    for (const [source, key, json] of rows) found.set(partCell(source, key), knownPart(json));
    for (const cell of missing) if (!found.has(cell)) found.set(cell, NO_ROW);
    if (generation !== this.#generation) return found;
    // Many rows name the same few streams, also those that have no events yet.
    for (const cell of missing) this.keep(cell, found.get(cell) ?? NO_ROW);
    return found;
  }

  /** Where rows move: row key → cell and part of the stream that came there last, those of some cells left out. */
  async holders(
    keys: readonly string[],
    without: readonly string[],
  ): Promise<Map<string, { readonly cell: string; readonly known: KnownRow }>> {
    if (keys.length === 0) return new Map();
    const out = without.map(cellName).map(({ part, key }) => `${part}/${key}`);
    const rows = await this.#db.query<[string, string, string, string]>(
      selectHolders(this.#db, this.#projection),
      [textArray(keys), textArray(out)],
    );
    return new Map(
      rows.map(([at, source, key, json]) => [at, { cell: partCell(source, key), known: knownPart(json) }]),
    );
  }

  keep(cell: string, part: KnownRow): void {
    this.#known.set(cell, part);
  }

  drop(cell: string): void {
    this.#known.delete(cell);
  }

  clear(): void {
    this.#generation++;
    this.#known.clear();
  }
}
