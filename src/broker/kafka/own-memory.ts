/**
 * Records with memory of their own. What kafkajs gives are parts of all that one fetch brought, megabytes that stay as long as
 * one record of it waits.
 */

type Value = Buffer | string | null | undefined;
/** By name; a name that came twice has a list of values. */
type Headers = Readonly<Record<string, Value | Value[]>>;

interface Parts {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Headers | undefined;
}

/** About what a record and each of its headers hold beside their bytes. */
const RECORD_BYTES = 300;
const HEADER_BYTES = 100;

const lengthOf = (value: Value): number => value?.length ?? 0;

/** Bytes that a record holds, about. */
export function bytesOf({ key, value, headers = {} }: Parts): number {
  let bytes = RECORD_BYTES + lengthOf(key) + lengthOf(value);
  for (const name in headers) {
    const held = headers[name];
    bytes += HEADER_BYTES + name.length;
    if (!Array.isArray(held)) bytes += lengthOf(held);
    else for (const one of held) bytes += HEADER_BYTES + lengthOf(one);
  }
  return bytes;
}

export const ownBytes = (bytes: Buffer | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes));

/** A header may have no value, which is as if there were none. */
export function ownHeaders(headers: Headers = {}): Record<string, Buffer | string | (Buffer | string)[]> {
  const own: Record<string, Buffer | string | (Buffer | string)[]> = {};
  const copy = (value: Buffer | string): Buffer | string =>
    typeof value === 'string' ? value : Buffer.from(value);
  for (const [name, held] of Object.entries(headers)) {
    if (Array.isArray(held))
      own[name] = held.flatMap((one) => (one === null || one === undefined ? [] : [copy(one)]));
    else if (held !== null && held !== undefined) own[name] = copy(held);
  }
  return own;
}
