/**
 * Arrays as parameters in Postgres's binary form: a Buffer as parameter is sent as it is. Spares escaping every element
 * here and parsing it there, which is most of what a batched insert costs outside of its tables.
 * Form: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES and array_recv in arrayfuncs.c.
 */

const OID = { bool: 16, int8: 20, int4: 23, text: 25, json: 114, uuid: 2950 } as const;
const HEADER = 20;

function header(buffer: Buffer, oid: number, length: number, hasNull: boolean): void {
  // An empty array has no dimension, and its header ends after the type.
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(hasNull ? 1 : 0, 4);
  buffer.writeInt32BE(oid, 8);
  if (length === 0) return;
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
}

function ofBytes(oid: number, values: readonly (string | undefined)[]): Buffer {
  if (values.length === 0) return empty(oid);
  let size = HEADER + 4 * values.length;
  for (const value of values) if (value !== undefined) size += Buffer.byteLength(value);
  const buffer = Buffer.allocUnsafe(size);
  let hasNull = false;
  let at = HEADER;
  for (const value of values) {
    if (value === undefined) {
      hasNull = true;
      buffer.writeInt32BE(-1, at);
      at += 4;
      continue;
    }
    const written = buffer.write(value, at + 4);
    buffer.writeInt32BE(written, at);
    at += 4 + written;
  }
  header(buffer, oid, values.length, hasNull);
  return buffer;
}

function empty(oid: number): Buffer {
  const buffer = Buffer.allocUnsafe(12);
  header(buffer, oid, 0, false);
  return buffer;
}

/** `text[]`; unpaired surrogates become U+FFFD, so whoever minds checks before. */
export const textArray = (values: readonly string[]): Buffer => ofBytes(OID.text, values);

/** `json[]` of JSON texts, which Postgres checks; undefined becomes NULL. */
export const jsonArray = (values: readonly (string | undefined)[]): Buffer => ofBytes(OID.json, values);

/** `int4[]`; every value a whole number of 32 bits. */
export function int4Array(values: readonly number[]): Buffer {
  if (values.length === 0) return empty(OID.int4);
  const buffer = Buffer.allocUnsafe(HEADER + 8 * values.length);
  header(buffer, OID.int4, values.length, false);
  let at = HEADER;
  for (const value of values) {
    buffer.writeInt32BE(4, at);
    buffer.writeInt32BE(value, at + 4);
    at += 8;
  }
  return buffer;
}

/** `int8[]`; every value a whole number within ±2^53. */
export function int8Array(values: readonly number[]): Buffer {
  if (values.length === 0) return empty(OID.int8);
  const buffer = Buffer.allocUnsafe(HEADER + 12 * values.length);
  header(buffer, OID.int8, values.length, false);
  let at = HEADER;
  for (const value of values) {
    const high = Math.floor(value / 0x1_0000_0000);
    buffer.writeInt32BE(8, at);
    buffer.writeInt32BE(high, at + 4);
    buffer.writeUInt32BE(value - high * 0x1_0000_0000, at + 8);
    at += 12;
  }
  return buffer;
}

/** `boolean[]`. */
export function boolArray(values: readonly boolean[]): Buffer {
  if (values.length === 0) return empty(OID.bool);
  const buffer = Buffer.allocUnsafe(HEADER + 5 * values.length);
  header(buffer, OID.bool, values.length, false);
  let at = HEADER;
  for (const value of values) {
    buffer.writeInt32BE(1, at);
    buffer[at + 4] = value ? 1 : 0;
    at += 5;
  }
  return buffer;
}

/**
 * `uuid[]`; undefined becomes NULL.
 * @param values canonical text (`01890a5d-ac96-…`, 36 characters) or 16 bytes as a latin1 string
 */
export function uuidArray(values: readonly (string | undefined)[]): Buffer {
  if (values.length === 0) return empty(OID.uuid);
  const buffer = Buffer.allocUnsafe(HEADER + 20 * values.length);
  let at = HEADER;
  let hasNull = false;
  for (const value of values) {
    if (value === undefined) {
      hasNull = true;
      buffer.writeInt32BE(-1, at);
      at += 4;
      continue;
    }
    buffer.writeInt32BE(16, at);
    const written =
      value.length === 16
        ? buffer.write(value, at + 4, 16, 'latin1')
        : buffer.write(value.replaceAll('-', ''), at + 4, 16, 'hex');
    if (written !== 16) throw new RangeError(`not a UUID: ${JSON.stringify(value)}`);
    at += 20;
  }
  header(buffer, OID.uuid, values.length, hasNull);
  return buffer.subarray(0, at);
}
