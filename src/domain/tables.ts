/**
 * The escape hatch: a projection whose tables are written by a handler of its own, for what is not keyed rows. Its
 * handler runs once for a batch of events, in the transaction that moves its checkpoints, so that each event counts once.
 */
import type { Kysely } from 'kysely';
import type { z } from 'zod';
import type { Aggregate, AnyAggregate, CommandSchemas, EventData, EventSources } from './aggregate.js';
import { DefinitionError } from './errors.js';
import type { Tags } from './events.js';
import type { Field } from './fields.js';
import { checkProjectionName } from './identifiers.js';
import type { AnyProjection, RecordedEvent } from './projection.js';
import { checkedFields, checkVersion, tuples, type ColumnOf, type IndexColumn } from './row-fields.js';

/** A row as its table holds it: a field that is absent from the row is NULL in its column. */
export type ColumnsOf<R> = {
  [F in keyof R]-?: undefined extends R[F] ? Exclude<R[F], undefined> | null : R[F];
};

/** An event as a handler sees it; two aggregates may name an event alike, so it says whose it is. */
export interface TablesEvent<
  A extends string = string,
  Type extends string = string,
  Data = unknown,
  T extends Tags = Tags,
> extends RecordedEvent<Type, Data, T> {
  /** Name of the aggregate. */
  readonly aggregate: A;
}

type EventsOf<A extends string, E extends EventSources, T extends Tags> = {
  [Type in keyof E & string]: TablesEvent<A, Type, EventData<E, Type>, T>;
}[keyof E & string];

/** kysely over the projection’s own tables. It is one transaction from beginning to end, which the handler cannot leave. */
export type TablesDatabase<Columns> = Pick<
  Kysely<Columns>,
  | 'selectFrom'
  | 'insertInto'
  | 'updateTable'
  | 'deleteFrom'
  | 'with'
  | 'withRecursive'
  | 'selectNoFrom'
  | 'fn'
  | 'case'
  | 'dynamic'
>;

type Schemas = Readonly<Record<string, z.ZodObject>>;
type TableColumns<S extends Schemas> = { [N in keyof S & string]: ColumnsOf<z.output<S[N]>> };

type PrimaryKeyColumn<S extends z.ZodObject> = ColumnOf<S, string | number | boolean>;

interface TableOptions<S extends z.ZodObject> {
  /** A plain object: no catchall, at most 200 fields. What fits no text, number or boolean is kept as JSON. */
  readonly columns: S;
  /** At most 8 columns that are always there. */
  readonly primaryKey: readonly [PrimaryKeyColumn<S>, ...PrimaryKeyColumn<S>[]];
  /** Columns (or tuples of at most 8) that reads filter and sort by. */
  readonly indexes?: readonly (IndexColumn<S> | readonly IndexColumn<S>[])[];
}

interface TablesOptions<S extends Schemas> {
  /** Raise it when a table or the handler changes: new tables are built beside the old ones. From 1. */
  readonly version: number;
  /** The tables by name. Each name is one of the whole application’s, as views are. */
  readonly tables: { readonly [N in keyof S]: TableOptions<S[N]> };
  /** How often the handler is tried with the same events before the one at fault is looked for; 1–100, 3 by default. */
  readonly attempts?: number;
  /** Events that the handler gets at once at the most; 1–10,000, 1,000 by default. */
  readonly batch?: number;
  /** Milliseconds for one call of the handler; 1–600,000, 30,000 by default. */
  readonly timeoutMs?: number;
}

/** A table, types erased. */
export interface TableDefinition {
  readonly name: string;
  /** Columns in the order of the definition. */
  readonly fields: readonly Field[];
  readonly primaryKey: readonly string[];
  readonly indexes: readonly (readonly string[])[];
}

/** A projection that is written by a handler, types erased. */
export interface AnyTables {
  readonly kind: 'tables';
  readonly name: string;
  readonly version: number;
  readonly tables: readonly TableDefinition[];
  readonly sources: readonly { readonly aggregate: AnyAggregate }[];
  /** One elected writer reads all shards: nobody can tell which rows an event touches. */
  readonly manyStreams: true;
  readonly attempts: number;
  readonly batch: number;
  readonly timeoutMs: number;
  handle(request: { readonly db: unknown; readonly events: readonly TablesEvent[] }): Promise<unknown>;
}

/** Every kind of projection. `projection(…)` keeps rows by key and has a view; `tables(…)` has tables and queries only. */
export type AnyReadModel = AnyProjection | AnyTables;

export interface Tables<
  N extends string = string,
  S extends Schemas = Schemas,
  Src = unknown,
> extends AnyTables {
  readonly name: N;
  /** Types only; never there at run time. `sources` is the union of the aggregates. */
  readonly $types?: { readonly tables: TableColumns<S>; readonly sources: Src };
}

/** A projection with tables before its end: `.on(…)` for each aggregate, then `.handle(…)`. */
export interface TablesBuilder<N extends string, S extends Schemas, Src, Ev> {
  /** Adds an aggregate as source: the handler gets all of its events. @throws DefinitionError with what was expected */
  on<A extends string, St, E extends EventSources, C extends CommandSchemas, T extends Tags>(
    source: Aggregate<A, St, E, C, T>,
  ): TablesBuilder<N, S, Src | Aggregate<A, St, E, C, T>, Ev | EventsOf<A, E, T>>;
  /**
   * Sets what writes the tables. What it writes must follow from `events` and the tables alone (no clock, no random, no
   * calls elsewhere): it is run again when its transaction was rolled back, and when the projection is rebuilt.
   * @param handler `events` in the order of each shard; events of different shards in any order
   * @throws DefinitionError with what was expected
   */
  handle(
    handler: (request: {
      readonly db: TablesDatabase<TableColumns<S>>;
      readonly events: readonly Ev[];
    }) => Promise<unknown>,
  ): Tables<N, S, Src>;
}

function wholeNumber(where: string, name: string, given: unknown, max: number, fallback: number): number {
  const value = given ?? fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > max)
    throw new DefinitionError(`${where}: ${name} ${String(value)}: expected a whole number from 1 to ${max}`);
  return value;
}

function checkedTable(where: string, name: string, options: TableOptions<z.ZodObject>): TableDefinition {
  const at = `${where}, table ${name}`;
  checkProjectionName(name, `${where}: table`);
  const fields = checkedFields(at, 'columns', options.columns);
  const given: readonly string[] = options.primaryKey ?? [];
  const [primaryKey = []] = tuples(at, 'primary key', fields, [given]);
  const loose = fields.find((field) => primaryKey.includes(field.name) && (field.nullable || field.optional));
  if (loose) throw new DefinitionError(`${at}: primary key on "${loose.name}", which may be absent or null`);
  const indexes = Object.freeze(tuples(at, 'index', fields, options.indexes ?? []));
  return Object.freeze({ name, fields, primaryKey, indexes });
}

function checkedSource(where: string, known: AnyTables['sources'], aggregate: AnyAggregate): AnyAggregate {
  if (aggregate?.kind !== 'aggregate')
    throw new DefinitionError(
      `${where}: .on(…): expected what aggregate(…).evolve(…).decide(…) gives, also not before its end`,
    );
  if (known.some((other) => other.aggregate.name === aggregate.name))
    throw new DefinitionError(`${where}: .on(${aggregate.name}) stands there twice`);
  return aggregate;
}

type ErasedHandler = (request: { db: unknown; events: readonly unknown[] }) => unknown;

function build<N extends string, S extends Schemas, Src, Ev>(
  base: Omit<AnyTables, 'handle'>,
): TablesBuilder<N, S, Src, Ev> {
  const where = `projection ${base.name}`;
  const builder = {
    on(aggregate: AnyAggregate): TablesBuilder<N, S, Src, Ev> {
      const source = Object.freeze({ aggregate: checkedSource(where, base.sources, aggregate) });
      return build<N, S, Src, Ev>({ ...base, sources: Object.freeze([...base.sources, source]) });
    },
    handle(handler: ErasedHandler): AnyTables {
      if (typeof handler !== 'function')
        throw new DefinitionError(`${where}: expected handle to be given a function`);
      return Object.freeze({ ...base, handle: async (request) => handler(request) } satisfies AnyTables);
    },
  };
  return Object.freeze(builder) as unknown as TablesBuilder<N, S, Src, Ev>;
}

/**
 * Defines a projection with tables of its own: `tables(name, { version, tables }).on(Aggregate).handle(async ({ db, events }) => …)`.
 * It has no `/views/…` and nothing to subscribe to; named queries read its tables by `reads`.
 * @throws DefinitionError with what was expected
 */
export function tables<N extends string, const S extends Schemas>(
  name: N,
  options: TablesOptions<S>,
): TablesBuilder<N, S, never, never> {
  const where = `projection ${name}`;
  checkProjectionName(name);
  checkVersion(where, options.version);
  const given = Object.entries((options as unknown as TablesOptions<Schemas>).tables ?? {});
  if (given.length === 0) throw new DefinitionError(`${where}: expected at least one table`);
  return build<N, S, never, never>({
    kind: 'tables',
    name,
    version: options.version,
    tables: Object.freeze(given.map(([table, one]) => checkedTable(where, table, one))),
    sources: Object.freeze([]),
    manyStreams: true,
    attempts: wholeNumber(where, 'attempts', options.attempts, 100, 3),
    batch: wholeNumber(where, 'batch', options.batch, 10_000, 1_000),
    timeoutMs: wholeNumber(where, 'timeoutMs', options.timeoutMs, 600_000, 30_000),
  });
}
