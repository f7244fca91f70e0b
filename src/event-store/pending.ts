/** One append request on its way: checked, its shards and key worked out, with the way back to whoever waits. */
import { hash } from 'node:crypto';
import { TidemarkError } from '../platform/errors.js';
import { shardOf } from '../platform/murmur2.js';
import type {
  AppendOutcome,
  AppendRequest,
  ExpectedVersion,
  IdempotencyClaim,
  NewEvent,
  StreamAppend,
} from './types.js';

/** How `append_v1` is told what a stream must be at. */
const ANY = -1;
const EXISTS = -2;

export interface PendingStream {
  readonly category: string;
  readonly streamId: string;
  readonly shard: number;
  /** A version, or -1 for any, -2 for at least one event. */
  readonly expected: number;
  readonly events: readonly NewEvent[];
}

export interface Pending {
  readonly streams: readonly PendingStream[];
  /** First 16 bytes of a SHA-256 over scope and key, as a latin1 string; it sorts as the uuid does. */
  readonly key: string | undefined;
  readonly requestHash: string;
  readonly record: boolean;
  /** What no two requests of a batch share: the streams and the key. */
  readonly claims: readonly string[];
  /** About what it adds to a call. */
  readonly bytes: number;
  /** On the monotonic clock; past it the request is given up where it is surely not written. */
  readonly deadline: number;
  settle(outcome: AppendOutcome): void;
  fail(error: Error): void;
}

const HASH_BYTES = 16;
const ROW_BYTES = 200;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export const refused = (message: string, cause?: unknown): TidemarkError =>
  new TidemarkError('append_refused', message, { cause });

function expectedAsNumber(expected: ExpectedVersion): number {
  if (expected === 'any') return ANY;
  if (expected === 'exists') return EXISTS;
  if (!Number.isSafeInteger(expected) || expected < 0)
    throw new RangeError(`expected version ${expected}: expected a whole number from 0`);
  return expected;
}

/** What Postgres would take only after changing it: unpaired surrogates have no UTF-8 form. */
function checkEvent(event: NewEvent): void {
  if (!UUID.test(event.eventId)) throw refused('an event id is not a UUID');
  if (!event.type.isWellFormed() || !event.data.isWellFormed())
    throw refused('an event has unpaired surrogates');
}

function pendingStream(stream: StreamAppend, shardCount: number | undefined): PendingStream {
  if (shardCount === undefined)
    throw new RangeError(`the event store has no category ${JSON.stringify(stream.category)}`);
  if (!stream.streamId.isWellFormed()) throw refused('a stream id has unpaired surrogates');
  for (const event of stream.events) checkEvent(event);
  return {
    category: stream.category,
    streamId: stream.streamId,
    shard: shardOf(stream.streamId, shardCount),
    expected: expectedAsNumber(stream.expected),
    events: stream.events,
  };
}

function bytesOf(streams: readonly PendingStream[]): number {
  let bytes = ROW_BYTES;
  for (const { events } of streams) for (const event of events) bytes += ROW_BYTES + event.data.length;
  return bytes;
}

/**
 * @param shardCounts shards of each category
 * @throws TidemarkError `append_refused` for what Postgres cannot hold; RangeError for what no caller may ask
 */
export function pend(
  request: AppendRequest,
  shardCounts: ReadonlyMap<string, number>,
  deadline: number,
  settle: (outcome: AppendOutcome) => void,
  fail: (error: Error) => void,
): Pending {
  if (request.streams.length === 0) throw new RangeError('an append names at least one stream');
  const streams = request.streams.map((one) => pendingStream(one, shardCounts.get(one.category)));
  const claims = streams.map(({ category, streamId }) => `${category}/${streamId}`);
  if (claims.length > 1 && new Set(claims).size !== claims.length)
    throw new RangeError('an append names a stream twice');
  const claim = request.idempotency;
  const key = claim && keyOf(claim);
  if (key !== undefined) claims.push(key);
  return {
    streams,
    key,
    requestHash: claim ? claim.requestHash.toString('latin1', 0, HASH_BYTES) : '',
    record: claim?.record ?? false,
    claims,
    bytes: bytesOf(streams),
    deadline,
    settle,
    fail,
  };
}

function keyOf({ scope, key, requestHash }: IdempotencyClaim): string {
  if (requestHash.length < HASH_BYTES)
    throw new RangeError(`a request hash has at least ${HASH_BYTES} bytes`);
  // The length keeps ("a", "bc") apart from ("ab", "c").
  return hash('sha256', `${scope.length}:${scope}${key}`, 'buffer').toString('latin1', 0, HASH_BYTES);
}
