/** An event’s data as JSON carries it: what code makes and JSON would lose or bend is found here, before it is stored. */
import { jsonPointer } from '../domain/texts.js';

export interface ValueFault {
  /** JSON Pointer into the data. */
  readonly path: string;
  readonly message: string;
}

const MAX_DEPTH = 64;

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value);
}

function walk(value: unknown, path: PropertyKey[]): ValueFault | undefined {
  const fault = (message: string): ValueFault => ({ path: jsonPointer(path), message });
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : fault(`${value} is not JSON`);
    case 'object':
      if (value === null) return undefined;
      if (path.length >= MAX_DEPTH) return fault(`expected at most ${MAX_DEPTH} levels`);
      if (!Array.isArray(value) && !isPlain(value))
        return fault('expected a plain object, an array or a scalar');
      return walkInside(value, path);
    default:
      return fault(`${typeof value} is not JSON`);
  }
}

function walkInside(value: object, path: PropertyKey[]): ValueFault | undefined {
  const isList = Array.isArray(value);
  for (const [name, inner] of Object.entries(value)) {
    // A property that is undefined is one that is absent: JSON leaves it out. In a list it would become null.
    if (inner === undefined && !isList) continue;
    path.push(name);
    const found = walk(inner, path);
    if (found) return found;
    path.pop();
  }
  return undefined;
}

/** The first thing in `value` that JSON would not carry as it is (NaN, a Date, a cycle), or undefined. */
export const findValueFault = (value: unknown): ValueFault | undefined => walk(value, []);
