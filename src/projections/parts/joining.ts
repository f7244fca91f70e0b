/**
 * What a lane does where rows are made of parts: loads parts beside rows, and tells what a folded batch comes to. A change of
 * a part that is in more rows than one transaction should write goes in several: the part and what moves by it first, then
 * page after page of rows, and in the last one the checkpoint. Whoever is stopped on the way gets the event again, finds the
 * part at its version, and goes through the rows again; those that have it are left as they are.
 */
import type { AnyProjection } from '../../domain/projection.js';
import type { Decoded } from '../decode.js';
import type { Folded, Touched } from '../fold.js';
import type { ParkingRoom } from '../parked/types.js';
import type { KnownRow, Rows } from '../rows.js';
import { BatchTooLarge, type Writer } from '../write.js';
import { isPartCell, partValue } from './cells.js';
import { Joiner, type PartChange, type Plan } from './joiner.js';
import { Parts } from './parts.js';

/** Rows that name changed parts, in one transaction at the most. */
const PAGE_ROWS = 10_000;
/** Bytes of them. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** Whole rows and parts that go into one transaction. */
export interface Piece {
  readonly touched: ReadonlyMap<string, Touched>;
  readonly parts: readonly PartChange[];
}

export interface JoiningOptions {
  readonly db: Writer;
  readonly projection: AnyProjection;
  readonly rows: Rows;
  /** Characters of JSON of the parts that are remembered. */
  readonly cacheChars: number;
}

export class Joining {
  readonly #joiner: Joiner;
  readonly #parts: Parts;

  constructor({ db, projection, rows, cacheChars }: JoiningOptions) {
    this.#parts = new Parts(db, projection, cacheChars);
    this.#joiner = new Joiner({ db, projection, rows, parts: this.#parts });
  }

  /** The parts of some cells. @throws BatchTooLarge */
  load(cells: Iterable<string>, maxBytes: number): Promise<Map<string, KnownRow>> {
    return this.#parts.load(cells, maxBytes);
  }

  /**
   * What a folded batch comes to, in the pieces that it is to be written in: one, or several where the batch is one event
   * whose part is in many rows. Only the last may move the checkpoint.
   * @param known cells as they were before
   * @param alone the batch is one event, and cannot be made smaller
   * @throws BatchTooLarge
   */
  async *pieces(
    folded: Folded,
    decoded: readonly Decoded[],
    known: ReadonlyMap<string, KnownRow>,
    parking: Pick<ParkingRoom, 'known'>,
    { alone, maxBytes }: { alone: boolean; maxBytes: number },
  ): AsyncGenerator<Piece & { readonly last: boolean }> {
    const joiner = this.#joiner;
    const plan = await joiner.plan(folded.touched, repeated(decoded, known), maxBytes);
    const bounds = { rows: PAGE_ROWS, bytes: PAGE_BYTES };
    const still = new Set([...parking.known, ...folded.parks.map(({ key }) => key)]);
    let page = await joiner.page(plan, { at: 0, after: '' }, still, bounds);
    const whole = (...rows: readonly ReadonlyMap<string, Touched>[]): Promise<Map<string, Touched>> =>
      joiner.join(plan, new Map(rows.flatMap((some) => [...some])), maxBytes);
    if (page.next === undefined) {
      yield { touched: await whole(plan.folded, plan.moved, page.rows), parts: plan.parts, last: true };
      return;
    }
    if (!alone)
      throw new BatchTooLarge(
        `more than ${PAGE_ROWS} rows, or ${PAGE_BYTES} bytes of them, name what changed`,
      );
    yield { touched: await whole(plan.moved, page.rows), parts: plan.parts, last: false };
    while (page.next !== undefined) {
      page = await joiner.page(plan, page.next, still, bounds);
      yield { touched: await whole(page.rows), parts: [], last: false };
    }
    yield { touched: await whole(plan.folded), parts: [], last: true };
  }

  /** What was committed. */
  keep(parts: Plan['parts']): void {
    for (const { cell, part } of parts) {
      this.#parts.keep(cell, { rev: part.version, row: partValue(part), json: JSON.stringify(part) });
    }
  }

  drop(cell: string): void {
    this.#parts.drop(cell);
  }

  clear(): void {
    this.#parts.clear();
  }
}

/** Cells of parts that have events here which are in already. */
function repeated(decoded: readonly Decoded[], known: ReadonlyMap<string, KnownRow>): Set<string> {
  const again = new Set<string>();
  for (const { entries, events } of decoded) {
    for (const { at, keys } of events) {
      for (const cell of keys) {
        if (isPartCell(cell) && (entries[at]?.version ?? 0) <= (known.get(cell)?.rev ?? 0)) again.add(cell);
      }
    }
  }
  return again;
}
