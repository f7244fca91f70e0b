/** Events: their schemas and versions, and the envelope in which they are stored and folded. */
import type { z } from 'zod';
import { DefinitionError, DomainError } from './errors.js';
import { faultText } from './input.js';

export type Tags = Readonly<Record<string, string>>;

export interface EventMetadata {
  readonly correlationId: string;
  readonly causationId: string;
  readonly actor: string;
  /** W3C trace context. */
  readonly traceparent?: string;
}

/** An event as it is stored. `data` is of `schemaVersion`, which may be older than the code’s. */
export interface StoredEvent {
  readonly eventId: string;
  readonly category: string;
  readonly shard: number;
  readonly seq: number;
  readonly streamId: string;
  /** Version of the stream after this event; the first is 1. */
  readonly version: number;
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: unknown;
  readonly tags: Tags;
  readonly metadata: EventMetadata;
  /** ISO 8601 UTC with milliseconds. */
  readonly recordedAt: string;
}

/** Turns the data of one schema version into that of the next; pure. */
export type Upcaster = (data: never) => unknown;

/** One event type: the schema of its newest version, and the way there from each older one. */
export interface EventSpec<S extends z.ZodType = z.ZodType> {
  readonly kind: 'event';
  readonly schema: S;
  /** 1 + the number of upcasters. */
  readonly version: number;
  readonly upcasters: readonly Upcaster[];
}

/** From version 1’s data on; the last one must give what the schema takes. */
type UpcasterChain<S extends z.ZodType> = readonly [
  ...earlier: Upcaster[],
  last: (data: never) => z.input<NoInfer<S>>,
];

/**
 * An event type whose schema has changed: `upcasters[0]` makes version 2 of version 1’s data, and so on, up to what
 * `schema` describes. An event that never changed is written as its bare schema.
 * @throws DefinitionError when an upcaster is no function
 */
export function event<S extends z.ZodType>(
  schema: S,
  options: { readonly upcasters?: UpcasterChain<S> | readonly [] } = {},
): EventSpec<S> {
  const upcasters: readonly Upcaster[] = Object.freeze([...(options.upcasters ?? [])]);
  if (upcasters.some((one) => typeof one !== 'function'))
    throw new DefinitionError('event: expected upcasters to be functions');
  return Object.freeze({ kind: 'event', schema, version: upcasters.length + 1, upcasters });
}

export type EventSource = z.ZodType | EventSpec;
export type SchemaOf<E extends EventSource> =
  E extends EventSpec<infer S> ? S : E extends z.ZodType ? E : never;

const isEventSpec = (source: EventSource): source is EventSpec => 'kind' in source && source.kind === 'event';

export function toSpec(where: string, source: EventSource): EventSpec {
  if (typeof source !== 'object' || source === null || !('safeParse' in source || 'kind' in source))
    throw new DefinitionError(`${where}: expected a zod schema or event(…)`);
  return isEventSpec(source) ? source : event(source);
}

const nameEvent = (stored: StoredEvent): string =>
  `event ${stored.category}.${stored.type} v${stored.schemaVersion} (stream ${JSON.stringify(stored.streamId)} version ${stored.version}, shard ${stored.shard} seq ${stored.seq})`;

/**
 * The data of a stored event in the newest schema version.
 * @throws DomainError `needs_newer_code` when the type or version is unknown here, `event_unreadable` when an upcaster
 *   throws or gives what the schema refuses
 */
export function readData(spec: EventSpec | undefined, stored: StoredEvent): unknown {
  if (spec === undefined || stored.schemaVersion > spec.version) {
    const knows = spec === undefined ? 'does not know its type' : `knows it up to v${spec.version}`;
    throw new DomainError('needs_newer_code', `${nameEvent(stored)} is newer than this code, which ${knows}`);
  }
  if (!(stored.schemaVersion >= 1))
    throw new DomainError('event_unreadable', `${nameEvent(stored)}: schema versions begin at 1`);
  if (stored.schemaVersion === spec.version) return stored.data;
  let data: unknown = stored.data;
  try {
    for (const upcast of spec.upcasters.slice(stored.schemaVersion - 1)) data = upcast(data as never);
  } catch (cause) {
    throw new DomainError('event_unreadable', `${nameEvent(stored)}: its upcaster threw`, { cause });
  }
  const parsed = spec.schema.safeParse(data);
  if (!parsed.success) {
    throw new DomainError(
      'event_unreadable',
      `${nameEvent(stored)}: its upcaster gave what the schema refuses: ${faultText(parsed.error)}`,
    );
  }
  return parsed.data;
}
