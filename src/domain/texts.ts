/** What no schema sees: texts that Postgres cannot hold, names that JavaScript trips over, nesting without end. */

export interface InputFault {
  /** JSON Pointer (RFC 6901) into the input. */
  readonly path: string;
  readonly message: string;
}

/** More faults than this are not listed. */
export const MAX_FAULTS = 50;
const MAX_DEPTH = 64;

export const jsonPointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

function textFault(text: string): string | undefined {
  if (text.includes('\u0000')) return 'expected a text without NUL';
  return text.isWellFormed() ? undefined : 'expected a text without unpaired surrogates';
}

function nameFault(name: string): string | undefined {
  // As an own name it is harmless; copied by assignment it sets a prototype.
  if (name === '__proto__') return 'expected another name';
  return textFault(name);
}

/** One array is the path of the whole walk, so that a large input costs no path per value. */
function walk(value: unknown, path: PropertyKey[], faults: InputFault[]): void {
  if (faults.length >= MAX_FAULTS) return;
  if (typeof value === 'string') {
    const message = textFault(value);
    if (message !== undefined) faults.push({ path: jsonPointer(path), message });
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (path.length >= MAX_DEPTH) {
    faults.push({ path: jsonPointer(path), message: `expected at most ${MAX_DEPTH} levels` });
    return;
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      path.push(index);
      walk(value[index], path, faults);
      path.pop();
    }
    return;
  }
  for (const name of Object.keys(value)) {
    if (faults.length >= MAX_FAULTS) return;
    path.push(name);
    const message = nameFault(name);
    if (message !== undefined) faults.push({ path: jsonPointer(path), message: `field name: ${message}` });
    walk((value as Readonly<Record<string, unknown>>)[name], path, faults);
    path.pop();
  }
}

/** Texts with NUL or unpaired surrogates (field names too), `__proto__`, nesting beyond 64 levels; none when all is well. */
export function textFaults(value: unknown): readonly InputFault[] {
  const faults: InputFault[] = [];
  walk(value, [], faults);
  return faults;
}
