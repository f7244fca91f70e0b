/** Projections: keyed rows, each a pure fold of events. */
import type { z } from 'zod';
import type { AnyAggregate, Aggregate, CommandSchemas, EventData, EventSources } from './aggregate.js';
import { DefinitionError } from './errors.js';
import type { EventMetadata, Tags } from './events.js';
import type { Field } from './fields.js';
import { checkProjectionName } from './identifiers.js';
import type { ErasedJoinOptions } from './joins.js';
import {
  checkedFields,
  checkVersion,
  namesOf,
  tuples,
  type ColumnOf,
  type IndexColumn,
} from './row-fields.js';
import { parkingOf, type Parking, type ParkingInput } from './parking.js';
import { checkedRetention, type RetentionOptions } from './retention.js';
import { withJoin, withRows, type ErasedSourceOptions } from './sources.js';

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
    key: string,
  ) => Optional<R, K> | null;
};

type EventUnion<E extends EventSources, T extends Tags> = {
  [Type in keyof E & string]: RecordedEvent<Type, EventData<E, Type>, T>;
}[keyof E & string];

interface SourceOptions<R, K extends keyof R, E extends EventSources, T extends Tags> {
  /** The rows that an event touches; its stream’s id unless told otherwise. Makes the projection one writer’s. */
  readonly keys?: (event: EventUnion<E, T>) => string | readonly string[];
  /**
   * One pure function an event type, the others leave the row as it is: the next row, or null to have none. Called once for
   * each of the event’s keys, and told which.
   */
  readonly fold: Fold<R, K, E, T>;
}

interface MovingOptions<R, E extends EventSources, T extends Tags> {
  /** One pure function an event type: the next row of the stream with the key that it stands at, or null to have none. */
  readonly fold: {
    readonly [Type in keyof E & string]?: (
      row: R | null,
      event: RecordedEvent<Type, EventData<E, Type>, T>,
    ) => R | null;
  };
}

interface JoinOptions<R, By extends string, C extends keyof R, E extends EventSources, T extends Tags> {
  /** The column that names the stream which is joined. Where it is null, or the stream has no events: `none`. */
  readonly by: By;
  /** The columns that the join gives, each with its value where there is nothing to join. */
  readonly none: Readonly<Pick<R, C>>;
  /** One pure function an event type of the joined stream: its columns (`none` at first) → the next, or null for `none`. */
  readonly fold: {
    readonly [Type in keyof E & string]?: (
      part: Readonly<Pick<R, NoInfer<C>>>,
      event: RecordedEvent<Type, EventData<E, Type>, T>,
    ) => Readonly<Pick<R, NoInfer<C>>> | null;
  };
}

type ErasedFold<R> = Readonly<
  Record<string, ((row: R, event: RecordedEvent, key: string) => unknown) | undefined>
>;

/** One aggregate that a projection follows, types erased. */
export interface ProjectionSource {
  readonly aggregate: AnyAggregate;
  /** Undefined: the row’s key is the stream’s id. */
  readonly keys: ((event: RecordedEvent) => string | readonly string[]) | undefined;
  /** Empty where it is only joined. */
  readonly fold: ErasedFold<RowValue | null>;
  /** The stream has one row, which stands at the key that its fold gives (parts.ts). */
  readonly moving: boolean;
  /** What it gives to rows that name its streams. */
  readonly joins: readonly Join[];
}

/** A join, types erased. */
export interface Join {
  /** The aggregate that is joined. */
  readonly source: string;
  /** The column that names the stream. */
  readonly by: string;
  readonly columns: readonly string[];
  /** Column → value where there is nothing to join. */
  readonly none: RowValue;
  /** Of the columns, and no others. */
  readonly schema: z.ZodType;
  readonly fold: ErasedFold<RowValue>;
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
  /** All aggregates that it follows, joined ones included. */
  readonly sources: readonly ProjectionSource[];
  readonly joins: readonly Join[];
  /** The row without the columns of joins: what folds give. */
  readonly own: z.ZodType;
  /** Each stream has one row, which stands at the key that its fold gives. */
  readonly rowsMove: boolean;
  /** Rows come from many streams, so that one elected writer folds them all. */
  readonly manyStreams: boolean;
  /** What becomes of a row whose fold throws. */
  readonly parking: Parking;
  /** What is kept of its change log, where that is not what the application says. */
  readonly changes: RetentionOptions;
}

type KeyColumn<S extends z.ZodObject> = ColumnOf<S, string>;
type ChannelColumn<S extends z.ZodObject> = ColumnOf<S, string | number | boolean | null>;

type TextColumn<S extends z.ZodObject> = ColumnOf<S, string | null | undefined>;

/** The row without the columns of joins, which its folds neither see nor give. */
type OwnRow<S extends z.ZodObject, J extends string> = [J] extends [never]
  ? z.output<S>
  : Omit<z.output<S>, J>;

export interface Projection<
  N extends string = string,
  S extends z.ZodObject = z.ZodObject,
  K extends string = string,
  Src = unknown,
> extends AnyProjection {
  readonly name: N;
  readonly row: S;
  readonly key: K;
  /** Types only; never there at run time. `sources` is the union of the aggregates. */
  readonly $types?: { readonly row: z.output<S>; readonly sources: Src };
}

/** `J`: columns that joins give. */
interface FollowingProjection<
  N extends string,
  S extends z.ZodObject,
  K extends string,
  Src,
  J extends string,
> extends Projection<N, S, K, Src> {
  /** Adds an aggregate as source. @throws DefinitionError with what was expected */
  on<A extends string, St, E extends EventSources, C extends CommandSchemas, T extends Tags>(
    source: Aggregate<A, St, E, C, T>,
    options: SourceOptions<OwnRow<S, J>, K & keyof OwnRow<S, J>, E, T>,
  ): FollowingProjection<N, S, K, Src | Aggregate<A, St, E, C, T>, J>;
}

interface MovingProjection<
  N extends string,
  S extends z.ZodObject,
  K extends string,
  Src,
  J extends string,
> extends Projection<N, S, K, Src> {
  /**
   * Adds an aggregate whose streams have one row each, at the key that the fold gives: with another key, the row moves.
   * Where rows of several streams stand at one key, the one that came last is shown, and the others again when it leaves.
   * @throws DefinitionError with what was expected
   */
  moving<A extends string, St, E extends EventSources, C extends CommandSchemas, T extends Tags>(
    source: Aggregate<A, St, E, C, T>,
    options: MovingOptions<OwnRow<S, J>, E, T>,
  ): MovingProjection<N, S, K, Src | Aggregate<A, St, E, C, T>, J>;
}

/** A projection whose joins may still be given; they stand before what makes its rows. */
interface JoiningProjection<N extends string, S extends z.ZodObject, K extends string, Src, J extends string>
  extends FollowingProjection<N, S, K, Src, J>, MovingProjection<N, S, K, Src, J> {
  /**
   * Adds columns that a stream of another aggregate gives to every row that names it.
   * @throws DefinitionError with what was expected
   */
  join<
    A extends string,
    St,
    E extends EventSources,
    Cm extends CommandSchemas,
    T extends Tags,
    C extends Exclude<keyof z.output<S> & string, K | J>,
  >(
    source: Aggregate<A, St, E, Cm, T>,
    options: JoinOptions<z.output<S>, Exclude<TextColumn<S>, J>, C, E, T>,
  ): JoiningProjection<N, S, K, Src | Aggregate<A, St, E, Cm, T>, J | C>;
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
  /** What becomes of a row whose fold throws; false: its shard halts instead. */
  readonly parking?: ParkingInput;
  /** What is kept of its change log, in place of what the application says. */
  readonly changes?: RetentionOptions;
}

function checkProjection(
  name: string,
  options: ProjectionOptions<z.ZodObject, string>,
): Omit<AnyProjection, 'sources' | 'joins' | 'rowsMove' | 'manyStreams'> {
  const where = `projection ${name}`;
  checkProjectionName(name);
  checkVersion(where, options.version);
  const fields = checkedFields(where, 'row', options.row);
  const key = fields.find((field) => field.name === options.key);
  if (!key)
    throw new DefinitionError(`${where}: key "${options.key}" is no field; fields are ${namesOf(fields)}`);
  if (key.kind !== 'text' || key.nullable || key.optional)
    throw new DefinitionError(`${where}: key "${options.key}": expected a text that is always there`);
  // Not rebuilt from its shape, which would leave out what `refine` added.
  const row = options.row.strict();
  return {
    kind: 'projection',
    name,
    version: options.version,
    row,
    own: row,
    fields,
    key: options.key,
    indexes: Object.freeze(tuples(where, 'index', fields, options.indexes ?? [])),
    channels: Object.freeze(tuples(where, 'channel', fields, options.channels ?? [])),
    parking: parkingOf(where, options.parking),
    changes: checkedRetention(where, options.changes),
  };
}

function build<N extends string, S extends z.ZodObject, K extends string>(
  base: AnyProjection,
): JoiningProjection<N, S, K, never, never> {
  const made = {
    ...base,
    on: (aggregate: AnyAggregate, options: ErasedSourceOptions) =>
      build(withRows(base, aggregate, options, 'on')),
    moving: (aggregate: AnyAggregate, options: ErasedSourceOptions) =>
      build(withRows(base, aggregate, options, 'moving')),
    join: (aggregate: AnyAggregate, options: ErasedJoinOptions) => build(withJoin(base, aggregate, options)),
  };
  return Object.freeze(made) as unknown as JoiningProjection<N, S, K, never, never>;
}

/**
 * Defines a projection: `projection(name, {…}).on(Aggregate, { keys?, fold })`, with `.join(Aggregate, { by, none, fold })`
 * before it for columns of other streams, or `.moving(Aggregate, { fold })` for rows that change their key.
 * @throws DefinitionError with what was expected
 */
export function projection<N extends string, S extends z.ZodObject, const K extends KeyColumn<S>>(
  name: N,
  options: ProjectionOptions<S, K>,
): JoiningProjection<N, S, K, never, never> {
  const checked = checkProjection(name, options as unknown as ProjectionOptions<z.ZodObject, string>);
  return build<N, S, K>({ ...checked, sources: [], joins: [], rowsMove: false, manyStreams: false });
}
