/** Checks what comes from outside against a schema: shape, unknown fields at any depth, and texts that Postgres cannot hold. */
import type { z } from 'zod';

export interface InputFault {
  /** JSON Pointer (RFC 6901) into the input. */
  readonly path: string;
  readonly message: string;
}

export type ParsedInput<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly InputFault[] };

/** More faults than this are not listed. */
const MAX_FAULTS = 50;
const MAX_DEPTH = 64;

export const jsonPointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function textFault(text: string): string | undefined {
  if (text.includes('\u0000')) return 'expected a text without NUL';
  return text.isWellFormed() ? undefined : 'expected a text without unpaired surrogates';
}

function walkTexts(value: unknown, path: readonly PropertyKey[], faults: InputFault[]): void {
  if (faults.length >= MAX_FAULTS) return;
  if (typeof value === 'string') {
    const message = textFault(value);
    if (message !== undefined) faults.push({ path: jsonPointer(path), message });
  } else if (typeof value === 'object' && value !== null) {
    if (path.length >= MAX_DEPTH) {
      faults.push({ path: jsonPointer(path), message: `expected at most ${MAX_DEPTH} levels` });
      return;
    }
    for (const [name, inner] of Object.entries(value)) {
      const message = textFault(name);
      if (message !== undefined) faults.push({ path: jsonPointer(path), message: `field name: ${message}` });
      walkTexts(inner, [...path, name], faults);
    }
  }
}

/** A schema drops fields that it does not know; what is in the input and not in the output was unknown. */
function walkUnknown(
  input: unknown,
  output: unknown,
  path: readonly PropertyKey[],
  faults: InputFault[],
): void {
  if (faults.length >= MAX_FAULTS) return;
  if (Array.isArray(input) && Array.isArray(output)) {
    input.forEach((item, index) => walkUnknown(item, output[index], [...path, index], faults));
  } else if (isObject(input) && isObject(output)) {
    const known = Object.keys(output);
    for (const name of Object.keys(input)) {
      if (!Object.hasOwn(output, name)) {
        const message = `unknown field; known are ${known.join(', ') || '(none)'}`;
        faults.push({ path: jsonPointer([...path, name]), message });
      } else walkUnknown(input[name], output[name], [...path, name], faults);
    }
  }
}

/** Parses `value`, and refuses unknown fields, NUL, unpaired surrogates and nesting beyond 64 levels. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): ParsedInput<z.output<S>> {
  const faults: InputFault[] = [];
  walkTexts(value, [], faults);
  if (faults.length > 0) return { ok: false, faults };
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const found = parsed.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: jsonPointer([...issue.path, key]), message: 'unknown field' }))
        : [{ path: jsonPointer(issue.path), message: issue.message }],
    );
    return { ok: false, faults: found.slice(0, MAX_FAULTS) };
  }
  walkUnknown(value, parsed.data, [], faults);
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value: parsed.data };
}
