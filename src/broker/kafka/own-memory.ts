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

/** A header may have no value, which is as if there were none: kafkajs could not send it on. */
export function ownHeaders(headers: Headers = {}): Record<string, Buffer | string | (Buffer | string)[]> {
  const copy = (value: Value): (Buffer | string)[] => {
    if (value === null || value === undefined) return [];
    return [typeof value === 'string' ? value : Buffer.from(value)];
  };
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, held]) => {
      const [first, ...more] = Array.isArray(held) ? held.flatMap(copy) : copy(held);
      return first === undefined ? [] : [[name, more.length === 0 ? first : [first, ...more]]];
    }),
  );
}
