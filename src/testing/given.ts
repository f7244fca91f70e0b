/** Given some events, when a command comes, then this is decided: aggregates tested without a database. */
import type { z } from 'zod';
import type {
  Aggregate,
  AnyAggregate,
  CommandSchemas,
  ContextOf,
  EventData,
  EventSources,
} from '../domain/aggregate.js';
import type { Decision, EmittedEvent, RejectionKind } from '../domain/decisions.js';
import type { SchemaOf, Tags } from '../domain/events.js';
import { deepFreeze } from '../domain/freeze.js';
import { parseInput, type InputFault } from '../domain/input.js';
import { asJson, expectSame, fail } from './compare.js';
import { withoutClock } from './purity.js';
import { evolveAll, initialStand, listed, tagsChecked, type Happening, type Stand } from './rehearsal.js';

/** An event as a test writes it down; data of an older schema version is named by `schemaVersion`, and then untyped. */
export type GivenEvent<E extends EventSources> = {
  [K in keyof E & string]:
    | { readonly type: K; readonly data: z.input<SchemaOf<E[K]>>; readonly schemaVersion?: undefined }
    | { readonly type: K; readonly data: unknown; readonly schemaVersion: number };
}[keyof E & string];

/** The same by aggregate: `EventOf<typeof Order>`. */
export type EventOf<A> =
  A extends Aggregate<infer _N, infer _S, infer E, infer _C, infer _T, infer _X> ? GivenEvent<E> : never;

/** An event as a decision must give it. */
export type ExpectedEvent<E extends EventSources> = {
  [K in keyof E & string]: { readonly type: K; readonly data: EventData<E, K> };
}[keyof E & string];

type WhenOptions<X, K> = K extends keyof X ? [options: { readonly context: ContextOf<X, K> }] : [];

export interface Outcome<S, E extends EventSources> {
  /** The command was accepted, with just these events, in this order; `[]` for none. @throws AssertionError */
  then(events: readonly ExpectedEvent<E>[]): Outcome<S, E>;
  /** The command was rejected with this code. @throws AssertionError */
  thenRejected(code: string, options?: { readonly as?: RejectionKind }): void;
  /** The payload was refused before anything was decided, with a fault at each of these JSON Pointers. @throws AssertionError */
  thenInvalid(...paths: readonly string[]): void;
  /** The state after what was decided. @throws AssertionError */
  thenState(state: S): void;
  /** The tags that what was decided is stamped with. @throws AssertionError */
  thenTags(tags: Tags): void;
}

export interface Given<S, E extends EventSources, C extends CommandSchemas, X> {
  /**
   * Sends a command, with what `.context` would have resolved for it.
   * @throws AssertionError when `decide` or `evolve` writes into what it was given, uses the clock, or breaks a schema
   */
  when<K extends keyof C & string>(
    command: K,
    payload: z.input<C[K]>,
    ...options: WhenOptions<X, K>
  ): Outcome<S, E>;
  /** The state that the events lead to. @throws AssertionError */
  thenState(state: S): void;
  /** The tags that the last event was stamped with. @throws AssertionError */
  thenTags(tags: Tags): void;
}

type Result =
  | { readonly kind: 'invalid'; readonly faults: readonly InputFault[] }
  | { readonly kind: 'decided'; readonly decision: Decision; readonly after: Stand };

interface Scene {
  readonly aggregate: AnyAggregate;
  readonly streamId: string;
  readonly stand: Stand;
}

function decideChecked(scene: Scene, command: string, payload: unknown, context: unknown): Result {
  const { aggregate, streamId, stand } = scene;
  const schema = aggregate.commands[command];
  if (!schema)
    fail(
      `aggregate ${aggregate.name} has no command ${JSON.stringify(command)}; commands are ${Object.keys(aggregate.commands).join(', ')}`,
    );
  const parsed = parseInput(schema, asJson(payload));
  if (!parsed.ok) return { kind: 'invalid', faults: parsed.faults };
  if (context === undefined && aggregate.needsContext(command))
    fail(`${aggregate.name}.${command} needs context: pass { context } to when(…)`);
  const decision = withoutClock(`${aggregate.name}.decide of ${command}`, () =>
    aggregate.decide(command, stand.state, deepFreeze(parsed.value), {
      streamId,
      context: deepFreeze(context),
    }),
  );
  const events = decision.kind === 'accepted' ? decision.events : [];
  return { kind: 'decided', decision, after: evolveAll(aggregate, stand, streamId, events) };
}

function told(result: Result): string {
  if (result.kind === 'invalid') return `the payload was refused: ${listed(result.faults)}`;
  if (result.decision.kind === 'rejection')
    return `it was rejected: ${result.decision.code} (${result.decision.as})`;
  return `it was accepted with ${result.decision.events.map((event) => event.type).join(', ') || 'no event'}`;
}

const plain = (events: readonly EmittedEvent[]): unknown => events.map(({ type, data }) => ({ type, data }));

function outcome<S, E extends EventSources>(scene: Scene, command: string, result: Result): Outcome<S, E> {
  const name = `${scene.aggregate.name}.${command}`;
  const accepted = (expected: string): { events: readonly EmittedEvent[]; after: Stand } => {
    if (result.kind === 'invalid' || result.decision.kind === 'rejection')
      return fail(`${name}: expected ${expected}, but ${told(result)}`);
    return { events: result.decision.events, after: result.after };
  };
  const self: Outcome<S, E> = {
    // oxlint-disable-next-line unicorn/no-thenable -- "then" is the word of the trade; nobody awaits an outcome
    then(expected) {
      if (!Array.isArray(expected))
        fail(`${name}: then(…) takes a list of events; an outcome is not awaited`);
      const names = expected.map((event: Happening) => event.type).join(', ');
      expectSame(
        `${name}: other events than expected`,
        plain(accepted(names || 'no event').events),
        expected,
      );
      return self;
    },
    thenRejected(code, options = {}) {
      const rejection =
        result.kind === 'decided' && result.decision.kind === 'rejection' ? result.decision : undefined;
      if (rejection?.code !== code) fail(`${name}: expected a rejection ${code}, but ${told(result)}`);
      if (options.as !== undefined && rejection.as !== options.as)
        fail(`${name}: expected ${code} as ${options.as}, and it came as ${rejection.as}`);
    },
    thenInvalid(...paths) {
      if (result.kind !== 'invalid') fail(`${name}: expected the payload to be refused, but ${told(result)}`);
      const found = result.faults.map((fault) => fault.path);
      const missing = paths.filter((path) => !found.includes(path));
      if (missing.length > 0) fail(`${name}: expected a fault at ${missing.join(', ')}, but ${told(result)}`);
    },
    thenState: (state) =>
      expectSame(`${name}: another state than expected`, accepted('a state').after.state, state),
    thenTags: (tags) =>
      expectSame(
        `${name}: other tags than expected`,
        tagsChecked(scene.aggregate, accepted('tags').after),
        tags,
      ),
  };
  return self;
}

/**
 * Begins a test of an aggregate: `given(Order, [{ type: 'OrderPlaced', data }]).when('pay', {…}).then([…])`. State,
 * input and event data are frozen, the clock is taken away, every state is checked by its schema.
 * @param options.streamId `stream-1` unless told otherwise
 * @throws AssertionError when the given events do not fit their schemas or cannot be folded
 */
export function given<S, E extends EventSources, C extends CommandSchemas, T extends Tags, X>(
  aggregate: Aggregate<string, S, E, C, T, X>,
  events: readonly GivenEvent<E>[],
  options: { readonly streamId?: string } = {},
): Given<S, E, C, X> {
  const streamId = options.streamId ?? 'stream-1';
  const stand = evolveAll(aggregate, initialStand(aggregate), streamId, events as readonly Happening[]);
  const scene: Scene = { aggregate, streamId, stand };
  return {
    when: (command, payload, ...[extra]) =>
      outcome<S, E>(scene, command, decideChecked(scene, command, payload, extra?.context)),
    thenState: (state) => expectSame(`${aggregate.name}: another state than expected`, stand.state, state),
    thenTags: (tags) =>
      expectSame(`${aggregate.name}: other tags than expected`, tagsChecked(aggregate, stand), tags),
  };
}
