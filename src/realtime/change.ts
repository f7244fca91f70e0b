/** One entry of a change log as the gateway keeps it: encoded once, however many channels and sockets it goes to. */
import type { ChangeEntry, ChannelValue } from '../projections/types.js';
import { encodeRow } from './encoding.js';

/** What an entry weighs beside its texts: objects, headers, cached values. */
const OVERHEAD_BYTES = 200;

/** Values of a tuple of channel fields, in the order of the tuple, as one text. */
export const tupleKey = (values: readonly (ChannelValue | undefined)[]): string =>
  JSON.stringify(values.map((value) => value ?? null));

type Fields = Readonly<Record<string, unknown>>;

const asScalar = (value: unknown): ChannelValue =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;

const keysOf = (tuples: readonly (readonly string[])[], fields: Fields | null): readonly string[] =>
  fields === null ? [] : tuples.map((tuple) => tupleKey(tuple.map((name) => asScalar(fields[name]))));

export class Change {
  readonly seq: number;
  readonly key: string;
  /** When it was recorded, ms. */
  readonly at: number;
  /** Bytes in memory, about. */
  readonly bytes: number;
  readonly #row: string | null;
  readonly #before: Fields | null;
  readonly #tuples: readonly (readonly string[])[];
  #present: string | undefined;
  #gone: string | undefined;
  #keys: { readonly before: readonly string[]; readonly after: readonly string[] } | undefined;

  /** @param tuples the projection's channels */
  constructor(entry: ChangeEntry, tuples: readonly (readonly string[])[]) {
    this.seq = entry.seq;
    this.key = entry.key;
    this.at = Date.parse(entry.recordedAt);
    this.#row = entry.row;
    this.#before = entry.before;
    this.#tuples = tuples;
    // The row's text and, once encoded, its frame part.
    this.bytes = 2 * ((entry.row?.length ?? 4) + entry.key.length) + OVERHEAD_BYTES;
  }

  /** There is a row after the change. */
  get exists(): boolean {
    return this.#row !== null;
  }

  /** `[key, seq, row]`; row null where there is none any more. */
  present(): string {
    this.#present ??= encodeRow(this.key, this.seq, this.#row ?? undefined);
    return this.#present;
  }

  /** `[key, seq, null]`, for a channel that the row left. */
  gone(): string {
    this.#gone ??= encodeRow(this.key, this.seq, undefined);
    return this.#gone;
  }

  /** The row after the change, parsed anew; null where there is none. */
  row(): Fields | null {
    // A row is an object: it was checked against the row schema when it was written.
    return this.#row === null ? null : (JSON.parse(this.#row) as Fields);
  }

  /** The tuple's values before the change; undefined where there was no row. */
  before(tuple: number): string | undefined {
    return this.#tupleKeys().before[tuple];
  }

  /** The tuple's values after the change; undefined where there is no row. */
  after(tuple: number): string | undefined {
    return this.#tupleKeys().after[tuple];
  }

  /** Whether channel fields had these values before the change, and have them after it. */
  matches(fields: readonly string[], values: string): { readonly before: boolean; readonly after: boolean } {
    // A row is an object: it was checked against the row schema when it was written.
    const after = this.#row === null ? null : (JSON.parse(this.#row) as Fields);
    const [[before], [now]] = [keysOf([fields], this.#before), keysOf([fields], after)];
    return { before: before === values, after: now === values };
  }

  #tupleKeys(): { readonly before: readonly string[]; readonly after: readonly string[] } {
    this.#keys ??= {
      before: keysOf(this.#tuples, this.#before),
      after: keysOf(this.#tuples, this.row()),
    };
    return this.#keys;
  }
}
