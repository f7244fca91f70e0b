/** Query parameters of the stream routes: each once, none that is unknown, all faults told together. */
import { z } from 'zod';
import { parseInput } from '../domain/input.js';
import { TidemarkError } from '../platform/errors.js';
import type { StateAt } from './stream-reader.js';

export const MAX_HISTORY_ITEMS = 1_000;
export const DEFAULT_HISTORY_ITEMS = 50;

/** A whole number as it stands in a URL: digits only. */
const whole = (min: number, max: number) => {
  const message = `expected one whole number from ${min} to ${max}`;
  return z
    .string({ error: message })
    .regex(/^\d{1,16}$/, { error: message, abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: message });
};

const TIME = 'expected one time in ISO 8601 with offset (+ is written %2B in a URL)';

/** A `+` that was not percent-encoded arrives as a space; no valid time has one. */
const time = z
  .string({ error: TIME })
  .transform((text) => text.replace(' ', '+'))
  .pipe(z.iso.datetime({ offset: true, error: TIME }))
  .transform((text) => Date.parse(text));

const historyQuery = z.strictObject({
  from: whole(1, Number.MAX_SAFE_INTEGER).default(1),
  limit: whole(1, MAX_HISTORY_ITEMS).default(DEFAULT_HISTORY_ITEMS),
});

const stateQuery = z
  .strictObject({ atVersion: whole(0, Number.MAX_SAFE_INTEGER).optional(), atTime: time.optional() })
  .refine((query) => query.atVersion === undefined || query.atTime === undefined, {
    path: ['atTime'],
    error: 'expected not to stand beside atVersion',
  });

function parse<S extends z.ZodType>(schema: S, query: unknown): z.output<S> {
  const parsed = parseInput(schema, query);
  if (parsed.ok) return parsed.value;
  throw new TidemarkError('invalid_parameter', 'a query parameter is not valid', { faults: parsed.faults });
}

/** @throws TidemarkError `invalid_parameter` */
export const parseHistoryQuery = (query: unknown): { readonly from: number; readonly limit: number } =>
  parse(historyQuery, query);

/** @throws TidemarkError `invalid_parameter` */
export function parseStateQuery(query: unknown): StateAt {
  const { atVersion, atTime } = parse(stateQuery, query);
  return {
    ...(atVersion === undefined ? {} : { atVersion }),
    ...(atTime === undefined ? {} : { atTime }),
  };
}
