/**
 * Folds the events of a projection again and compares the rows that they make with those of the table. Made for production: it only
 * reads, nobody waits for it, and on a projection at work it tells nothing that is not so.
 */
import type { AnyApp } from '../../domain/app.js';
import type { AnyProjection } from '../../domain/projection.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { Bounds, OutOfTime } from './bounds.js';
import { drawStreams, verifyAllStreams, verifyStreams } from './by-stream.js';
import type { VerifyContext } from './context.js';
import { verifyAllKeys, verifyKeys, verifySampleOfKeys } from './many-streams.js';
import { Findings, type Verification } from './report.js';

export type { Difference, Verification } from './report.js';

export interface VerifyOptions {
  /** These rows; `sample` and `all` are ignored then. */
  readonly keys?: readonly string[];
  /** Every row, and every key that should have one. */
  readonly all?: boolean;
  /** About how many rows, drawn by the seed; 1,000 unless told otherwise. */
  readonly sample?: number;
  /** Of the sample; a whole number, random unless told otherwise. */
  readonly seed?: number;
  /** After this it ends with what it has (`complete: false`); 600,000 ms unless told otherwise. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Differences that are listed at the most; all are counted. 50 unless told otherwise. */
  readonly limit?: number;
  /** Rows of many streams that are held in memory at once; more of them take several passes over the events. 100,000 unless told otherwise. */
  readonly rowsAtOnce?: number;
  /** Called now and then with how far it is. */
  readonly progress?: (soFar: { readonly compared: number; readonly events: number }) => void;
}

/** Numbers from 0 to 1 that a seed gives again. Source: mulberry32 by Tommy Ettinger (public domain). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function run(context: VerifyContext, { keys, all, sample = 1_000 }: VerifyOptions): Promise<void> {
  const { manyStreams } = context.projection;
  if (keys) return manyStreams ? verifyKeys(context, keys) : verifyStreams(context, keys);
  if (all) return manyStreams ? verifyAllKeys(context) : verifyAllStreams(context);
  if (manyStreams) return verifySampleOfKeys(context, sample);
  return verifyStreams(context, await drawStreams(context, sample, randomFrom(context.seed)));
}

function projectionNamed({ views, projections }: AnyApp, name: string): AnyProjection {
  const projection = views.find((one) => one.name === name);
  if (projection) return projection;
  if (projections.some((one) => one.name === name))
    throw new TidemarkError(
      'unknown_projection',
      `${name} writes its tables by itself: only projections with rows by key can be folded again`,
    );
  const names = views.map((one) => one.name).join(', ');
  throw new TidemarkError('unknown_projection', `there is no projection ${name}; there are ${names}`);
}

/**
 * Compares rows of a projection with a fold of their events, as of one moment, and with their last changes in the change log.
 * @param db reads with two of its connections at the most
 * @param name of a projection of the application, in the version that it was built with
 * @throws TidemarkError `unknown_projection`, `projection_changed`, `wrong_state` (being built, retired); the signal’s reason
 */
export async function verifyProjection(
  db: Database,
  app: AnyApp,
  name: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const begun = performance.now();
  const projection = projectionNamed(app, name);
  const { timeoutMs = 600_000, signal, limit = 50, seed = Math.floor(Math.random() * 2 ** 31) } = options;
  const findings = new Findings(limit);
  const context: VerifyContext = {
    db,
    projection,
    shards: app.shards,
    bounds: new Bounds({ timeoutMs, signal }),
    findings,
    limit,
    seed,
    rowsAtOnce: options.rowsAtOnce ?? 100_000,
    progress: () => options.progress?.({ compared: findings.compared, events: findings.events }),
  };
  let complete = true;
  try {
    await run(context, options);
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    complete = false;
  }
  const mode = options.keys ? 'keys' : options.all ? 'all' : 'sample';
  return {
    projection: name,
    version: projection.version,
    mode,
    seed: mode === 'sample' ? seed : undefined,
    complete,
    ...findings.summary(),
    tookMs: Math.round(performance.now() - begun),
  };
}
