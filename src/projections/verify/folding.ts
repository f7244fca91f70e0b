/** Rows as their events make them, folded anew: in memory, without a look at the table. */
import { foldRow, keysOf, sourceOf, toRecorded } from '../../domain/folding.js';
import type { StoredEvent } from '../../domain/events.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { messageOf } from '../../platform/errors.js';
import type { LeftOut } from './left-out.js';

/** What the rows of some keys should be. */
export interface Expected {
  /** Only keys that have a row. */
  readonly rows: ReadonlyMap<string, RowValue>;
  /** Rows that may be there as well: a part that is in many rows is in them before its event counts as in. */
  readonly also: ReadonlyMap<string, RowValue>;
  /** Keys whose events cannot be folded by this code → why. */
  readonly failed: ReadonlyMap<string, string>;
}

export const faultOf = ({ category, type, shard, seq }: StoredEvent, error: unknown): string =>
  `${category}.${type} (shard ${shard} seq ${seq}): ${messageOf(error)}`;

/** The rows of a projection without the columns of joins, as far as they do not move. */
export class Refolded implements Expected {
  readonly rows = new Map<string, RowValue>();
  readonly also: ReadonlyMap<string, RowValue> = new Map();
  readonly failed = new Map<string, string>();
  readonly #projection: AnyProjection;
  readonly #leftOut: LeftOut;

  constructor(projection: AnyProjection, leftOut: LeftOut) {
    this.#projection = projection;
    this.#leftOut = leftOut;
  }

  /**
   * The next event, in the order in which all are folded.
   * @param wanted whose rows are kept
   * @throws DomainError when it cannot be read and its keys cannot be told without that; whatever `keys` throws
   */
  add(stored: StoredEvent, wanted: (key: string) => boolean): void {
    const source = sourceOf(this.#projection, stored.category);
    if (!source || source.moving || source.fold[stored.type] === undefined) return;
    let event;
    try {
      event = toRecorded(source, stored);
    } catch (error) {
      if (source.keys) throw error;
      if (wanted(stored.streamId)) this.#fail(stored.streamId, stored, error);
      return;
    }
    for (const key of keysOf(source, event)) {
      if (!wanted(key) || this.failed.has(key) || this.#leftOut.has(key, stored)) continue;
      try {
        const next = foldRow(this.#projection, source, key, this.rows.get(key) ?? null, event);
        if (next === null) this.rows.delete(key);
        else this.rows.set(key, next);
      } catch (error) {
        this.#fail(key, stored, error);
      }
    }
  }

  #fail(key: string, stored: StoredEvent, error: unknown): void {
    if (this.#leftOut.has(key, stored)) return;
    this.rows.delete(key);
    this.failed.set(key, faultOf(stored, error));
  }
}
