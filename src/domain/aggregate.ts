/**
 * Aggregates: the write model. State is a fold of the stream’s events; a command is decided on the state alone.
 * The decider form is of Jérémie Chassaing, "Functional Event Sourcing Decider" (2021).
 */
import type { z } from 'zod';
import { buildAggregate, checkedHandlers, lookup, type ErasedFunctions } from './decider.js';
import type { Decision, EmittedEvent, reject, Rejection } from './decisions.js';
import { DefinitionError } from './errors.js';
import {
  toSpec,
  type EventSource,
  type EventSpec,
  type SchemaOf,
  type StoredEvent,
  type Tags,
} from './events.js';
import { jsonSchemaOf } from './fields.js';
import { deepFreeze } from './freeze.js';
import { checkName, checkTypeName } from './identifiers.js';
import { faultText } from './input.js';

export type EventSources = Readonly<Record<string, EventSource>>;
export type CommandSchemas = Readonly<Record<string, z.ZodType>>;

export type EventData<E extends EventSources, K extends keyof E> = z.output<SchemaOf<E[K]>>;

/** What `evolve` sees of an event: only what is known when it is decided, so that replay gives the same. */
export interface PastEvent<Type extends string = string, Data = unknown> {
  readonly type: Type;
  readonly data: Data;
  readonly streamId: string;
  /** Version of the stream after this event. */
  readonly version: number;
}

type EvolveHandlers<S, E extends EventSources> = {
  readonly [K in keyof E & string]: (state: S, event: PastEvent<K, EventData<E, K>>) => S;
};

export interface DecideTools<E extends EventSources, X> {
  /** An event to append; its data is checked by the event’s schema. */
  readonly emit: <K extends keyof E & string>(type: K, data: z.input<SchemaOf<E[K]>>) => EmittedEvent<K>;
  readonly reject: typeof reject;
  readonly streamId: string;
  /** What `.context` resolved for this command; undefined where it resolves nothing. */
  readonly context: X;
}

type DecideResult<E extends EventSources> =
  EmittedEvent<keyof E & string> | readonly EmittedEvent<keyof E & string>[] | Rejection;

export type ContextOf<X, K> = K extends keyof X
  ? X[K] extends (...args: never) => infer R
    ? Awaited<R>
    : undefined
  : undefined;

type DecideHandlers<S, E extends EventSources, C extends CommandSchemas, X> = {
  readonly [K in keyof C & string]: (
    state: S,
    input: z.output<C[K]>,
    tools: DecideTools<E, ContextOf<X, K>>,
  ) => DecideResult<E>;
};

type ContextResolvers<C extends CommandSchemas> = {
  readonly [K in keyof C & string]?: (request: {
    readonly streamId: string;
    readonly input: z.output<C[K]>;
  }) => unknown;
};

/** An aggregate with its types erased: what the framework runs. */
export interface AnyAggregate {
  readonly kind: 'aggregate';
  /** Also the event category: the name of its log. */
  readonly name: string;
  readonly state: z.ZodType;
  readonly initial: unknown;
  readonly events: Readonly<Record<string, EventSpec>>;
  readonly commands: Readonly<Record<string, z.ZodType>>;
  evolve(state: unknown, event: PastEvent): unknown;
  /** Source text of the `evolve` handlers: a snapshot that other handlers folded is not gone on from. */
  readonly foldSource: string;
  /** Upcasts a stored event and folds it. @throws DomainError as `readData` */
  evolveStored(state: unknown, stored: StoredEvent): unknown;
  tagsOf(state: unknown): Tags;
  /**
   * @param input the command’s payload, already parsed
   * @throws DomainError `invalid_emit` when an emitted event does not fit its schema
   */
  decide(
    command: string,
    state: unknown,
    input: unknown,
    request: { streamId: string; context: unknown },
  ): Decision;
  /** True when `resolveContext` has something to do for this command. */
  needsContext(command: string): boolean;
  resolveContext(command: string, request: { streamId: string; input: unknown }): Promise<unknown>;
}

/** An aggregate; the type parameters are read by projections, the test kit and the client. */
export interface Aggregate<
  N extends string = string,
  S = unknown,
  E extends EventSources = EventSources,
  C extends CommandSchemas = CommandSchemas,
  T extends Tags = Tags,
  X = unknown,
> extends AnyAggregate {
  readonly name: N;
  /** Types only; never there at run time. */
  readonly $types?: {
    readonly state: S;
    readonly events: E;
    readonly commands: C;
    readonly tags: T;
    readonly context: X;
  };
}

interface AggregateOptions<
  S extends z.ZodType,
  E extends EventSources,
  C extends CommandSchemas,
  T extends Tags,
> {
  /** Schema of the state; also what a snapshot holds. */
  readonly state: S;
  /** The state before the first event. */
  readonly initial: z.output<S>;
  /** Event types: a schema each, or `event(schema, { upcasters })` where it has changed. */
  readonly events: E;
  readonly commands: C;
  /** Stamped on every event of the stream, taken from the state after the event. */
  readonly tags?: (state: z.output<S>) => T;
}

interface NeedsEvolve<N extends string, S, E extends EventSources, C extends CommandSchemas, T extends Tags> {
  /** One pure function an event type: the state after it. No clock, no random, no I/O. */
  evolve(handlers: EvolveHandlers<S, E>): NeedsDecide<N, S, E, C, T, Record<never, never>>;
}

interface NeedsDecide<
  N extends string,
  S,
  E extends EventSources,
  C extends CommandSchemas,
  T extends Tags,
  X,
> {
  /** What a command needs beyond its stream; resolved before `decide`, passed in as `context`. */
  context<const Y extends ContextResolvers<C>>(
    resolvers: Y & { readonly [K in Exclude<keyof Y, keyof C>]: never },
  ): NeedsDecide<N, S, E, C, T, Y>;
  /** One pure function a command: events (one, several, none), or a rejection. */
  decide(handlers: DecideHandlers<S, E, C, X>): Aggregate<N, S, E, C, T, X>;
}

type ErasedOptions = AggregateOptions<z.ZodType, EventSources, CommandSchemas, Tags>;

function checkedEvents(name: string, sources: EventSources): Readonly<Record<string, EventSpec>> {
  const events: Record<string, EventSpec> = {};
  const seen = new Map<string, string>();
  for (const [type, source] of Object.entries(sources)) {
    const where = `aggregate ${name}, event ${type}`;
    checkTypeName(`aggregate ${name}, event`, type);
    const twin = seen.get(type.toLowerCase());
    if (twin !== undefined)
      throw new DefinitionError(`aggregate ${name}: two events of one name: ${twin} and ${type}`);
    seen.set(type.toLowerCase(), type);
    const spec = toSpec(where, source);
    jsonSchemaOf(where, spec.schema, 'output');
    events[type] = spec;
  }
  if (seen.size === 0) throw new DefinitionError(`aggregate ${name}: expected at least one event`);
  return lookup(events);
}

function checkedCommands(name: string, schemas: CommandSchemas): CommandSchemas {
  for (const [command, schema] of Object.entries(schemas)) {
    checkTypeName(`aggregate ${name}, command`, command);
    const json = jsonSchemaOf(`aggregate ${name}, command ${command}`, schema, 'input');
    if (json.type !== 'object' && !json.oneOf && !json.anyOf)
      throw new DefinitionError(`aggregate ${name}, command ${command}: expected z.object({…})`);
  }
  return lookup(schemas);
}

function checkedInitial(name: string, options: ErasedOptions): unknown {
  jsonSchemaOf(`aggregate ${name}, state`, options.state, 'output');
  const initial = options.state.safeParse(options.initial);
  if (!initial.success)
    throw new DefinitionError(
      `aggregate ${name}: initial does not fit the state: ${faultText(initial.error)}`,
    );
  // Every stream begins with this one value: a copy of our own, which no handler can write into.
  return deepFreeze(structuredClone(options.initial));
}

/**
 * Defines an aggregate: `aggregate(name, {…}).evolve({…}).decide({…})`, with `.context({…})` in between where a
 * command needs more than its stream.
 * @throws DefinitionError with what was expected
 */
export function aggregate<
  N extends string,
  S extends z.ZodType,
  const E extends EventSources,
  const C extends CommandSchemas,
  T extends Tags = Record<never, never>,
>(name: N, options: AggregateOptions<S, E, C, T>): NeedsEvolve<N, z.output<S>, E, C, T> {
  checkName('aggregate', name);
  const erased = options as unknown as ErasedOptions;
  const parts = {
    name,
    state: options.state,
    initial: checkedInitial(name, erased),
    events: checkedEvents(name, options.events),
    commands: checkedCommands(name, options.commands),
    tags: erased.tags,
  };
  const commands = Object.keys(parts.commands);
  const needsDecide = <X>(
    evolve: ErasedFunctions,
    context: ErasedFunctions,
  ): NeedsDecide<N, z.output<S>, E, C, T, X> => ({
    context: (resolvers) =>
      needsDecide(evolve, checkedHandlers(`aggregate ${name}.context`, commands, resolvers, 'some')),
    decide(handlers) {
      const decide = checkedHandlers(`aggregate ${name}.decide`, commands, handlers, 'every');
      return buildAggregate({ ...parts, evolve, context, decide }) as Aggregate<N, z.output<S>, E, C, T, X>;
    },
  });
  return {
    evolve(handlers) {
      const types = Object.keys(parts.events);
      return needsDecide(checkedHandlers(`aggregate ${name}.evolve`, types, handlers, 'every'), lookup({}));
    },
  };
}
