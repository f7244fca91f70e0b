/** Projections: keyed rows, each a pure fold of events. */
import type { z } from 'zod';
import type { AnyAggregate, Aggregate, CommandSchemas, EventData, EventSources } from './aggregate.js';
import { lookup } from './decider.js';
import { DefinitionError } from './errors.js';
import type { EventMetadata, Tags } from './events.js';
import type { Field } from './fields.js';
import { checkProjectionName } from './identifiers.js';
import {
  checkedFields,
  checkVersion,
  namesOf,
  tuples,
  type ColumnOf,
  type IndexColumn,
} from './row-fields.js';

/** An event as a projection sees it, its data in the newest schema version. */
export interface RecordedEvent<Type extends string = string, Data = unknown, T extends Tags = Tags> {
  readonly type: Type;
  readonly data: Data;
  readonly tags: T;
  readonly metadata: EventMetadata;
  readonly streamId: string;
  /** Version of the stream after this event. */
  readonly version: number;
  readonly eventId: string;
  /** ISO 8601 UTC with milliseconds. */
  readonly recordedAt: string;
}

type Optional<R, K extends keyof R> = Omit<R, K> & Partial<Pick<R, K>>;

type Fold<R, K extends keyof R, E extends EventSources, T extends Tags> = {
  readonly [Type in keyof E & string]?: (
    row: R | null,
    event: RecordedEvent<Type, EventData<E, Type>, T>,
  ) => Optional<R, K> | null;
};

type EventUnion<E extends EventSources, T extends Tags> = {
  [Type in keyof E & string]: RecordedEvent<Type, EventData<E, Type>, T>;
}[keyof E & string];

interface SourceOptions<R, K extends keyof R, E extends EventSources, T extends Tags> {
  /** The rows that an event touches; its stream’s id unless told otherwise. Makes the projection one writer’s. */
  readonly keys?: (event: EventUnion<E, T>) => string | readonly string[];
  /** One pure function an event type, the others leave the row as it is: the next row, or null to have none. */
  readonly fold: Fold<R, K, E, T>;
}

/** One aggregate that a projection folds, types erased. */
export interface ProjectionSource {
  readonly aggregate: AnyAggregate;
  /** Undefined: the row’s key is the stream’s id. */
  readonly keys: ((event: RecordedEvent) => string | readonly string[]) | undefined;
  readonly fold: Readonly<
    Record<string, ((row: RowValue | null, event: RecordedEvent) => unknown) | undefined>
  >;
}

export type RowValue = Readonly<Record<string, unknown>>;

export interface AnyProjection {
  readonly kind: 'projection';
  readonly name: string;
  readonly version: number;
  readonly row: z.ZodType;
  /** Columns in the order of the definition. */
  readonly fields: readonly Field[];
  readonly key: string;
  readonly indexes: readonly (readonly string[])[];
  /** Equality filters of live subscribers: tuples of fields. */
  readonly channels: readonly (readonly string[])[];
  readonly sources: readonly ProjectionSource[];
  /** Rows come from many streams, so that one elected writer folds them all. */
  readonly manyStreams: boolean;
}

type KeyColumn<S extends z.ZodObject> = ColumnOf<S, string>;
type ChannelColumn<S extends z.ZodObject> = ColumnOf<S, string | number | boolean | null>;

export interface Projection<
  N extends string = string,
  S extends z.ZodObject = z.ZodObject,
  K extends string = string,
  Src = unknown,
> extends AnyProjection {
  readonly name: N;
  /** Types only; never there at run time. `sources` is the union of the aggregates. */
  readonly $types?: { readonly row: z.output<S>; readonly sources: Src };
  /** Adds an aggregate as source. @throws DefinitionError with what was expected */
  on<A extends string, St, E extends EventSources, C extends CommandSchemas, T extends Tags>(
    source: Aggregate<A, St, E, C, T>,
    options: SourceOptions<z.output<S>, K & keyof z.output<S>, E, T>,
  ): Projection<N, S, K, Src | Aggregate<A, St, E, C, T>>;
}

interface ProjectionOptions<S extends z.ZodObject, K extends string> {
  /** Raise it when the row or a fold changes: a new table is built beside the old one. From 1. */
  readonly version: number;
  /** A plain object: no catchall, at most 200 fields. */
  readonly row: S;
  /** The key column: a text that follows the rule for row keys. Set by Tidemark. */
  readonly key: K;
  /** Columns (or tuples of at most 8) that reads filter and sort by. */
  readonly indexes?: readonly (IndexColumn<S> | readonly IndexColumn<S>[])[];
  /** Columns (or tuples of at most 8) that live subscribers filter by equality. */
  readonly channels?: readonly (ChannelColumn<S> | readonly ChannelColumn<S>[])[];
}

function checkProjection(
  name: string,
  options: ProjectionOptions<z.ZodObject, string>,
): Omit<AnyProjection, 'sources' | 'manyStreams'> {
  const where = `projection ${name}`;
  checkProjectionName(name);
  checkVersion(where, options.version);
  const fields = checkedFields(where, 'row', options.row);
  const key = fields.find((field) => field.name === options.key);
  if (!key)
    throw new DefinitionError(`${where}: key "${options.key}" is no field; fields are ${namesOf(fields)}`);
  if (key.kind !== 'text' || key.nullable || key.optional)
    throw new DefinitionError(`${where}: key "${options.key}": expected a text that is always there`);
  return {
    kind: 'projection',
    name,
    version: options.version,
    // Not rebuilt from its shape, which would leave out what `refine` added.
    row: options.row.strict(),
    fields,
    key: options.key,
    indexes: Object.freeze(tuples(where, 'index', fields, options.indexes ?? [])),
    channels: Object.freeze(tuples(where, 'channel', fields, options.channels ?? [])),
  };
}

interface ErasedSourceOptions {
  readonly keys?: unknown;
  readonly fold: ProjectionSource['fold'];
}

function checkedSource(
  base: AnyProjection,
  aggregate: AnyAggregate,
  options: ErasedSourceOptions,
): ProjectionSource {
  const where = `projection ${base.name}`;
  if (aggregate?.kind !== 'aggregate')
    throw new DefinitionError(
      `${where}: .on(…): expected what aggregate(…).evolve(…).decide(…) gives, also not before its end`,
    );
  if (base.sources.some((other) => other.aggregate.name === aggregate.name))
    throw new DefinitionError(`${where}: .on(${aggregate.name}) stands there twice`);
  const types = Object.keys(options.fold);
  const unknown = types.filter((type) => !Object.hasOwn(aggregate.events, type));
  if (unknown.length > 0) {
    throw new DefinitionError(
      `${where}: fold of unknown ${unknown.join(', ')}; events of ${aggregate.name} are ${Object.keys(aggregate.events).join(', ')}`,
    );
  }
  const broken = types.filter((type) => typeof options.fold[type] !== 'function');
  if (types.length === 0 || broken.length > 0 || !['undefined', 'function'].includes(typeof options.keys))
    throw new DefinitionError(
      `${where}: .on(${aggregate.name}): expected keys (where given) and at least one fold, all functions`,
    );
  return Object.freeze({
    aggregate,
    keys: options.keys as ProjectionSource['keys'],
    fold: lookup(options.fold),
  });
}

function build<N extends string, S extends z.ZodObject, K extends string, Src>(
  base: AnyProjection,
): Projection<N, S, K, Src> {
  const made = {
    ...base,
    on(aggregate: AnyAggregate, options: ErasedSourceOptions): Projection<N, S, K, Src> {
      const sources = Object.freeze([...base.sources, checkedSource(base, aggregate, options)]);
      const manyStreams = sources.length > 1 || sources.some((one) => one.keys !== undefined);
      return build<N, S, K, Src>({ ...base, sources, manyStreams });
    },
  };
  return Object.freeze(made) as unknown as Projection<N, S, K, Src>;
}

/**
 * Defines a projection: `projection(name, {…}).on(Aggregate, { keys?, fold })`.
 * @throws DefinitionError with what was expected
 */
export function projection<N extends string, S extends z.ZodObject, const K extends KeyColumn<S>>(
  name: N,
  options: ProjectionOptions<S, K>,
): Projection<N, S, K, never> {
  const checked = checkProjection(name, options as unknown as ProjectionOptions<z.ZodObject, string>);
  return build<N, S, K, never>({ ...checked, sources: [], manyStreams: false });
}
