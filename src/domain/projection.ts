/** Projections: keyed rows, each a pure fold of events. */
import { z } from 'zod';
import type { AnyAggregate, Aggregate, CommandSchemas, EventData, EventSources } from './aggregate.js';
import { DefinitionError, DomainError } from './errors.js';
import { readData, type EventMetadata, type StoredEvent, type Tags } from './events.js';
import { fieldsOf, type Field } from './fields.js';
import { checkFieldName, checkName } from './identifiers.js';

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

type ColumnOf<S extends z.ZodObject> = keyof z.output<S> & string;

export interface Projection<
  N extends string = string,
  S extends z.ZodObject = z.ZodObject,
  K extends ColumnOf<S> = ColumnOf<S>,
> extends AnyProjection {
  readonly name: N;
  /** Types only; never there at run time. */
  readonly $types?: { readonly row: z.output<S> };
  /** Adds an aggregate as source. @throws DefinitionError with what was expected */
  on<A, E extends EventSources, C extends CommandSchemas, T extends Tags>(
    source: Aggregate<string, A, E, C, T>,
    options: SourceOptions<z.output<S>, K, E, T>,
  ): Projection<N, S, K>;
}

interface ProjectionOptions<S extends z.ZodObject, K extends ColumnOf<S>> {
  /** Raise it when the row or a fold changes: a new table is built beside the old one. */
  readonly version: number;
  readonly row: S;
  /** The key column: a text that follows the rule for row keys. Set by Tidemark. */
  readonly key: K;
  /** Columns (or tuples) that reads filter and sort by. */
  readonly indexes?: readonly (ColumnOf<S> | readonly ColumnOf<S>[])[];
  /** Columns (or tuples) that live subscribers filter by equality. */
  readonly channels?: readonly (ColumnOf<S> | readonly ColumnOf<S>[])[];
}

function tuples(
  where: string,
  kind: string,
  fields: readonly Field[],
  given: readonly (string | readonly string[])[],
): string[][] {
  const seen = new Set<string>();
  return given.map((one) => {
    const tuple: string[] = typeof one === 'string' ? [one] : [...one];
    if (tuple.length === 0) throw new DefinitionError(`${where}: an empty ${kind}`);
    for (const name of tuple) {
      const field = fields.find((candidate) => candidate.name === name);
      if (!field)
        throw new DefinitionError(
          `${where}: ${kind} on "${name}", which is no field; fields are ${fields.map((f) => f.name).join(', ')}`,
        );
      if (field.kind === 'json')
        throw new DefinitionError(`${where}: ${kind} on "${name}", which is not a text, number or boolean`);
      if (kind === 'channel' && field.optional)
        throw new DefinitionError(
          `${where}: channel on "${name}", which may be absent; make it nullable instead`,
        );
    }
    const id = JSON.stringify(kind === 'channel' ? [...tuple].sort() : tuple);
    if (seen.has(id) || new Set(tuple).size < tuple.length)
      throw new DefinitionError(`${where}: ${kind} ${tuple.join(', ')} stands there twice`);
    seen.add(id);
    return tuple;
  });
}

function checkProjection(
  name: string,
  options: ProjectionOptions<z.ZodObject, string>,
): Omit<AnyProjection, 'sources' | 'manyStreams'> {
  const where = `projection ${name}`;
  checkName('projection', name);
  if (!Number.isInteger(options.version) || options.version < 1 || options.version > 999_999) {
    throw new DefinitionError(`${where}: version ${String(options.version)}: expected a whole number from 1`);
  }
  const fields = fieldsOf(`${where}, row`, options.row);
  for (const field of fields) {
    checkFieldName(where, field.name);
    if (field.optional && field.nullable) {
      throw new DefinitionError(
        `${where}: field "${field.name}" is both optional and nullable, which a column cannot tell apart`,
      );
    }
  }
  const key = fields.find((field) => field.name === options.key);
  if (!key)
    throw new DefinitionError(
      `${where}: key "${options.key}" is no field; fields are ${fields.map((f) => f.name).join(', ')}`,
    );
  if (key.kind !== 'text' || key.nullable || key.optional)
    throw new DefinitionError(`${where}: key "${options.key}": expected a text that is always there`);
  return {
    kind: 'projection',
    name,
    version: options.version,
    row: z.strictObject(options.row.shape),
    fields,
    key: options.key,
    indexes: tuples(where, 'index', fields, options.indexes ?? []),
    channels: tuples(where, 'channel', fields, options.channels ?? []),
  };
}

function checkSource(base: AnyProjection, source: AnyAggregate, fold: object): void {
  if (base.sources.some((other) => other.aggregate.name === source.name)) {
    throw new DefinitionError(`projection ${base.name}: .on(${source.name}) stands there twice`);
  }
  const unknown = Object.keys(fold).filter((type) => !Object.hasOwn(source.events, type));
  if (unknown.length > 0) {
    throw new DefinitionError(
      `projection ${base.name}: fold of unknown ${unknown.join(', ')}; events of ${source.name} are ${Object.keys(source.events).join(', ')}`,
    );
  }
}

function build<N extends string, S extends z.ZodObject, K extends ColumnOf<S>>(
  base: AnyProjection,
): Projection<N, S, K> {
  const made = {
    ...base,
    on(
      source: AnyAggregate,
      options: { readonly keys?: unknown; readonly fold: object },
    ): Projection<N, S, K> {
      checkSource(base, source, options.fold);
      const added = { aggregate: source, keys: options.keys, fold: { ...options.fold } } as ProjectionSource;
      const sources = Object.freeze([...base.sources, added]);
      return build<N, S, K>({
        ...base,
        sources,
        manyStreams: sources.length > 1 || sources.some((one) => one.keys !== undefined),
      });
    },
  };
  return Object.freeze(made) as unknown as Projection<N, S, K>;
}

/**
 * Defines a projection: `projection(name, {…}).on(Aggregate, { keys?, fold })`.
 * @throws DefinitionError with what was expected
 */
export function projection<N extends string, S extends z.ZodObject, const K extends ColumnOf<S>>(
  name: N,
  options: ProjectionOptions<S, K>,
): Projection<N, S, K> {
  const checked = checkProjection(name, options as unknown as ProjectionOptions<z.ZodObject, string>);
  return build<N, S, K>({ ...checked, sources: [], manyStreams: false });
}

/** The source of a projection that a stored event belongs to. */
export const sourceOf = (projection: AnyProjection, category: string): ProjectionSource | undefined =>
  projection.sources.find((source) => source.aggregate.name === category);

/**
 * A stored event as folds see it.
 * @throws DomainError `needs_newer_code`, `event_unreadable`
 */
export function toRecorded(source: ProjectionSource, stored: StoredEvent): RecordedEvent {
  const { events } = source.aggregate;
  const data = readData(Object.hasOwn(events, stored.type) ? events[stored.type] : undefined, stored);
  const { type, tags, metadata, streamId, version, eventId, recordedAt } = stored;
  return { type, data, tags, metadata, streamId, version, eventId, recordedAt };
}

/** The keys of the rows that an event touches, each once; none when no fold handles its type. */
export function keysOf(source: ProjectionSource, event: RecordedEvent): readonly string[] {
  if (!Object.hasOwn(source.fold, event.type)) return [];
  if (!source.keys) return [event.streamId];
  const keys = source.keys(event);
  return typeof keys === 'string' ? [keys] : [...new Set(keys)];
}

/**
 * The row after an event, the key column set; null where there is none. Checked against the row schema.
 * @throws DomainError `invalid_row` when the fold gives what the schema refuses (also extra columns), or whatever the fold throws
 */
export function foldRow(
  projection: AnyProjection,
  source: ProjectionSource,
  key: string,
  row: RowValue | null,
  event: RecordedEvent,
): RowValue | null {
  const fold = Object.hasOwn(source.fold, event.type) ? source.fold[event.type] : undefined;
  if (!fold) return row;
  const next = fold(row, event);
  if (next === null) return null;
  if (typeof next !== 'object' || Array.isArray(next)) {
    throw new DomainError(
      'invalid_row',
      `projection ${projection.name}, fold of ${event.type}: expected a row or null, got ${Array.isArray(next) ? 'an array' : typeof next}`,
    );
  }
  const parsed = projection.row.safeParse({ ...next, [projection.key]: key });
  if (!parsed.success) {
    throw new DomainError(
      'invalid_row',
      `projection ${projection.name}, fold of ${event.type}: the row does not fit its schema: ${parsed.error.message}`,
    );
  }
  return parsed.data as RowValue;
}
