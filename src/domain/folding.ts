/** Runs a projection’s folds, and checks what they answer with. */
import { DomainError } from './errors.js';
import { readData, type StoredEvent } from './events.js';
import { idFault } from './identifiers.js';
import { faultText } from './input.js';
import type { AnyProjection, ProjectionSource, RecordedEvent, RowValue } from './projection.js';

/** The source of a projection that a stored event belongs to. */
export const sourceOf = (projection: AnyProjection, category: string): ProjectionSource | undefined =>
  projection.sources.find((source) => source.aggregate.name === category);

/**
 * A stored event as folds see it.
 * @throws DomainError `needs_newer_code`, `event_unreadable`
 */
export function toRecorded(source: ProjectionSource, stored: StoredEvent): RecordedEvent {
  const data = readData(source.aggregate.events[stored.type], stored);
  const { type, tags, metadata, streamId, version, eventId, recordedAt } = stored;
  return { type, data, tags, metadata, streamId, version, eventId, recordedAt };
}

/** Rows that one event may touch by `keys`: they are folded and written together. */
const MAX_KEYS = 10_000;

/**
 * The keys of the rows that an event touches, each once; none when no fold handles its type, or where rows move (a part
 * tells where its row stands: parts.ts).
 * @throws DomainError `invalid_row` when `keys` gives too many, or what cannot be a row key, or whatever it throws
 */
export function keysOf(source: ProjectionSource, event: RecordedEvent): readonly string[] {
  if (source.moving || source.fold[event.type] === undefined) return [];
  if (!source.keys) return [event.streamId];
  const given: unknown = source.keys(event);
  const keys: unknown[] = Array.isArray(given) ? [...new Set(given)] : [given];
  if (keys.length > MAX_KEYS)
    throw new DomainError(
      'invalid_row',
      `keys of ${event.type} (stream ${JSON.stringify(event.streamId)} version ${event.version}): ${keys.length} rows; expected at most ${MAX_KEYS}, and a join where more of them show what one stream says`,
    );
  for (const key of keys) {
    const fault = typeof key === 'string' ? idFault(key) : `expected a text, got ${typeof key}`;
    if (fault !== undefined)
      throw new DomainError(
        'invalid_row',
        `keys of ${event.type} (stream ${JSON.stringify(event.streamId)} version ${event.version}): ${fault}`,
      );
  }
  return keys as string[];
}

const kindOfNext = (next: unknown): string =>
  Array.isArray(next) ? 'an array' : next instanceof Promise ? 'a promise' : typeof next;

/**
 * The row after an event, the key column set; null where there is none. Checked against the row schema. Where there are
 * joins, neither `row` nor what is returned has their columns (`ownRow`, `joinRow` of parts.ts). Whoever needs
 * something of `row` as it was takes it before: freezing the row for every fold cost a fifth of its speed, so that a
 * fold that writes into it is found by the test kit.
 * @throws DomainError `invalid_row` when the fold gives what the schema refuses (also extra columns), or whatever the fold throws
 */
export function foldRow(
  projection: AnyProjection,
  source: ProjectionSource,
  key: string,
  row: RowValue | null,
  event: RecordedEvent,
): RowValue | null {
  const fold = source.fold[event.type];
  if (!fold) return row;
  const next = fold(row, event, key);
  if (next === null) return null;
  const where = `projection ${projection.name}, fold of ${event.type} (row ${JSON.stringify(key)})`;
  if (typeof next !== 'object' || Array.isArray(next) || next instanceof Promise)
    throw new DomainError('invalid_row', `${where}: expected a row or null, got ${kindOfNext(next)}`);
  const parsed = projection.own.safeParse({ ...next, [projection.key]: key });
  if (!parsed.success)
    throw new DomainError(
      'invalid_row',
      `${where}: the row does not fit its schema: ${faultText(parsed.error)}`,
    );
  return parsed.data as RowValue;
}
