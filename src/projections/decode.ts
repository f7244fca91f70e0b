/** Events as folds see them, and the keys that they touch. */
import { DomainError } from '../domain/errors.js';
import type { StoredEvent } from '../domain/events.js';
import { keysOf, sourceOf, toRecorded } from '../domain/folding.js';
import type { AnyProjection, ProjectionSource, RecordedEvent } from '../domain/projection.js';
import { TidemarkError } from '../platform/errors.js';

/** Why the events of a batch are only in up to, not including, one of them. */
export interface Stop {
  readonly kind: 'poison' | 'needs_newer_code';
  /** Index of that event in its batch. */
  readonly at: number;
  readonly event: StoredEvent;
  readonly error: unknown;
}

export interface DecodedEvent {
  /** Its index in the batch. */
  readonly at: number;
  /** Undefined: it cannot be read, though its key is known. */
  readonly event: RecordedEvent | undefined;
  readonly keys: readonly string[];
  /** Why it cannot be read. */
  readonly unreadable?: unknown;
}

export interface Decoded {
  readonly source: ProjectionSource;
  readonly entries: readonly StoredEvent[];
  /** Up to where it stopped. */
  readonly events: readonly DecodedEvent[];
  readonly stop: Stop | undefined;
}

const isNewer = (error: unknown): boolean =>
  error instanceof DomainError && error.code === 'needs_newer_code';

export function stopAt(entries: readonly StoredEvent[], at: number, error: unknown): Stop | undefined {
  const event = entries[at];
  return event && { kind: isNewer(error) ? 'needs_newer_code' : 'poison', at, event, error };
}

/** @throws DomainError `needs_newer_code`; whatever `keys` throws; `event_unreadable` where the key comes from the event */
function decodeOne(source: ProjectionSource, stored: StoredEvent, at: number): DecodedEvent {
  let event: RecordedEvent;
  try {
    event = toRecorded(source, stored);
  } catch (error) {
    if (isNewer(error)) throw error;
    // Nobody folds it, so that nobody needs to read it.
    if (source.fold[stored.type] === undefined) return { at, event: undefined, keys: [] };
    if (source.keys) throw error;
    return { at, event: undefined, keys: [stored.streamId], unreadable: error };
  }
  return { at, event, keys: keysOf(source, event) };
}

/** The events as folds see them, up to the first that is newer than the code or whose key cannot be told. */
export function decode(
  projection: AnyProjection,
  category: string,
  entries: readonly StoredEvent[],
): Decoded {
  const source = sourceOf(projection, category);
  if (!source) throw new TidemarkError('internal_error', `${projection.name} does not follow ${category}`);
  const events: DecodedEvent[] = [];
  for (const [at, stored] of entries.entries()) {
    try {
      events.push(decodeOne(source, stored, at));
    } catch (error) {
      return { source, entries, events, stop: stopAt(entries, at, error) };
    }
  }
  return { source, entries, events, stop: undefined };
}
