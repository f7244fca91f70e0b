/** Runs an aggregate’s handlers by name, and checks what they answer with. */
import type { AnyAggregate, PastEvent } from './aggregate.js';
import { reject, type Decision, type EmittedEvent, type Rejection } from './decisions.js';
import { DefinitionError, DomainError } from './errors.js';
import { readData, type EventSpec, type Tags } from './events.js';
import { deepFreeze } from './freeze.js';
import { faultText } from './input.js';
import { textFaults } from './texts.js';

export type ErasedFunctions = Readonly<Record<string, ((...args: unknown[]) => unknown) | undefined>>;

/** Without a prototype, a look-up by a name from outside finds what was defined and nothing else. */
export const lookup = <V>(entries: Readonly<Record<string, V>>): Readonly<Record<string, V>> =>
  Object.freeze(Object.assign(Object.create(null) as Record<string, V>, entries));

/** Handlers are typed where they are written; inside they are called by name. */
const erase = (handlers: object): ErasedFunctions => lookup(handlers as ErasedFunctions);

/** @throws DefinitionError when a handler is missing (where `every`), is no function, or belongs to nothing */
export function checkedHandlers(
  where: string,
  expected: readonly string[],
  handlers: object,
  every: 'every' | 'some',
): ErasedFunctions {
  const given = erase(handlers);
  const extra = Object.keys(given).filter((name) => !expected.includes(name));
  if (extra.length > 0) {
    throw new DefinitionError(
      `${where}: handler for unknown ${extra.join(', ')}; known are ${expected.join(', ')}`,
    );
  }
  const due = every === 'every' ? expected : Object.keys(given);
  const missing = due.filter((name) => typeof given[name] !== 'function');
  if (missing.length > 0) throw new DefinitionError(`${where}: no handler for ${missing.join(', ')}`);
  return given;
}

function call(handlers: ErasedFunctions, where: string, name: string, ...args: unknown[]): unknown {
  const handler = handlers[name];
  if (!handler)
    throw new DomainError('needs_newer_code', `${where}: there is no handler for ${JSON.stringify(name)}`);
  return handler(...args);
}

function checkedEmit(
  name: string,
  events: Readonly<Record<string, EventSpec>>,
  emitted: EmittedEvent,
): EmittedEvent {
  const where = `aggregate ${name} emits ${JSON.stringify(emitted.type)}`;
  const spec = events[emitted.type];
  if (!spec) throw new DomainError('invalid_emit', `${where}, which it does not define`);
  const parsed = spec.schema.safeParse(emitted.data);
  if (!parsed.success)
    throw new DomainError(
      'invalid_emit',
      `${where} with data that its schema refuses: ${faultText(parsed.error)}`,
    );
  if (parsed.data === undefined) throw new DomainError('invalid_emit', `${where} without data`);
  const [fault] = textFaults(parsed.data);
  if (fault) throw new DomainError('invalid_emit', `${where}: ${fault.path || '(root)'}: ${fault.message}`);
  return { kind: 'emitted', type: emitted.type, data: parsed.data };
}

const isOf = <K extends string>(result: unknown, kind: K): result is { readonly kind: K } =>
  typeof result === 'object' && result !== null && 'kind' in result && result.kind === kind;

function toDecision(name: string, events: Readonly<Record<string, EventSpec>>, result: unknown): Decision {
  if (isOf(result, 'rejection')) return result as Rejection;
  const list: unknown[] = Array.isArray(result) ? result : [result];
  const wrong = list.find((one) => !isOf(one, 'emitted'));
  if (wrong !== undefined || list.includes(undefined)) {
    const got =
      wrong instanceof Promise ? 'a promise' : Array.isArray(result) ? 'other things' : typeof wrong;
    throw new DomainError(
      'invalid_emit',
      `aggregate ${name}: decide must answer with emit(…), a list of them, or reject(…), and gave ${got}`,
    );
  }
  return { kind: 'accepted', events: list.map((one) => checkedEmit(name, events, one as EmittedEvent)) };
}

function checkedTags(name: string, tags: unknown): Tags {
  const entries = typeof tags === 'object' && tags !== null ? Object.entries(tags) : undefined;
  const wrong = entries?.find(([, value]) => typeof value !== 'string');
  const fault = textFaults(tags)[0];
  if (!entries || wrong || fault) {
    const why = wrong ? `${wrong[0]} is no text` : (fault?.message ?? 'they are no object');
    throw new DomainError(
      'invalid_emit',
      `aggregate ${name}: tags must be an object of well-formed texts: ${why}`,
    );
  }
  return tags as Tags;
}

export interface DeciderParts extends Pick<
  AnyAggregate,
  'name' | 'state' | 'initial' | 'events' | 'commands'
> {
  readonly tags: ((state: unknown) => unknown) | undefined;
  readonly evolve: ErasedFunctions;
  readonly context: ErasedFunctions;
  readonly decide: ErasedFunctions;
}

const emit = (type: string, data: unknown): EmittedEvent => ({ kind: 'emitted', type, data });

export function buildAggregate(parts: DeciderParts): AnyAggregate {
  const { name, state, initial, events, commands, tags, context } = parts;
  const evolve = (before: unknown, past: PastEvent): unknown =>
    call(parts.evolve, `${name}.evolve`, past.type, before, past);
  return Object.freeze<AnyAggregate>({
    kind: 'aggregate',
    name,
    state,
    initial,
    events,
    commands,
    evolve,
    foldSource: Object.entries(parts.evolve)
      .map(([type, handler]) => `${type}: ${String(handler)}`)
      .join('\n'),
    evolveStored(before, stored) {
      const data = readData(events[stored.type], stored);
      return evolve(before, { type: stored.type, data, streamId: stored.streamId, version: stored.version });
    },
    tagsOf: (after) => (tags ? checkedTags(name, tags(after)) : {}),
    decide(command, before, input, request) {
      // The state may be in a cache: a handler that wrote into it would change what the next command sees.
      deepFreeze(before);
      const tools = { emit, reject, streamId: request.streamId, context: request.context };
      return toDecision(name, events, call(parts.decide, `${name}.decide`, command, before, input, tools));
    },
    needsContext: (command) => context[command] !== undefined,
    resolveContext: async (command, request) => context[command]?.(request),
  });
}
