/** Events as folds see them, and the keys that they touch. */
import { DomainError } from '../domain/errors.js';
import type { StoredEvent } from '../domain/events.js';
import { keysOf, sourceOf, toRecorded } from '../domain/folding.js';
import { touchesPart } from '../domain/parts.js';
import type { AnyProjection, ProjectionSource, RecordedEvent } from '../domain/projection.js';
import { TidemarkError } from '../platform/errors.js';
import { partCell } from './parts/cells.js';

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
  /** Cells that it changes: keys of rows, and the part of its stream (parts/cells.ts). */
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
  const parts = touchesPart(source, stored.type) ? [partCell(stored.category, stored.streamId)] : [];
  let event: RecordedEvent;
  try {
    event = toRecorded(source, stored);
  } catch (error) {
    if (isNewer(error)) throw error;
    // Nobody folds it, so that nobody needs to read it.
    const folds = source.fold[stored.type] !== undefined && !source.moving;
    if (folds && source.keys) throw error;
    return { at, event: undefined, keys: folds ? [stored.streamId, ...parts] : parts, unreadable: error };
  }
  const keys = keysOf(source, event);
  return { at, event, keys: parts.length > 0 ? [...keys, ...parts] : keys };
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
