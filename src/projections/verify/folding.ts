/** Rows as their events make them, folded anew: in memory, without a look at the table. */
import { foldRow, keysOf, sourceOf, toRecorded } from '../../domain/folding.js';
import type { StoredEvent } from '../../domain/events.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { messageOf } from '../../platform/errors.js';

/** Key → the events (`placeName`) that an operator skipped for it. */
export type Skipped = ReadonlyMap<string, ReadonlySet<string>>;

export const placeName = (source: string, shard: number, seq: number): string => `${source}/${shard}/${seq}`;

export class Refolded {
  /** Only keys that have a row. */
  readonly rows = new Map<string, RowValue>();
  /** Keys whose events cannot be folded → why. */
  readonly failed = new Map<string, string>();
  readonly #projection: AnyProjection;
  readonly #skipped: Skipped;

  constructor(projection: AnyProjection, skipped: Skipped) {
    this.#projection = projection;
    this.#skipped = skipped;
  }

  /**
   * The next event, in the order in which all are folded.
   * @param wanted whose rows are kept
   * @throws DomainError when it cannot be read and its keys cannot be told without that; whatever `keys` throws
   */
  add(stored: StoredEvent, wanted: (key: string) => boolean): void {
    const source = sourceOf(this.#projection, stored.category);
    if (!source) return;
    let event;
    try {
      event = toRecorded(source, stored);
    } catch (error) {
      if (source.keys) throw error;
      if (wanted(stored.streamId)) this.#fail(stored.streamId, stored, error);
      return;
    }
    for (const key of keysOf(source, event)) {
      if (!wanted(key) || this.failed.has(key) || this.#wasSkipped(key, stored)) continue;
      try {
        const next = foldRow(this.#projection, source, key, this.rows.get(key) ?? null, event);
        if (next === null) this.rows.delete(key);
        else this.rows.set(key, next);
      } catch (error) {
        this.#fail(key, stored, error);
      }
    }
  }

  #wasSkipped(key: string, { category, shard, seq }: StoredEvent): boolean {
    return this.#skipped.get(key)?.has(placeName(category, shard, seq)) ?? false;
  }

  #fail(key: string, stored: StoredEvent, error: unknown): void {
    if (this.#wasSkipped(key, stored)) return;
    const { category, type, shard, seq } = stored;
    this.rows.delete(key);
    this.failed.set(key, `${category}.${type} (shard ${shard} seq ${seq}): ${messageOf(error)}`);
  }
}
