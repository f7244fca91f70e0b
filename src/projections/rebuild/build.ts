/** One build of one version, from its begin (or from where it was left) to its end, by whoever was elected for it. */
import { hasParts } from '../../domain/parts.js';
import { faultMessage } from '../parked/record.js';
import { move } from '../states.js';
import { conflictOf, isRowRefused } from '../write.js';
import { beginBuild } from './begin.js';
import { loadByStream } from './by-stream.js';
import { checkFence } from './fence.js';
import { finishBuild } from './finish.js';
import { loadManyStreams } from './many-streams.js';
import { ToldProgress } from './told-progress.js';
import {
  Superseded,
  type BuildOptions,
  type BuildOutcome,
  type BuildShard,
  type BuildStop,
} from './types.js';

/** The version’s state says why it is not built. Newer code mends the one kind, a person the other; who needs a person is told first. */
async function giveUp(
  options: BuildOptions,
  stops: readonly Pick<BuildStop, 'kind' | 'message'>[],
): Promise<BuildOutcome> {
  const { db, projection } = options;
  const stop = stops.find(({ kind }) => kind === 'halted') ?? stops[0];
  const reason = stop?.message ?? '';
  await db.transaction(async (tx) => {
    await checkFence(tx, options);
    const scoped = { query: tx.query, table: (table: string) => db.table(table) };
    await move(scoped, projection, stop?.kind === 'halted' ? 'halt' : 'meet_newer', reason);
  });
  return { kind: 'stopped', reason };
}

async function load(
  options: BuildOptions,
  shards: readonly BuildShard[],
  progress: ToldProgress,
): Promise<BuildOutcome> {
  const { projection } = options;
  const stops =
    projection.manyStreams && !hasParts(projection)
      ? await loadManyStreams(options, progress)
      : await loadByStream(options, shards, progress);
  if (stops.length > 0) return giveUp(options, stops);
  options.signal.throwIfAborted();
  progress.indexing();
  await finishBuild(options);
  return { kind: 'loaded', events: progress.events };
}

/**
 * Builds a version whose state is `building`: fenced by the lease, so that of two builders the one that was replaced writes nothing.
 * What is loaded when it ends early (abort, crash) stays, and the next build goes on from there.
 * @param again one that has stopped is tried once more
 * @throws as `Database.query`; then it may be begun again
 */
export async function buildVersion(options: BuildOptions, again = false): Promise<BuildOutcome> {
  try {
    const shards = await beginBuild(options, again);
    const progress = await ToldProgress.start(options, shards);
    try {
      return await load(options, shards, progress);
    } finally {
      await progress.stop();
    }
  } catch (error) {
    if (error instanceof Superseded || options.signal.aborted) return { kind: 'superseded' };
    // What another builder has done may show itself as any error: a key that is there twice, a table that is locked.
    const why = await checkFence(options.db, options, 'look').catch((failure: unknown) => failure);
    if (why instanceof Superseded) return { kind: 'superseded' };
    // It would be refused for ever: a constraint that somebody has put on the table, say.
    if (!isRowRefused(error) || conflictOf(error)) throw error;
    return giveUp(options, [
      { kind: 'halted', message: `Postgres refuses its rows: ${faultMessage(error)}` },
    ]);
  }
}
