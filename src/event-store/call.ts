/** A batch of requests as the parameters of `append_v1`, or of `append_one_v1` where it is one event. */
import {
  boolArray,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  uuidArray,
} from '../platform/postgres/arrays.js';
import type { Pending, PendingStream } from './pending.js';
import type { EventStoreStatements } from './statements.js';
import type { NewEvent } from './types.js';

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

export const refKey = (log: string, shard: number): string => `${log}/${shard}`;

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
export interface Row {
  readonly stream: PendingStream;
  readonly shard: number;
  /** Events of earlier rows in the same shard. */
  readonly offset: number;
}

/** A seq that a shard has reached, as far as this process knows; it spares Postgres work and decides nothing. */
export type KnownHead = (ref: ShardRef) => number;

export interface Call {
  readonly statement: keyof Pick<EventStoreStatements, 'append' | 'appendOne'>;
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

/** 16 bytes that are kept as a latin1 string, as a `uuid` in binary form. */
const uuidBytes = (latin1: string): Buffer => Buffer.from(latin1, 'latin1');

function encodeOne(
  pending: Pending,
  stream: PendingStream,
  event: NewEvent,
  careful: boolean,
  knownHead: KnownHead,
): Call {
  const ref = { log: stream.category, shard: stream.shard };
  return {
    statement: 'appendOne',
    shards: [ref],
    rows: [{ stream, shard: 1, offset: 0 }],
    values: [
      careful,
      ref.log,
      ref.shard,
      knownHead(ref),
      stream.streamId,
      stream.expected,
      pending.key === undefined ? null : uuidBytes(pending.key),
      pending.key === undefined ? null : uuidBytes(pending.requestHash),
      pending.record,
      event.eventId,
      event.type,
      event.schemaVersion,
      event.data,
      JSON.stringify(event.tags),
      JSON.stringify(event.metadata),
    ],
  };
}

function encodeMany(batch: readonly Pending[], careful: boolean, knownHead: KnownHead): Call {
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
    careful,
    textArray(shards.map(({ log }) => log)),
    int4Array(shards.map(({ shard }) => shard)),
    int8Array(shards.map(knownHead)),
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
  return { statement: 'append', shards, rows, values };
}

/**
 * @param batch requests of one stream each, sorted by key; or one request of several streams
 * @param careful whether to look up also what the unique keys would find
 */
export function encodeCall(batch: readonly Pending[], careful: boolean, knownHead: KnownHead): Call {
  const [pending, ...others] = batch;
  const [stream, ...otherStreams] = pending?.streams ?? [];
  const [event, ...otherEvents] = stream?.events ?? [];
  const single = others.length + otherStreams.length + otherEvents.length === 0;
  return single && pending && stream && event
    ? encodeOne(pending, stream, event, careful, knownHead)
    : encodeMany(batch, careful, knownHead);
}
