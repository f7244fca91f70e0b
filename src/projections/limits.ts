/** What a row must keep to so that its table, its indexes and its change can hold it. */
import { MAX_JSON_BYTES } from '../domain/identifiers.js';
import { textFaults } from '../domain/texts.js';
import type { AnyProjection, RowValue } from '../domain/projection.js';
import { indexesOf } from './ddl.js';

/** Of a btree's entry of 2,704 bytes, what is left for texts. */
const MAX_INDEX_TEXT = 2_500;
/** JSON writes NUL and unpaired surrogates, which Postgres's text cannot hold, as escapes. Misses nothing, finds too much. */
const MAYBE_UNFIT = /\\u(?:0000|d[89a-f])|"__proto__"/;

const indexedTexts = new WeakMap<AnyProjection, readonly (readonly string[])[]>();

function textsOf(projection: AnyProjection): readonly (readonly string[])[] {
  const known = indexedTexts.get(projection);
  if (known) return known;
  const texts = new Set(projection.fields.filter(({ kind }) => kind === 'text').map(({ name }) => name));
  const made = indexesOf(projection).map((columns) => columns.filter((name) => texts.has(name)));
  indexedTexts.set(projection, made);
  return made;
}

const bytesOf = (value: unknown): number => (typeof value === 'string' ? Buffer.byteLength(value) : 0);

/**
 * Why a row cannot be stored, or undefined when it can.
 * @param json its JSON text
 */
export function rowFault(projection: AnyProjection, row: RowValue, json: string): string | undefined {
  // A UTF-16 code unit has at most three bytes of UTF-8.
  if (json.length * 3 > MAX_JSON_BYTES && Buffer.byteLength(json) > MAX_JSON_BYTES) {
    return `the row is ${Buffer.byteLength(json)} bytes of JSON; expected at most ${MAX_JSON_BYTES}`;
  }
  if (MAYBE_UNFIT.test(json)) {
    const [fault] = textFaults(row);
    if (fault) return `row field ${fault.path}: ${fault.message}`;
  }
  if (json.length * 3 <= MAX_INDEX_TEXT) return undefined;
  for (const columns of textsOf(projection)) {
    const bytes = columns.reduce((sum, name) => sum + bytesOf(row[name]), 0);
    if (bytes > MAX_INDEX_TEXT) {
      return `the indexed texts ${columns.join(', ')} have ${bytes} bytes together; expected at most ${MAX_INDEX_TEXT}`;
    }
  }
  return undefined;
}
