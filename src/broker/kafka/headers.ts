/**
 * kafkajs puts a record’s headers together by copying all those before each of them, which takes half a minute of the whole
 * process for ten thousand, and anyone may write such a record. Here each is touched once.
 */
import Decoder, { type DecodedHeader, type HeaderValues } from 'kafkajs/src/protocol/decoder.js';

let done = false;

/** By name; a name that came twice has a list of values: as kafkajs does it. */
function byName(headers: readonly DecodedHeader[]): Readonly<Record<string, HeaderValues>> {
  const found = new Map<string, HeaderValues>();
  for (const { key, value } of headers) {
    const before = found.get(key);
    if (before === undefined) found.set(key, value);
    else if (Array.isArray(before)) before.push(value);
    else found.set(key, [before, value]);
  }
  return Object.fromEntries(found);
}

/** Mends how headers are read in this process, once. They are the only lists that are read by this method. */
export function mendHeaders(): void {
  if (done) return;
  done = true;
  const { readVarIntArray } = Decoder.prototype;
  Decoder.prototype.readVarIntArray = function (reader) {
    const headers = readVarIntArray.call(this, reader);
    // What reads a record asks for nothing but this.
    return Object.assign(headers, { reduce: () => byName(headers) });
  };
}
