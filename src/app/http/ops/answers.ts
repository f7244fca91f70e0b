/** What `/ops/…` answers with, as schemas: the description of the API is made from them, and a test holds answers to them. */
import { z } from 'zod';
import { PROJECTION_STATES } from '../../../projections/states.js';

const time = z.iso.datetime();
const whole = z.int().min(0);
const version = z.int().min(1);

const Stop = z.strictObject({
  source: z.string(),
  shard: whole,
  kind: z.enum(['halted', 'needs_newer_code']),
  reason: z.string().describe('The event it stands before, and the error.'),
  seq: whole,
  at: time,
});

const Progress = z.strictObject({
  startedAt: time,
  phase: z.enum(['loading', 'indexing']),
  events: whole,
  total: whole,
  perSecond: z.number().min(0),
});

export const VersionAnswer = z.strictObject({
  name: z.string(),
  version,
  state: z.enum(PROJECTION_STATES),
  reason: z.string().nullable(),
  since: time,
  loaded: z.boolean().describe('False while its rows are being loaded.'),
  ready: z.boolean().describe('It was once as far as the version before it, so that it may be served.'),
  acceptParked: z.boolean(),
  lag: z.int().describe('Events behind the heads; never clamped.'),
  parkedKeys: whole,
  stops: z.array(Stop).describe('Shards that stand still.'),
  processes: whole.describe('Live processes that have the version in their code.'),
  projectors: whole.describe('Those of them with the role projector.'),
  inView: z.boolean().describe('The SQL view shows this version.'),
  bytes: whole.nullable().describe('Of its tables with their indexes.'),
  progress: Progress.nullable().describe('Of a build under way.'),
});

export const ProjectionsAnswer = z.strictObject({ projections: z.array(VersionAnswer) });
export const ProjectionAnswer = z.strictObject({ name: z.string(), versions: z.array(VersionAnswer) });

const Noted = z.strictObject({ total: whole, keys: z.array(z.string()) });
const column = z.strictObject({
  column: z.string(),
  expected: z.string().optional().describe('JSON text.'),
  actual: z.string().optional().describe('JSON text.'),
});
const Difference = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('wrong'), key: z.string(), revision: whole, columns: z.array(column) }),
  z.strictObject({ kind: z.literal('missing'), key: z.string(), expected: z.string() }),
  z.strictObject({ kind: z.literal('extra'), key: z.string(), revision: whole, actual: z.string() }),
  z.strictObject({ kind: z.literal('change'), key: z.string(), revision: whole, reason: z.string() }),
  z.strictObject({ kind: z.literal('unfoldable'), key: z.string(), error: z.string() }),
]);

export const VerificationAnswer = z.strictObject({
  projection: z.string(),
  version,
  mode: z.enum(['keys', 'sample', 'all']),
  seed: whole.optional(),
  complete: z.boolean().describe('False: the time was over before all was compared.'),
  compared: whole,
  events: whole,
  totals: z.strictObject({ wrong: whole, missing: whole, extra: whole, change: whole, unfoldable: whole }),
  differences: whole.describe('0: the rows are what their events make.'),
  listed: z.array(Difference).describe('The first of them.'),
  parked: Noted,
  skipped: Noted,
  trimmed: whole,
  tookMs: whole,
});

const Running = z.strictObject({
  state: z.literal('running'),
  startedAt: time,
  compared: whole,
  events: whole,
});
export const VerificationStateAnswer = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('none') }),
  Running,
  z.strictObject({ state: z.literal('done'), startedAt: time, result: VerificationAnswer }),
  z.strictObject({ state: z.literal('failed'), startedAt: time, code: z.string(), detail: z.string() }),
]);
export const VerificationBegunAnswer = Running.extend({ see: z.string() });

const EventName = {
  source: z.string(),
  shard: whole,
  seq: whole,
  streamId: z.string(),
  type: z.string(),
};
const Parked = {
  projection: z.string(),
  version,
  part: z.string().describe('Empty: a row. Else the joined aggregate, and `key` is its stream’s id.'),
  key: z.string(),
  event: z.strictObject(EventName).describe('The event at fault.'),
  error: z.string(),
  attempts: whole,
  parkedAt: time,
  queued: whole.describe('Events that wait, the one at fault among them.'),
};
const Queued = { ...EventName, streamVersion: version, recordedAt: time };

export const ParkedListAnswer = z.strictObject({ items: z.array(z.strictObject(Parked)), total: whole });
export const ParkedAnswer = z.strictObject({
  ...Parked,
  events: z.array(z.strictObject(Queued)).describe('The first of those that wait.'),
  skipped: z.array(z.strictObject({ ...Queued, skippedAt: time, why: z.string() })),
  together: z
    .array(z.strictObject({ part: z.string(), key: z.string() }))
    .describe('Keys that are replayed and skipped together with this one.'),
});

export const RebuildAnswer = VersionAnswer.extend({ see: z.string().describe('Tells how far it is.') });

export const SwapAnswer = z.strictObject({
  name: z.string(),
  version,
  views: z.array(
    z.strictObject({
      view: z.string(),
      from: version.nullable().describe('The version that it showed before.'),
      how: z.enum(['unchanged', 'replaced', 'made_anew', 'created']),
    }),
  ),
});

const Version = { name: z.string(), version };
export const PruneAnswer = z.strictObject({
  dropped: z.array(z.strictObject(Version)).describe('Or what would be.'),
  kept: z.array(z.strictObject({ ...Version, why: z.string() })),
  topics: z
    .strictObject({
      dropped: z.array(z.string()),
      kept: z.array(z.strictObject({ topic: z.string(), why: z.string() })),
    })
    .optional()
    .describe('Of their changes, where there is a Kafka.'),
});

const Only = z.strictObject({ total: whole, keys: z.array(z.string()) });
export const DiffAnswer = z.strictObject({
  projection: z.string(),
  versions: z.tuple([version, version]),
  rows: z.tuple([whole, whole]),
  positions: z.array(
    z.strictObject({
      source: z.string(),
      shard: whole,
      seqs: z.tuple([whole.nullable(), whole.nullable()]),
    }),
  ),
  samePosition: z.boolean().describe('Both have the same events in.'),
  columns: z.strictObject({
    both: z.array(z.string()),
    firstOnly: z.array(z.string()),
    secondOnly: z.array(z.string()),
  }),
  differing: z.strictObject({
    total: whole,
    byColumn: z.record(z.string(), whole),
    listed: z.array(
      z.strictObject({
        key: z.string(),
        columns: z.array(z.strictObject({ column: z.string(), first: z.string(), second: z.string() })),
      }),
    ),
  }),
  firstOnly: Only,
  secondOnly: Only,
});

const Replayed = {
  part: z.string(),
  key: z.string(),
  events: whole.describe('Events that are in now.'),
  waiting: whole.describe('Events that still wait; 0: the key is not parked any more.'),
};
const Fault = z.strictObject({
  ...EventName,
  kind: z.enum(['poison', 'needs_newer_code']),
  error: z.string(),
});
export const ReplayAnswer = z.strictObject(Replayed);
export const SkipAnswer = z.strictObject({
  ...Replayed,
  fault: Fault.optional().describe('The next event that cannot be folded.'),
});
export const ReplayAllAnswer = z.strictObject({
  items: z.array(SkipAnswer),
  complete: z.boolean().describe('False: the time was over before all were tried.'),
});
