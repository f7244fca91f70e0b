/**
 * Consumers: records of other systems’ topics, turned into commands. A handler is pure, as a fold is: what a record asks
 * for follows from the record alone, so that one that comes twice asks for the same.
 */
import type { z } from 'zod';
import type { Aggregate, AnyAggregate, CommandSchemas, EventSources } from './aggregate.js';
import { DefinitionError, DomainError } from './errors.js';
import type { Tags } from './events.js';
import { jsonSchemaOf } from './fields.js';
import { deepFreeze } from './freeze.js';
import { checkName } from './identifiers.js';
import { parseForeign, type InputFault } from './input.js';

/** A command that a handler asks for; `command(…)` makes one. */
export interface SentCommand<N extends string = string> {
  readonly kind: 'command';
  readonly aggregate: N;
  readonly streamId: string;
  readonly command: string;
  /** JSON; checked by the command’s schema once it is its turn. */
  readonly payload: unknown;
}

/** A record as a handler sees it. What CloudEvents attributes it has stand beside its data. */
export interface ConsumedRecord<Data = unknown> {
  /** The value, checked by the consumer’s schema. */
  readonly data: Data;
  /** The CloudEvents id; of a record that is no CloudEvent `<topic>/<partition>/<offset>`. */
  readonly id: string;
  readonly source?: string | undefined;
  readonly type?: string | undefined;
  readonly subject?: string | undefined;
  /** As it stands in the record: RFC 3339, unchecked. */
  readonly time?: string | undefined;
  /** The record’s key as UTF-8; null where it has none. */
  readonly key: string | null;
  /** The record’s headers as UTF-8, names in lower case; of a header that stands there twice the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** What becomes of a record. */
export type Intake =
  | { readonly kind: 'commands'; readonly commands: readonly SentCommand[] }
  /** Its CloudEvents type is none of those that the consumer takes. */
  | { readonly kind: 'passed_over' }
  | { readonly kind: 'refused'; readonly faults: readonly InputFault[] };

/** A consumer with its types erased: what the framework runs. */
export interface AnyConsumer {
  readonly kind: 'consumer';
  readonly name: string;
  readonly topic: string;
  /** CloudEvents types that it takes; undefined: all records. */
  readonly types: readonly string[] | undefined;
  /** Aggregates that it sends commands to. */
  readonly sends: readonly AnyAggregate[];
  /** Times that a record is tried where the application’s own code fails, or what it needs does not come. */
  readonly attempts: number;
  /** @throws DomainError `invalid_command`; whatever the handler throws */
  take(record: ConsumedRecord): Intake;
}

interface ConsumeOptions<D extends z.ZodType, S extends readonly AnyAggregate[]> {
  /** The topic, as it is named in Kafka; it is another system’s and never made. */
  readonly topic: string;
  /** CloudEvents types to take; records of another type, or of none, are passed over. Left out: every record is taken. */
  readonly type?: string | readonly string[];
  /** Schema of the value. Fields that it does not know are left out: the other team may add some any day. */
  readonly schema: D;
  /** The aggregates that the handler sends commands to. */
  readonly sends: S;
  /**
   * Times that a record is tried where `decide`, `evolve` or `.context` fail, 1–1,000, before it goes to the dead letters;
   * 10 by default, which takes about half a minute. A database that is away is waited for however long it takes.
   */
  readonly attempts?: number;
}

const DEFAULT_ATTEMPTS = 10;
const MAX_ATTEMPTS = 1_000;
/** What Kafka takes as the name of a topic. */
const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/;

function checkedTopic(where: string, topic: string): string {
  if (typeof topic !== 'string' || !TOPIC.test(topic) || topic === '.' || topic === '..')
    throw new DefinitionError(`${where}: topic ${JSON.stringify(topic)}: expected ${TOPIC.source}`);
  return topic;
}

function checkedTypes(where: string, given: string | readonly string[] | undefined) {
  if (given === undefined) return undefined;
  const types = typeof given === 'string' ? [given] : [...given];
  if (types.length === 0 || types.some((type) => typeof type !== 'string' || type.trim() === ''))
    throw new DefinitionError(`${where}: type: expected a CloudEvents type, or a list of them`);
  return Object.freeze(types);
}

function checkedSends(where: string, sends: readonly AnyAggregate[]): readonly AnyAggregate[] {
  if (!Array.isArray(sends) || sends.length === 0)
    throw new DefinitionError(`${where}: expected at least one aggregate in sends`);
  if (new Set(sends.map((one) => one?.name)).size < sends.length)
    throw new DefinitionError(`${where}: two aggregates of one name in sends`);
  return Object.freeze([...sends]);
}

function checkedAttempts(where: string, attempts = DEFAULT_ATTEMPTS): number {
  if (!Number.isInteger(attempts) || attempts < 1 || attempts > MAX_ATTEMPTS)
    throw new DefinitionError(
      `${where}: attempts ${String(attempts)}: expected a whole number from 1 to ${MAX_ATTEMPTS}`,
    );
  return attempts;
}

const isCommand = (value: unknown): value is SentCommand =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'command';

function checkedCommands(
  where: string,
  sends: readonly AnyAggregate[],
  answer: unknown,
): readonly SentCommand[] {
  const list: readonly unknown[] = Array.isArray(answer) ? answer : [answer];
  return list.map((one) => {
    if (!isCommand(one)) {
      const got = one instanceof Promise ? 'a promise' : typeof one;
      throw new DomainError(
        'invalid_command',
        `${where}: handle must answer with command(…) or a list of them, and gave ${got}`,
      );
    }
    const target = sends.find(({ name }) => name === one.aggregate);
    if (target && Object.hasOwn(target.commands, one.command)) return one;
    throw new DomainError(
      'invalid_command',
      target
        ? `${where}: ${one.aggregate} has no command ${JSON.stringify(one.command)}`
        : `${where}: a command for ${JSON.stringify(one.aggregate)}, which is not in sends`,
    );
  });
}

/**
 * A command for a handler to answer with: `command(Order, 'o-1', 'pay', { … })`.
 * @param payload as the command’s schema takes it; checked when the command runs
 */
export function command<
  N extends string,
  S,
  E extends EventSources,
  C extends CommandSchemas,
  T extends Tags,
  X,
  K extends keyof C & string,
>(target: Aggregate<N, S, E, C, T, X>, streamId: string, name: K, payload: z.input<C[K]>): SentCommand<N> {
  return Object.freeze({ kind: 'command', aggregate: target.name, streamId, command: name, payload });
}

/**
 * Defines a consumer: `consume(name, { topic, schema, sends }).handle((record) => command(…))`. Its name is also its
 * consumer group’s (`<app>.inbound.<name>`): renamed, it begins at the topic’s first record again.
 * @throws DefinitionError with what was expected
 */
export function consume<D extends z.ZodType, const S extends readonly AnyAggregate[]>(
  name: string,
  options: ConsumeOptions<D, S>,
): {
  handle(
    handler: (
      record: ConsumedRecord<z.output<D>>,
    ) => SentCommand<S[number]['name']> | readonly SentCommand<S[number]['name']>[],
  ): AnyConsumer;
} {
  checkName('consumer', name);
  const where = `consumer ${name}`;
  const topic = checkedTopic(where, options.topic);
  const types = checkedTypes(where, options.type);
  const sends = checkedSends(where, options.sends);
  const attempts = checkedAttempts(where, options.attempts);
  const { schema } = options;
  jsonSchemaOf(`${where}, schema`, schema, 'input');
  return {
    handle(handler) {
      if (typeof handler !== 'function')
        throw new DefinitionError(`${where}: expected handle to be given a function`);
      return Object.freeze<AnyConsumer>({
        kind: 'consumer',
        name,
        topic,
        types,
        sends,
        attempts,
        take(record) {
          if (types && (record.type === undefined || !types.includes(record.type)))
            return { kind: 'passed_over' };
          const parsed = parseForeign(schema, record.data);
          if (!parsed.ok) return { kind: 'refused', faults: parsed.faults };
          const answer = handler(deepFreeze({ ...record, data: parsed.value }));
          return { kind: 'commands', commands: checkedCommands(where, sends, answer) };
        },
      });
    },
  };
}
