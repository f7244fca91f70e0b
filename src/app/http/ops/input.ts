/** What operators send: bodies and parameters of `/ops/…`, each checked by a schema that is also its description. */
import { z } from 'zod';
import { parseInput } from '../../../domain/input.js';
import { idText } from '../../../domain/identifiers.js';
import { TidemarkError } from '../../../platform/errors.js';

const version = z.int().min(1).max(999_999).optional();
const WEEK_S = 7 * 86_400;

export const NothingBody = z.strictObject({});

export const VersionBody = z.strictObject({
  version: version.describe('The newest that is not retired without it.'),
});

export const SwapBody = z.strictObject({
  version: version.describe('The newest that is not retired without it.'),
  lockTimeoutMs: z
    .int()
    .min(1)
    .max(60_000)
    .default(5_000)
    .describe('How long it waits for readers of the view; they wait behind it meanwhile.'),
});

export const VerifyBody = z
  .strictObject({
    keys: z.array(idText()).min(1).max(1_000).optional().describe('These rows.'),
    sample: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe('About so many rows, drawn by the seed. 1,000 by default.'),
    seed: z
      .int()
      .min(0)
      .max(2 ** 31)
      .optional()
      .describe('Draws the same sample again.'),
    all: z.literal(true).optional().describe('All rows, in the background: answered 202.'),
  })
  .refine(({ keys, sample, all }) => [keys, sample, all].filter((each) => each !== undefined).length <= 1, {
    error: 'expected one of keys, sample and all',
  });

export const DiffBody = z.strictObject({
  versions: z.tuple([z.int().min(1).max(999_999), z.int().min(1).max(999_999)]),
  limit: z.int().min(0).max(200).default(20).describe('Rows that are listed of each sort; all are counted.'),
});

export const PruneBody = z.strictObject({
  graceSeconds: z
    .int()
    .min(0)
    .max(52 * WEEK_S)
    .default(86_400)
    .describe('Versions that were in use within this time are kept.'),
  dryRun: z.boolean().default(false).describe('Says what would be dropped, and drops nothing.'),
});

const part = z
  .string()
  .min(1)
  .max(40)
  .optional()
  .describe('Of a joined stream, the aggregate; the key is its id.');

export const ReplayBody = z.strictObject({ part });

export const SkipBody = z.strictObject({
  part,
  why: z.string().trim().min(1).max(500).describe('Kept beside the event that is skipped.'),
});

export const AcceptBody = z.strictObject({
  version: version.describe('The newest that is not retired without it.'),
  accept: z.boolean().default(true).describe('False takes it back.'),
});

/** @throws TidemarkError `invalid_payload` */
export function bodyOf<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = parseInput(schema, body);
  if (parsed.ok) return parsed.value;
  throw new TidemarkError('invalid_payload', 'the body does not fit', { faults: parsed.faults });
}

/** @throws TidemarkError `invalid_parameter` */
export function parametersOf<S extends z.ZodType>(schema: S, query: unknown): z.output<S> {
  const parsed = parseInput(schema, query);
  if (parsed.ok) return parsed.value;
  throw new TidemarkError('invalid_parameter', 'a query parameter is not valid', { faults: parsed.faults });
}
