/**
 * Finds out what became of appends whose connection was lost between question and answer. Never guesses: the backend is
 * ended first (else it could still begin what waits in its socket), then the same shard locks are taken (which waits for one that is
 * still committing), then the events are looked for by id.
 */
import { TidemarkError } from '../platform/errors.js';
import { int4Array, int8Array, textArray, uuidArray } from '../platform/postgres/arrays.js';
import type { Session } from '../platform/postgres/database.js';
import type { AppenderDeps } from './appender.js';
import { announceAll, eventsAfter } from './answer.js';
import { indexShards } from './call.js';
import type { Pending, PendingStream } from './pending.js';
import { pause, within } from './patience.js';
import type { AppendedStream, AppendOutcome } from './types.js';

/** Version and seq of a stream's first event of the append, or of where a confirmed stream stands; NULL: not there. */
type FoundRow = readonly [
  n: number,
  version: number | null,
  seq: number | null,
  recorded: string | null,
  epoch: string,
];

type Written = Extract<AppendOutcome, { kind: 'appended' }>;

/** The streams that can be looked for; what has no event at all left no trace but its key, which the repeat looks up. */
const sought = ({ streams }: Pending): readonly PendingStream[] =>
  streams.some(({ events }) => events.length > 0) ? streams : [];

/**
 * Answers those that were written, and gives back those that surely were not and may be sent again.
 * Past `outcomeTimeoutMs` all of them fail with `outcome_unknown`.
 */
export async function resolveUnknown(
  deps: AppenderDeps,
  part: readonly Pending[],
  pid: number | undefined,
): Promise<readonly Pending[]> {
  const giveUp = deps.clock.monotonic() + deps.outcomeTimeoutMs;
  for (let attempt = 0; ; attempt++) {
    try {
      const written = await lookUp(deps, part, pid);
      announceAll(deps, written.values());
      for (const [pending, outcome] of written) pending.settle(outcome);
      return part.filter((pending) => !written.has(pending));
    } catch (cause) {
      if (deps.clock.monotonic() >= giveUp) {
        deps.logger.error({ err: cause, requests: part.length }, 'the outcome of appends stays unknown');
        for (const pending of part)
          pending.fail(
            new TidemarkError('outcome_unknown', 'the connection was lost during the append', {
              retryAfter: 1,
              cause,
            }),
          );
        return [];
      }
    }
    await pause(attempt);
  }
}

async function lookUp(
  deps: AppenderDeps,
  part: readonly Pending[],
  pid: number | undefined,
): Promise<Map<Pending, Written>> {
  const session = await deps.database.connect();
  let broken = true;
  try {
    const found = await within(deps.outcomeTimeoutMs, underLocks(deps, session, part, pid));
    broken = false;
    return found;
  } finally {
    session.release(broken);
  }
}

async function underLocks(
  { statements }: AppenderDeps,
  session: Session,
  part: readonly Pending[],
  pid: number | undefined,
): Promise<Map<Pending, Written>> {
  if (pid !== undefined) {
    const [ended] = await session.query<[boolean]>(statements.fence.text, [pid]);
    if (ended?.[0] === false) throw new Error('the backend of a lost connection does not end');
  }
  const streams = part.flatMap(sought);
  if (streams.length === 0) return new Map();
  const { shards, indexOf } = indexShards(streams);
  const rows = await session.query<FoundRow>(statements.findAppended.text, [
    textArray(shards.map(({ log }) => log)),
    int4Array(shards.map(({ shard }) => shard)),
    int4Array(streams.map(indexOf)),
    textArray(streams.map(({ streamId }) => streamId)),
    uuidArray(streams.map(({ events }) => events[0]?.eventId)),
    int8Array(streams.map(({ events, expected }) => (events.length > 0 ? Math.max(expected, 0) : 0))),
    int8Array(
      streams.map(({ events, expected }) =>
        events.length > 0 || expected < 0 ? Number.MAX_SAFE_INTEGER : expected,
      ),
    ),
  ]);
  const found = new Map(rows.map((row) => [streams[row[0] - 1], row]));
  const written = new Map<Pending, Written>();
  for (const pending of part) {
    const outcome = outcomeOf(pending, found);
    if (outcome) written.set(pending, outcome);
  }
  return written;
}

/** A request is written as a whole or not at all. */
function outcomeOf(
  pending: Pending,
  found: ReadonlyMap<PendingStream | undefined, FoundRow>,
): Written | undefined {
  const streams: AppendedStream[] = [];
  let recordedAt: string | undefined;
  for (const stream of sought(pending)) {
    const [, version, seq, recorded, epoch] = found.get(stream) ?? [0, null, null, null, ''];
    const count = stream.events.length;
    if (count > 0) {
      if (version === null || recorded === null) return undefined;
      recordedAt = recorded;
    }
    const more = Math.max(count - 1, 0);
    streams.push({
      category: stream.category,
      streamId: stream.streamId,
      version: (version ?? 0) + more,
      shard: stream.shard,
      epoch,
      seq: (seq ?? 0) + more,
      events: eventsAfter((version ?? 0) - 1, stream),
    });
  }
  return recordedAt === undefined ? undefined : { kind: 'appended', streams, recordedAt };
}
