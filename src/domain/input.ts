/** Checks what comes from outside against a schema: shape, unknown fields at any depth, and texts that Postgres cannot hold. */
import type { z } from 'zod';
import { jsonPointer, MAX_FAULTS, textFaults, type InputFault } from './texts.js';

export type { InputFault } from './texts.js';

export type ParsedInput<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly InputFault[] };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A schema drops fields that it does not know; what is in the input and not in the output was unknown. */
function walkUnknown(input: unknown, output: unknown, path: PropertyKey[], faults: InputFault[]): void {
  // A part that no schema looks into is handed on as it is.
  if (faults.length >= MAX_FAULTS || input === output) return;
  if (Array.isArray(input) && Array.isArray(output)) {
    for (let index = 0; index < input.length; index++) {
      path.push(index);
      walkUnknown(input[index], output[index], path, faults);
      path.pop();
    }
  } else if (isObject(input) && isObject(output)) {
    for (const name of Object.keys(input)) {
      path.push(name);
      if (Object.hasOwn(output, name)) walkUnknown(input[name], output[name], path, faults);
      else if (faults.length < MAX_FAULTS) faults.push({ path: jsonPointer(path), message: 'unknown field' });
      path.pop();
    }
  }
}

/** Of a union’s branches, the one that came closest: whose first fault lies deepest, then the one with the fewest. */
function closest(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  const depth = (issues: readonly z.core.$ZodIssue[]): number => issues[0]?.path.length ?? 0;
  const [first = []] = branches.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length);
  return first;
}

function faultsOfIssue(issue: z.core.$ZodIssue, at: readonly PropertyKey[]): InputFault[] {
  const path = [...at, ...issue.path];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: jsonPointer([...path, key]), message: 'unknown field' }));
  if (issue.code === 'invalid_union') {
    const nested = closest(issue.errors);
    // A branch that fails at its very root says less than the union itself.
    if (nested.some((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'))
      return nested.flatMap((inner) => faultsOfIssue(inner, path));
  }
  return [{ path: jsonPointer(path), message: issue.message }];
}

/** What zod found, as faults; 50 at the most. Messages name types and limits, never the values received. */
const faultsOf = (error: z.core.$ZodError): readonly InputFault[] =>
  error.issues
    .slice(0, MAX_FAULTS)
    .flatMap((issue) => faultsOfIssue(issue, []))
    .slice(0, MAX_FAULTS);

/** The same as one line for an error’s text. */
export const faultText = (error: z.core.$ZodError): string =>
  faultsOf(error)
    .map(({ path, message }) => `${path || '(root)'}: ${message}`)
    .join('; ');

/** Parses `value`, and refuses unknown fields, NUL, unpaired surrogates, `__proto__` and nesting beyond 64 levels. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): ParsedInput<z.output<S>> {
  const texts = textFaults(value);
  if (texts.length > 0) return { ok: false, faults: texts };
  const parsed = schema.safeParse(value);
  if (!parsed.success) return { ok: false, faults: faultsOf(parsed.error) };
  const unknown: InputFault[] = [];
  walkUnknown(value, parsed.data, [], unknown);
  return unknown.length > 0 ? { ok: false, faults: unknown } : { ok: true, value: parsed.data };
}

/**
 * Parses what another system wrote. Fields that the schema does not know are left out, as they may be added any day; what
 * is taken has no NUL, unpaired surrogates, `__proto__` or nesting beyond 64 levels.
 */
export function parseForeign<S extends z.ZodType>(schema: S, value: unknown): ParsedInput<z.output<S>> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) return { ok: false, faults: faultsOf(parsed.error) };
  const texts = textFaults(parsed.data);
  return texts.length > 0 ? { ok: false, faults: texts } : { ok: true, value: parsed.data };
}
