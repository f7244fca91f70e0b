/**
 * Aggregates: the write model. State is a fold of the stream’s events; a command is decided on the state alone.
 * The decider form is of Jérémie Chassaing, "Functional Event Sourcing Decider" (2021).
 */
import type { z } from 'zod';
import { reject, type Decision, type EmittedEvent, type Rejection } from './decisions.js';
import { DefinitionError, DomainError } from './errors.js';
import {
  readData,
  toSpec,
  type EventSource,
  type EventSpec,
  type SchemaOf,
  type StoredEvent,
  type Tags,
} from './events.js';
import { jsonSchemaOf } from './fields.js';
import { checkName, checkTypeName } from './identifiers.js';

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

type ContextOf<X, K> = K extends keyof X
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
> extends AnyAggregate {
  readonly name: N;
  /** Types only; never there at run time. */
  readonly $types?: { readonly state: S; readonly events: E; readonly commands: C; readonly tags: T };
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
  context<const Y extends ContextResolvers<C>>(resolvers: Y): NeedsDecide<N, S, E, C, T, Y>;
  /** One pure function a command: events (one, several, none), or a rejection. */
  decide(handlers: DecideHandlers<S, E, C, X>): Aggregate<N, S, E, C, T>;
}

type ErasedFunctions = Readonly<Record<string, ((...args: unknown[]) => unknown) | undefined>>;

/** Handlers are typed where they are written; inside they are called by name. The one cast of this room. */
const erase = (handlers: object): ErasedFunctions => ({ ...handlers }) as ErasedFunctions;

function checkHandlers(where: string, expected: readonly string[], handlers: object): void {
  const missing = expected.filter((name) => typeof erase(handlers)[name] !== 'function');
  const extra = Object.keys(handlers).filter((name) => !expected.includes(name));
  if (missing.length > 0) throw new DefinitionError(`${where}: no handler for ${missing.join(', ')}`);
  if (extra.length > 0) {
    throw new DefinitionError(
      `${where}: handler for unknown ${extra.join(', ')}; known are ${expected.join(', ')}`,
    );
  }
}

function call(handlers: ErasedFunctions, where: string, name: string, ...args: unknown[]): unknown {
  const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (!handler)
    throw new DomainError('needs_newer_code', `${where}: there is no handler for ${JSON.stringify(name)}`);
  return handler(...args);
}

function checkedEmit(
  name: string,
  events: Readonly<Record<string, EventSpec>>,
  emitted: EmittedEvent,
): EmittedEvent {
  const spec = Object.hasOwn(events, emitted.type) ? events[emitted.type] : undefined;
  if (!spec)
    throw new DomainError(
      'invalid_emit',
      `aggregate ${name} emits ${JSON.stringify(emitted.type)}, which it does not define`,
    );
  const parsed = spec.schema.safeParse(emitted.data);
  if (!parsed.success) {
    throw new DomainError(
      'invalid_emit',
      `aggregate ${name} emits ${emitted.type} with data that its schema refuses: ${parsed.error.message}`,
    );
  }
  return { kind: 'emitted', type: emitted.type, data: parsed.data };
}

const isRejection = (result: DecideResult<EventSources>): result is Rejection =>
  'kind' in result && result.kind === 'rejection';

function toDecision(
  name: string,
  events: Readonly<Record<string, EventSpec>>,
  result: DecideResult<EventSources>,
): Decision {
  if (isRejection(result)) return result;
  const list = 'kind' in result ? [result] : result;
  return { kind: 'accepted', events: list.map((emitted) => checkedEmit(name, events, emitted)) };
}

interface Parts {
  readonly name: string;
  readonly options: AggregateOptions<z.ZodType, EventSources, CommandSchemas, Tags>;
  readonly events: Readonly<Record<string, EventSpec>>;
  readonly evolve: ErasedFunctions;
  readonly context: ErasedFunctions;
  readonly decide: ErasedFunctions;
}

const emit = <K extends string>(type: K, data: unknown): EmittedEvent<K> => ({ kind: 'emitted', type, data });

function build(parts: Parts): AnyAggregate {
  const { name, options, events } = parts;
  const evolve = (state: unknown, past: PastEvent): unknown =>
    call(parts.evolve, `${name}.evolve`, past.type, state, past);
  return Object.freeze<AnyAggregate>({
    kind: 'aggregate',
    name,
    state: options.state,
    initial: options.initial,
    events,
    commands: options.commands,
    evolve,
    foldSource: Object.entries(parts.evolve)
      .map(([type, handler]) => `${type}: ${String(handler)}`)
      .join('\n'),
    evolveStored(state, stored) {
      const data = readData(Object.hasOwn(events, stored.type) ? events[stored.type] : undefined, stored);
      return evolve(state, { type: stored.type, data, streamId: stored.streamId, version: stored.version });
    },
    tagsOf: (state) => options.tags?.(state) ?? {},
    decide(command, state, input, request) {
      const tools = { emit, reject, streamId: request.streamId, context: request.context };
      return toDecision(
        name,
        events,
        call(parts.decide, `${name}.decide`, command, state, input, tools) as DecideResult<EventSources>,
      );
    },
    needsContext: (command) => Object.hasOwn(parts.context, command),
    resolveContext: async (command, request) =>
      Object.hasOwn(parts.context, command) ? await parts.context[command]?.(request) : undefined,
  });
}

function checkOptions(
  name: string,
  options: AggregateOptions<z.ZodType, EventSources, CommandSchemas, Tags>,
): Record<string, EventSpec> {
  checkName('aggregate', name);
  const events: Record<string, EventSpec> = {};
  const seen = new Map<string, string>();
  for (const [type, source] of Object.entries(options.events)) {
    checkTypeName(`aggregate ${name}, event`, type);
    const twin = seen.get(type.toLowerCase());
    if (twin !== undefined)
      throw new DefinitionError(`aggregate ${name}: two events of one name: ${twin} and ${type}`);
    seen.set(type.toLowerCase(), type);
    const spec = toSpec(`aggregate ${name}, event ${type}`, source);
    jsonSchemaOf(`aggregate ${name}, event ${type}`, spec.schema, 'output');
    events[type] = spec;
  }
  if (Object.keys(events).length === 0)
    throw new DefinitionError(`aggregate ${name}: expected at least one event`);
  for (const [command, schema] of Object.entries(options.commands)) {
    checkTypeName(`aggregate ${name}, command`, command);
    jsonSchemaOf(`aggregate ${name}, command ${command}`, schema, 'input');
  }
  jsonSchemaOf(`aggregate ${name}, state`, options.state, 'output');
  const initial = options.state.safeParse(options.initial);
  if (!initial.success)
    throw new DefinitionError(`aggregate ${name}: initial does not fit the state: ${initial.error.message}`);
  return events;
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
  const erased = options as unknown as AggregateOptions<z.ZodType, EventSources, CommandSchemas, Tags>;
  const events = Object.freeze(checkOptions(name, erased));
  const commands = Object.keys(options.commands);
  const needsDecide = <X>(evolve: object, context: object): NeedsDecide<N, z.output<S>, E, C, T, X> => ({
    context(resolvers) {
      const extra = Object.keys(resolvers).filter((command) => !commands.includes(command));
      if (extra.length > 0)
        throw new DefinitionError(
          `aggregate ${name}: context for unknown ${extra.join(', ')}; known are ${commands.join(', ')}`,
        );
      return needsDecide(evolve, resolvers);
    },
    decide(handlers) {
      checkHandlers(`aggregate ${name}.decide`, commands, handlers);
      const parts = {
        name,
        options: erased,
        events,
        evolve: erase(evolve),
        context: erase(context),
        decide: erase(handlers),
      };
      return build(parts) as Aggregate<N, z.output<S>, E, C, T>;
    },
  });
  return {
    evolve(handlers) {
      checkHandlers(`aggregate ${name}.evolve`, Object.keys(events), handlers);
      return needsDecide(handlers, {});
    },
  };
}
