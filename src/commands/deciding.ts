/** One pure decision, and the events it leads to as they are stored. */
import { newId } from '../platform/ids.js';
import type { AnyAggregate } from '../domain/aggregate.js';
import type { EmittedEvent } from '../domain/decisions.js';
import { DomainError } from '../domain/errors.js';
import type { EventMetadata, Tags } from '../domain/events.js';
import { deepFreeze } from '../domain/freeze.js';
import { MAX_JSON_BYTES } from '../domain/identifiers.js';
import type { CommandCall } from '../domain/rights.js';
import type { NewEvent } from '../event-store/types.js';
import { TidemarkError } from '../platform/errors.js';
import type { CachedState } from './aggregate-cache.js';
import { asFailure, rejected } from './failures.js';
import { findValueFault } from './json-data.js';
import type { CommandOptions } from './options.js';
import { forbidden, type Permit } from '../rights/guard.js';

const MAX_TAGS_BYTES = 16 * 1024;

/** A command whose payload was checked, with what its decision needs. */
export interface DecidableCommand {
  readonly aggregate: AnyAggregate;
  readonly streamId: string;
  readonly command: string;
  /** The payload as its schema gives it. */
  readonly input: unknown;
  /** Whether whoever asks may; undefined: the application itself asks. */
  readonly permit: Permit<CommandCall> | undefined;
  readonly metadata: EventMetadata;
}

export type Verdict =
  | {
      readonly kind: 'accepted';
      readonly events: readonly NewEvent[];
      /** The state after them. */
      readonly state: unknown;
      /** Characters of their data together. */
      readonly chars: number;
    }
  | { readonly kind: 'refused'; readonly error: TidemarkError };

type Limits = Pick<CommandOptions, 'maxEventsPerCommand' | 'maxBytesPerCommand'>;

export const refuse = (error: TidemarkError): Verdict => ({ kind: 'refused', error });

/** Why whoever asks may not, judged by a state; undefined where they may. What is refused learns nothing of the state. */
export function refusalOf(command: DecidableCommand, on: CachedState): TidemarkError | undefined {
  const { aggregate, permit, streamId, input } = command;
  if (!permit) return undefined;
  const what = `command ${aggregate.name}.${command.command}`;
  try {
    // As it may be in a cache.
    deepFreeze(on.state);
    return permit({ command: command.command, streamId, input, state: on.state })
      ? undefined
      : forbidden(what);
  } catch (thrown) {
    return asFailure(thrown, what);
  }
}

/** Decides on a state, which may be stale: whatever comes out is to be confirmed. Never throws. */
export function decideOn(
  command: DecidableCommand,
  on: CachedState,
  context: unknown,
  limits: Limits,
): Verdict {
  const { aggregate, streamId } = command;
  try {
    const decision = aggregate.decide(command.command, on.state, command.input, { streamId, context });
    if (decision.kind === 'rejection') return refuse(rejected(decision));
    if (decision.events.length > limits.maxEventsPerCommand) {
      throw tooLarge(
        `the command leads to ${decision.events.length} events, the limit is ${limits.maxEventsPerCommand}`,
      );
    }
    return writeDown(command, on, decision.events, limits);
  } catch (thrown) {
    return refuse(asFailure(thrown, `${aggregate.name}.${command.command}`));
  }
}

/** Events as they are stored; the state is folded of what is stored, so that a replay gives the same. */
function writeDown(
  command: DecidableCommand,
  on: CachedState,
  emitted: readonly EmittedEvent[],
  limits: Limits,
): Verdict {
  const { aggregate, streamId, metadata } = command;
  const events: NewEvent[] = [];
  let state = on.state;
  let chars = 0;
  let bytes = 0;
  for (const { type, data } of emitted) {
    const text = textOf(aggregate, type, data);
    chars += text.length;
    bytes += checkedBytes(type, text);
    if (bytes > limits.maxBytesPerCommand) {
      throw tooLarge(`the command’s events have more than ${limits.maxBytesPerCommand} bytes together`);
    }
    const version = on.version + events.length + 1;
    state = aggregate.evolve(state, { type, data: JSON.parse(text), streamId, version });
    events.push({
      eventId: newId(),
      type,
      schemaVersion: aggregate.events[type]?.version ?? 1,
      data: text,
      tags: boundedTags(type, aggregate.tagsOf(state)),
      metadata,
    });
  }
  return { kind: 'accepted', events, state, chars };
}

const tooLarge = (message: string): TidemarkError => new TidemarkError('event_too_large', message);

/** The schema has checked it, but a schema that takes anything takes what JSON does not carry. */
function textOf(aggregate: AnyAggregate, type: string, data: unknown): string {
  const broken = findValueFault(data);
  if (!broken) return JSON.stringify(data);
  throw new DomainError(
    'invalid_emit',
    `aggregate ${aggregate.name} emits ${type} with what JSON cannot carry at "${broken.path}": ${broken.message}`,
  );
}

function checkedBytes(type: string, text: string): number {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_JSON_BYTES) {
    throw tooLarge(`event ${type} would have ${bytes} bytes, the limit is ${MAX_JSON_BYTES}`);
  }
  return bytes;
}

function boundedTags(type: string, tags: Tags): Tags {
  const bytes = Buffer.byteLength(JSON.stringify(tags));
  if (bytes > MAX_TAGS_BYTES) {
    throw tooLarge(`tags of ${type} would have ${bytes} bytes, the limit is ${MAX_TAGS_BYTES}`);
  }
  return tags;
}
