/**
 * All rows of a projection, folded in memory: what a read model must be equal to. The test kit runs it with everything frozen;
 * checks of a read model run it beside the table.
 */
import type { StoredEvent } from './events.js';
import { foldRow, keysOf, sourceOf, toRecorded } from './folding.js';
import { foldPart, holderOf, joinRow, keyOfPart, touchesPart, type StreamPart } from './parts.js';
import type { AnyProjection, ProjectionSource, RecordedEvent, RowValue } from './projection.js';

export interface MemoryModelOptions {
  /** Called with what a fold is to get, which it hands back. */
  readonly seal?: <T>(value: T) => T;
  /** Runs a function of the projection’s. `event` is what it is called for. */
  readonly run?: <T>(event: StoredEvent, call: () => T) => T;
}

export class MemoryModel {
  readonly #projection: AnyProjection;
  readonly #seal: <T>(value: T) => T;
  readonly #run: <T>(event: StoredEvent, call: () => T) => T;
  /** Rows without the columns of joins. */
  readonly #own = new Map<string, RowValue>();
  readonly #parts = new Map<string, StreamPart>();

  constructor(projection: AnyProjection, options: MemoryModelOptions = {}) {
    this.#projection = projection;
    this.#seal = options.seal ?? ((value) => value);
    this.#run = options.run ?? ((_event, call) => call());
  }

  /** Folds one event; events of one stream in their order. @throws as `toRecorded`, `keysOf`, `foldRow` and `foldPart` */
  apply(stored: StoredEvent): void {
    const source = sourceOf(this.#projection, stored.category);
    if (!source) return;
    const event = this.#seal(toRecorded(source, stored));
    this.#foldRows(source, stored, event);
    if (touchesPart(source, event.type)) this.#foldPart(source, stored, event);
  }

  #foldRows(source: ProjectionSource, stored: StoredEvent, event: RecordedEvent): void {
    const keys = this.#run(stored, () => keysOf(source, event));
    const next = keys.map((key) =>
      this.#run(stored, () => foldRow(this.#projection, source, key, this.#own.get(key) ?? null, event)),
    );
    for (const [n, key] of keys.entries()) {
      const row = next[n];
      if (row) this.#own.set(key, this.#seal(row));
      else this.#own.delete(key);
    }
  }

  #foldPart(source: ProjectionSource, stored: StoredEvent, event: RecordedEvent): void {
    const { category, streamId } = stored;
    const id = JSON.stringify([category, streamId]);
    const before = this.#parts.get(id)?.part;
    const part = this.#run(stored, () => foldPart(this.#projection, source, before, event));
    this.#parts.set(id, { source: category, streamId, part: this.#seal(part) });
  }

  /** Rows by key. */
  rows(): Map<string, RowValue> {
    const own = this.#projection.rowsMove ? this.#standing() : this.#own;
    const partOf = (source: string, streamId: string): StreamPart['part'] | undefined =>
      this.#parts.get(JSON.stringify([source, streamId]))?.part;
    return new Map([...own].map(([key, row]) => [key, joinRow(this.#projection, row, partOf)]));
  }

  /** Where rows move: of the streams at each key, the row of the one that is shown. */
  #standing(): Map<string, RowValue> {
    const at = new Map<string, StreamPart[]>();
    for (const one of this.#parts.values()) {
      const key = keyOfPart(this.#projection, one.part);
      if (key !== undefined) at.set(key, [...(at.get(key) ?? []), one]);
    }
    const rows = [...at].flatMap(([key, parts]): [string, RowValue][] => {
      const row = holderOf(parts)?.part.row;
      return row ? [[key, row]] : [];
    });
    return new Map(rows);
  }
}
