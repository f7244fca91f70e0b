/** Folds events into rows without a database: projections tested with everything frozen, in many interleavings. */
import type { z } from 'zod';
import type { Aggregate, AnyAggregate, EventSources } from '../domain/aggregate.js';
import type { EventMetadata, SchemaOf, StoredEvent } from '../domain/events.js';
import { deepFreeze } from '../domain/freeze.js';
import { MAX_JSON_BYTES } from '../domain/identifiers.js';
import { MemoryModel } from '../domain/memory-model.js';
import type { AnyProjection, Projection, RowValue } from '../domain/projection.js';
import { asJson, expectSame, fail } from './compare.js';
import { interleave, seeded } from './interleavings.js';
import { withoutClock } from './purity.js';
import { asStored, evolveChecked, initialStand, tagsChecked, type Stand } from './rehearsal.js';

interface EventPlace<A extends string> {
  /** The stream that the event is of; `stream-1` unless told otherwise. */
  readonly stream?: string;
  /** Needed only where two aggregates of the projection have an event of that name. */
  readonly aggregate?: A;
  /** ISO 8601 UTC with milliseconds; a second after the event before it unless told otherwise. */
  readonly recordedAt?: string;
  readonly metadata?: Partial<EventMetadata>;
}

type EventOf<A extends string, E extends EventSources> = {
  [K in keyof E & string]:
    | (EventPlace<A> & {
        readonly type: K;
        readonly data: z.input<SchemaOf<E[K]>>;
        readonly schemaVersion?: undefined;
      })
    | (EventPlace<A> & { readonly type: K; readonly data: unknown; readonly schemaVersion: number });
}[keyof E & string];

type SourcedEvent<Src> =
  Src extends Aggregate<infer A, infer _S, infer E, infer _C, infer _T, infer _X> ? EventOf<A, E> : never;

/**
 * An event of one of a projection’s aggregates, as `ProjectedEvent<typeof OrderSummary>`; its tags are taken from the
 * aggregate, as they are at run time.
 */
export type ProjectedEvent<P extends AnyProjection> = P extends {
  readonly $types?: { readonly sources: infer Src };
}
  ? SourcedEvent<Src>
  : never;

export interface ProjectOptions {
  /** Interleavings tried where a row comes from many streams; 100 unless told otherwise. */
  readonly tries?: number;
  /** Of a failure’s message, to see it again. */
  readonly seed?: number;
}

export interface Projected<R> {
  /** One row; a list: all rows, in key order; null: no row at all. @throws AssertionError */
  toEqual(expected: R | readonly R[] | null): void;
  /** The row of a key, or null. */
  row(key: string): R | null;
  /** All rows, in key order. */
  readonly rows: readonly R[];
}

interface AnyEvent extends EventPlace<string> {
  readonly type: string;
  readonly data: unknown;
  readonly schemaVersion?: number | undefined;
}

const BASE_TIME = Date.parse('2026-01-01T00:00:00.000Z');

function aggregateOf(projection: AnyProjection, event: AnyEvent): AnyAggregate {
  const known = projection.sources.map((source) => source.aggregate);
  const found = known.filter(
    (one) => Object.hasOwn(one.events, event.type) && (event.aggregate ?? one.name) === one.name,
  );
  const [only, ...more] = found;
  if (only && more.length === 0) return only;
  const which = found.map((one) => one.name).join(' and ');
  return fail(
    only
      ? `event ${event.type} is of ${which}: say which by \`aggregate\``
      : `projection ${projection.name} follows no aggregate with an event ${JSON.stringify(event.type)}`,
  );
}

/** Gives each event its place in its stream, and the tags that its aggregate stamps on it. */
function record(projection: AnyProjection, events: readonly AnyEvent[]): readonly StoredEvent[] {
  const stands = new Map<string, Stand>();
  return events.map((event, index) => {
    const aggregate = aggregateOf(projection, event);
    const streamId = event.stream ?? 'stream-1';
    const id = JSON.stringify([aggregate.name, streamId]);
    const before = stands.get(id) ?? initialStand(aggregate);
    const { type, data, schemaVersion } = event;
    const happening = schemaVersion === undefined ? { type, data } : { type, data, schemaVersion };
    const stored = asStored(aggregate, happening, {
      streamId,
      version: before.version + 1,
      seq: index + 1,
      recordedAt: event.recordedAt ?? new Date(BASE_TIME + index * 1000).toISOString(),
    });
    const after = evolveChecked(aggregate, before, stored);
    stands.set(id, after);
    const metadata = { ...stored.metadata, ...event.metadata };
    return deepFreeze({ ...stored, metadata, tags: { ...tagsChecked(aggregate, after) } });
  });
}

type Rows = ReadonlyMap<string, RowValue>;

/** Everything frozen, as JSON hands it back, and without a clock. */
function foldAll(projection: AnyProjection, events: readonly StoredEvent[]): Rows {
  let where = projection.name;
  const model = new MemoryModel(projection, {
    seal: (value) => {
      const text = JSON.stringify(value);
      if (Buffer.byteLength(text) > MAX_JSON_BYTES) fail(`${where}: the row is over ${MAX_JSON_BYTES} bytes`);
      return deepFreeze(asJson(value)) as typeof value; // what is folded is JSON
    },
    run: (stored, call) => {
      where = `${projection.name}, fold of ${stored.type}`;
      return withoutClock(where, call);
    },
  });
  for (const stored of events) model.apply(stored);
  return model.rows();
}

const inKeyOrder = (rows: Rows): readonly RowValue[] =>
  [...rows].sort(([a], [b]) => Buffer.from(a).compare(Buffer.from(b))).map(([, row]) => row);

const nameOf = ({ category, streamId, version, type }: StoredEvent): string =>
  `${category} ${streamId} v${version} ${type}`;

function tryInterleavings(
  projection: AnyProjection,
  events: readonly StoredEvent[],
  rows: Rows,
  options: ProjectOptions,
): void {
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
  const random = seeded(seed);
  const streams = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const id = JSON.stringify([event.category, event.streamId]);
    streams.set(id, [...(streams.get(id) ?? []), event]);
  }
  if (streams.size < 2) return;
  for (let attempt = 0; attempt < (options.tries ?? 100); attempt++) {
    const order = interleave([...streams.values()], random);
    expectSame(
      `projection ${projection.name}: another interleaving of the streams gives other rows (seed ${seed}): ${order.map(nameOf).join(', ')}`,
      inKeyOrder(foldAll(projection, order)),
      inKeyOrder(rows),
    );
  }
}

/**
 * Folds events, each stream in the order given: `project(OrderSummary, [{ type, data }, …]).toEqual({…})`. Rows, events
 * and tags are frozen and the clock is taken away; every row is checked by its schema, extra columns included. Where
 * rows come from many streams, random interleavings are folded too, and one that gives other rows fails the test.
 * @throws AssertionError, or DomainError `invalid_row` when a fold gives what the row’s schema refuses
 */
export function project<N extends string, S extends z.ZodObject, K extends string, Src>(
  projection: Projection<N, S, K, Src>,
  events: readonly SourcedEvent<Src>[],
  options: ProjectOptions = {},
): Projected<z.output<S>> {
  const stored = record(projection, events as unknown as readonly AnyEvent[]); // a conditional type, opaque in here
  const found = foldAll(projection, stored);
  if (projection.manyStreams) tryInterleavings(projection, stored, found, options);
  const rows = inKeyOrder(found) as readonly z.output<S>[];
  return {
    rows,
    row: (key) => (found.get(key) as z.output<S> | undefined) ?? null,
    toEqual(expected) {
      const what = `projection ${projection.name}: other rows than expected`;
      if (Array.isArray(expected) || rows.length > 1) expectSame(what, rows, expected);
      else expectSame(what, rows[0] ?? null, expected);
    },
  };
}
