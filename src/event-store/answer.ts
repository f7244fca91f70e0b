/** The answer of an append call as an outcome for each request of its batch. */
import type { Logger } from '../platform/logger.js';
import type { Recent } from '../platform/recent.js';
import type { RawEvent } from './raw-reads.js';
import type { Announcer } from '../platform/wakeups.js';
import { refKey, type Call, type Row } from './call.js';
import type { Pending, PendingStream } from './pending.js';
import type { AppendedEvent, AppendedStream, AppendOutcome } from './types.js';

/** The row that the append functions answer with; see migration 0003 for what its columns mean. */
export type AppendRow = readonly [
  epochs: string,
  heads: string,
  versions: string,
  statuses: string | null,
  firsts: string | null,
  recorded: string,
  answers: string | null,
];

/** About what an event is beside its data. */
const ROW_BYTES = 500;

const numbers = (array: string): number[] => array.slice(1, -1).split(',').map(Number);

const WRITTEN = 0;
const DUPLICATE = 1;
const KEY_REUSED = 2;

type StoredStream = readonly [
  category: string,
  streamId: string | null,
  shard: number,
  version: number,
  seq: number,
  epoch: string,
  events: readonly (readonly [type: string, version: number, eventId: string])[],
];

class Answer {
  readonly #call: Call;
  readonly #epochs: readonly string[];
  /** Head of each shard of the call before it. */
  readonly heads: readonly number[];
  readonly #versions: readonly number[];
  readonly #statuses: readonly number[] | undefined;
  readonly #firsts: readonly number[] | undefined;
  readonly #stored: ReadonlyMap<number, readonly StoredStream[] | null>;
  readonly recordedAt: string;

  constructor(call: Call, row: AppendRow) {
    const [epochs, heads, versions, statuses, firsts, recorded, answers] = row;
    this.#call = call;
    this.#epochs = epochs.split(',');
    this.heads = numbers(heads);
    this.#versions = numbers(versions);
    this.#statuses = statuses === null ? undefined : numbers(statuses);
    this.#firsts = firsts === null ? undefined : numbers(firsts);
    this.#stored = new Map(answers === null ? [] : JSON.parse(answers));
    this.recordedAt = recorded;
  }

  status(row: number): number {
    return this.#statuses?.[row] ?? WRITTEN;
  }

  version(row: number): number {
    return this.#versions[row] ?? 0;
  }

  appended(at: number): AppendedStream {
    const { stream, shard, offset } = rowAt(this.#call, at);
    const count = stream.events.length;
    const before = this.version(at);
    const first = this.#firsts?.[at] ?? (this.heads[shard - 1] ?? 0) + offset + 1;
    return {
      category: stream.category,
      streamId: stream.streamId,
      version: before + count,
      shard: stream.shard,
      epoch: this.#epochs[shard - 1] ?? '',
      seq: count === 0 ? first : first + count - 1,
      events: eventsAfter(before, stream),
    };
  }

  /** The answer that the key of row `at` has stored; undefined when it was purged meanwhile. */
  stored(at: number): readonly AppendedStream[] | undefined {
    const { stream } = rowAt(this.#call, at);
    return this.#stored.get(at + 1)?.map(([category, streamId, shard, version, seq, epoch, events]) => ({
      category,
      streamId: streamId ?? stream.streamId,
      version,
      shard,
      epoch,
      seq,
      events: events.map(([type, eventVersion, eventId]) => ({ type, version: eventVersion, eventId })),
    }));
  }
}

function rowAt(call: Call, at: number): Row {
  const row = call.rows[at];
  if (row === undefined) throw new RangeError(`an append answered row ${at} of ${call.rows.length}`);
  return row;
}

/** What the answer says of the events that a stream got after version `before`. */
export const eventsAfter = (before: number, stream: PendingStream): AppendedEvent[] =>
  stream.events.map(({ type, eventId }, index) => ({ type, version: before + index + 1, eventId }));

function outcomeOf(call: Call, answer: Answer, first: number, count: number): AppendOutcome | undefined {
  const key = answer.status(first);
  if (key === KEY_REUSED) return { kind: 'key_reused' };
  if (key === DUPLICATE) {
    const streams = answer.stored(first);
    return streams && { kind: 'duplicate', streams };
  }
  const streams: AppendedStream[] = [];
  for (let at = first; at < first + count; at++) {
    if (answer.status(at) !== WRITTEN) {
      const { category, streamId } = rowAt(call, at).stream;
      return { kind: 'conflict', category, streamId, actual: answer.version(at) };
    }
    streams.push(answer.appended(at));
  }
  return { kind: 'appended', streams, recordedAt: answer.recordedAt };
}

/** Hints the new head of each shard that got events. What is written stays written, so a hint that fails is only told. */
export function announceAll(
  { announcer, logger }: { readonly announcer: Announcer; readonly logger: Logger },
  outcomes: Iterable<AppendOutcome>,
): void {
  const heads = new Map<string, AppendedStream>();
  for (const outcome of outcomes) {
    if (outcome.kind !== 'appended') continue;
    for (const stream of outcome.streams) {
      if (stream.events.length === 0) continue;
      const key = refKey(stream.category, stream.shard);
      if ((heads.get(key)?.seq ?? 0) < stream.seq) heads.set(key, stream);
    }
  }
  try {
    for (const { category, shard, seq } of heads.values()) announcer.announce(category, shard, seq);
  } catch (err) {
    logger.error({ err }, 'new events could not be announced');
  }
}

/** Hands what was appended to the followers of this process. The events of one stream have consecutive seqs. */
export function keepRecent(
  recent: Recent<RawEvent>,
  part: readonly Pending[],
  outcomes: readonly (AppendOutcome | undefined)[],
): void {
  outcomes.forEach((outcome, index) => {
    if (outcome?.kind !== 'appended') return;
    const { recordedAt } = outcome;
    outcome.streams.forEach(({ category, streamId, version, shard, seq, epoch }, at) => {
      const events = part[index]?.streams[at]?.events ?? [];
      events.forEach((event, n) => {
        const back = events.length - 1 - n;
        const { eventId, type, schemaVersion, data, metadata } = event;
        const place = { category, shard, seq: seq - back, epoch, streamId, version: version - back };
        const texts = { data, tags: JSON.stringify(event.tags) };
        const entry = {
          kind: 'event',
          eventId,
          type,
          schemaVersion,
          metadata,
          recordedAt,
          ...place,
          ...texts,
        } as const;
        recent.offer(category, shard, { seq: place.seq, epoch, bytes: ROW_BYTES + data.length, entry });
      });
    });
  });
}

export interface Decoded {
  /** Of each request of the batch, in its order; undefined for one that has to be sent again. */
  readonly outcomes: readonly (AppendOutcome | undefined)[];
  /** Head of each shard of the call, as it was before the call. */
  readonly heads: readonly number[];
}

export function decodeCall(batch: readonly Pending[], call: Call, row: AppendRow): Decoded {
  const answer = new Answer(call, row);
  let first = 0;
  const outcomes = batch.map((pending) => {
    const outcome = outcomeOf(call, answer, first, pending.streams.length);
    first += pending.streams.length;
    return outcome;
  });
  return { outcomes, heads: answer.heads };
}
