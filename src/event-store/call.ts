/** A batch of requests as the parameters of `append_v1`, and its answer as an outcome for each. */
import {
  boolArray,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  uuidArray,
} from '../platform/postgres/arrays.js';
import type { Announcer } from '../platform/wakeups.js';
import type { Pending, PendingStream } from './pending.js';
import type { AppendedEvent, AppendedStream, AppendOutcome } from './types.js';

/** The row that `append_v1` answers with; see migration 0003 for what its columns mean. */
export type AppendRow = readonly [
  epochs: string,
  heads: string,
  versions: string,
  statuses: string | null,
  firsts: string | null,
  recorded: string,
  answers: string | null,
];

export interface ShardRef {
  readonly log: string;
  readonly shard: number;
}

/** Distinct shards in lock order, and where each stream's shard stands among them (from 1, as Postgres counts). */
export interface ShardIndex {
  readonly shards: readonly ShardRef[];
  readonly indexOf: (stream: PendingStream) => number;
}

/** Category names are ASCII, so plain comparison is the byte order of the key columns. */
const inLockOrder = (a: ShardRef, b: ShardRef): number =>
  a.log < b.log ? -1 : a.log > b.log ? 1 : a.shard - b.shard;

const refKey = (log: string, shard: number): string => `${log}/${shard}`;

export function indexShards(streams: Iterable<PendingStream>): ShardIndex {
  const found = new Map<string, ShardRef>();
  for (const { category, shard } of streams) {
    const key = refKey(category, shard);
    if (!found.has(key)) found.set(key, { log: category, shard });
  }
  const shards = [...found.values()].sort(inLockOrder);
  const places = new Map(shards.map(({ log, shard }, index) => [refKey(log, shard), index + 1]));
  return { shards, indexOf: ({ category, shard }) => places.get(refKey(category, shard)) ?? 0 };
}

/** One stream of one request: a row of the `r_` parameters. */
interface Row {
  readonly stream: PendingStream;
  readonly shard: number;
  /** Events of earlier rows in the same shard. */
  readonly offset: number;
}

export interface Call {
  readonly shards: readonly ShardRef[];
  readonly rows: readonly Row[];
  readonly values: readonly unknown[];
}

function eventArrays(rows: readonly Row[]): unknown[] {
  const request: number[] = [];
  const ordinal: number[] = [];
  const stream: string[] = [];
  const id: string[] = [];
  const type: string[] = [];
  const schema: number[] = [];
  const data: string[] = [];
  const tags: string[] = [];
  const metadata: string[] = [];
  rows.forEach((row, index) => {
    row.stream.events.forEach((event, at) => {
      request.push(index + 1);
      ordinal.push(at);
      stream.push(row.stream.streamId);
      id.push(event.eventId);
      type.push(event.type);
      schema.push(event.schemaVersion);
      data.push(event.data);
      tags.push(JSON.stringify(event.tags));
      metadata.push(JSON.stringify(event.metadata));
    });
  });
  return [
    int4Array(request),
    int4Array(ordinal),
    textArray(stream),
    uuidArray(id),
    textArray(type),
    int4Array(schema),
    jsonArray(data),
    jsonArray(tags),
    jsonArray(metadata),
  ];
}

/** @param batch requests of one stream each, sorted by key; or one request of several streams */
export function encodeCall(batch: readonly Pending[]): Call {
  const { shards, indexOf } = indexShards(batch.flatMap(({ streams }) => streams));
  const offsets = shards.map(() => 0);
  const rows: Row[] = [];
  const keys: (string | undefined)[] = [];
  const hashes: (string | undefined)[] = [];
  const records: boolean[] = [];
  for (const pending of batch) {
    for (const stream of pending.streams) {
      const shard = indexOf(stream);
      const offset = offsets[shard - 1] ?? 0;
      offsets[shard - 1] = offset + stream.events.length;
      // The streams of one request share its key, which goes with the first.
      const keyed = stream === pending.streams[0] && pending.key !== undefined;
      rows.push({ stream, shard, offset });
      keys.push(keyed ? pending.key : undefined);
      hashes.push(keyed ? pending.requestHash : undefined);
      records.push(keyed && pending.record);
    }
  }
  const values = [
    (batch[0]?.streams.length ?? 1) > 1,
    textArray(shards.map(({ log }) => log)),
    int4Array(shards.map(({ shard }) => shard)),
    int4Array(rows.map(({ shard }) => shard)),
    textArray(rows.map(({ stream }) => stream.streamId)),
    int8Array(rows.map(({ stream }) => stream.expected)),
    int4Array(rows.map(({ offset }) => offset)),
    int4Array(rows.map(({ stream }) => stream.events.length)),
    uuidArray(keys),
    uuidArray(hashes),
    boolArray(records),
    ...eventArrays(rows),
  ];
  return { shards, rows, values };
}

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
  readonly #heads: readonly number[];
  readonly #versions: readonly number[];
  readonly #statuses: readonly number[] | undefined;
  readonly #firsts: readonly number[] | undefined;
  readonly #stored: ReadonlyMap<number, readonly StoredStream[] | null>;
  readonly recordedAt: string;

  constructor(call: Call, row: AppendRow) {
    const [epochs, heads, versions, statuses, firsts, recorded, answers] = row;
    this.#call = call;
    this.#epochs = epochs.split(',');
    this.#heads = numbers(heads);
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
    const first = this.#firsts?.[at] ?? (this.#heads[shard - 1] ?? 0) + offset + 1;
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

/** Hints the new head of each shard that got events. */
export function announceAll(announcer: Announcer, outcomes: Iterable<AppendOutcome>): void {
  const heads = new Map<string, AppendedStream>();
  for (const outcome of outcomes) {
    if (outcome.kind !== 'appended') continue;
    for (const stream of outcome.streams) {
      if (stream.events.length === 0) continue;
      const key = refKey(stream.category, stream.shard);
      if ((heads.get(key)?.seq ?? 0) < stream.seq) heads.set(key, stream);
    }
  }
  for (const { category, shard, seq } of heads.values()) announcer.announce(category, shard, seq);
}

/** The outcome of each request of the batch, in its order; undefined for one that has to be sent again. */
export function decodeCall(
  batch: readonly Pending[],
  call: Call,
  row: AppendRow,
): readonly (AppendOutcome | undefined)[] {
  const answer = new Answer(call, row);
  let first = 0;
  return batch.map((pending) => {
    const outcome = outcomeOf(call, answer, first, pending.streams.length);
    first += pending.streams.length;
    return outcome;
  });
}
