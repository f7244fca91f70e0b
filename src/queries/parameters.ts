/** The query string as reads see it: each parameter's values in order, and texts read as the JSON type of a field. */
import type { Field } from '../domain/fields.js';
import { TidemarkError, type Fault } from '../platform/errors.js';

/** Parameter → its values in the order of the URL; never empty. */
export type Parameters = ReadonlyMap<string, readonly string[]>;

export type FilterValue = string | number | boolean | null;

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** @param query what the HTTP server made of the query string: name → text, or texts where it was repeated */
export function parametersOf(query: unknown): Parameters {
  const all = new Map<string, readonly string[]>();
  if (typeof query !== 'object' || query === null) return all;
  for (const [name, value] of Object.entries(query)) {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    all.set(name, values.map(String));
  }
  return all;
}

export const fault = (name: string, message: string): Fault => ({
  path: `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
  message,
});

export function invalidParameter(faults: readonly Fault[]): TidemarkError {
  const [first] = faults;
  return new TidemarkError('invalid_parameter', first ? `${first.path.slice(1)}: ${first.message}` : '', {
    faults,
  });
}

/** The one value of a parameter, undefined where it is not there. @throws TidemarkError `invalid_parameter` */
export function single(parameters: Parameters, name: string): string | undefined {
  const values = parameters.get(name);
  if (values && values.length > 1) throw invalidParameter([fault(name, 'expected it once')]);
  return values?.[0];
}

/**
 * A whole number within bounds, `fallback` where the parameter is not there.
 * @throws TidemarkError `invalid_parameter`
 */
export function wholeNumber(
  parameters: Parameters,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly fallback: number },
): number {
  const text = single(parameters, name);
  if (text === undefined) return bounds.fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= bounds.min && value <= bounds.max)) {
    throw invalidParameter([fault(name, `expected a whole number from ${bounds.min} to ${bounds.max}`)]);
  }
  return value;
}

const EXPECTED = {
  text: 'expected a text without NUL and unpaired surrogates',
  integer: 'expected a whole number between -(2^53 - 1) and 2^53 - 1',
  number: 'expected a number',
  boolean: 'expected true or false',
  json: 'expected a text, number or boolean',
} as const;

/** Why the text is no value of the field: the type that was expected. */
export const expectedOf = (field: Pick<Field, 'kind' | 'nullable'>): string =>
  `${EXPECTED[field.kind]}${field.nullable ? ', or nothing for null' : ''}`;

/**
 * A text as the JSON type of a field; undefined where it is none. An empty text is null where the field may be null or
 * absent (also for texts: an empty text cannot be asked for there), else it is the empty text.
 */
export function valueOf(
  field: Pick<Field, 'kind' | 'nullable' | 'optional'>,
  text: string,
): FilterValue | undefined {
  if (text === '' && (field.nullable || field.optional)) return null;
  switch (field.kind) {
    case 'text':
      return text.includes('\u0000') || !text.isWellFormed() ? undefined : text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'integer':
    case 'number': {
      // `+ 0` makes 0 of -0, which JSON and Postgres would tell apart.
      const value = JSON_NUMBER.test(text) ? Number(text) + 0 : Number.NaN;
      const fits = field.kind === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value);
      return fits ? value : undefined;
    }
    case 'json':
      return undefined;
  }
}
