/** Folds batches of events into rows, in memory. An event counts as a whole or not at all, whatever rows it touches. */
import { foldRow, keysOf, sourceOf, toRecorded } from '../domain/folding.js';
import { DomainError } from '../domain/errors.js';
import type { StoredEvent } from '../domain/events.js';
import type { AnyProjection, ProjectionSource, RecordedEvent, RowValue } from '../domain/projection.js';
import { TidemarkError } from '../platform/errors.js';
import { rowToJson } from './columns.js';
import { rowFault } from './limits.js';
import type { KnownRow } from './rows.js';

/** Events folded before others get a turn of the event loop. */
const EVENTS_A_TURN = 250;

/** Why the events of a batch are only in up to, not including, one of them. */
export interface Stop {
  readonly kind: 'poison' | 'needs_newer_code';
  /** Index of that event in its batch. */
  readonly at: number;
  readonly event: StoredEvent;
  readonly error: unknown;
}

export interface Decoded {
  readonly source: ProjectionSource;
  readonly entries: readonly StoredEvent[];
  /** Up to where it stopped. */
  readonly events: readonly { readonly event: RecordedEvent; readonly keys: readonly string[] }[];
  readonly stop: Stop | undefined;
}

/** A row that a batch touches. */
export interface Touched {
  readonly before: KnownRow;
  row: RowValue | null;
}

const stopAt = (entries: readonly StoredEvent[], at: number, error: unknown): Stop | undefined => {
  const event = entries[at];
  const newer = error instanceof DomainError && error.code === 'needs_newer_code';
  return event && { kind: newer ? 'needs_newer_code' : 'poison', at, event, error };
};

/** The events as folds see them, and the keys they touch, up to the first that cannot be read. */
export function decode(
  projection: AnyProjection,
  category: string,
  entries: readonly StoredEvent[],
): Decoded {
  const source = sourceOf(projection, category);
  if (!source) throw new TidemarkError('internal_error', `${projection.name} does not follow ${category}`);
  const events: { event: RecordedEvent; keys: readonly string[] }[] = [];
  for (const [at, stored] of entries.entries()) {
    try {
      const event = toRecorded(source, stored);
      events.push({ event, keys: keysOf(source, event) });
    } catch (error) {
      return { source, entries, events, stop: stopAt(entries, at, error) };
    }
  }
  return { source, entries, events, stop: undefined };
}

/** One event on all its rows. */
function foldOne(
  projection: AnyProjection,
  source: ProjectionSource,
  { event, keys }: Decoded['events'][number],
  touched: ReadonlyMap<string, Touched>,
  strict: boolean,
): (RowValue | null)[] {
  return keys.map((key) => {
    const row = foldRow(projection, source, key, touched.get(key)?.row ?? null, event);
    const fault = strict && row !== null ? rowFault(projection, row, rowToJson(projection, row)) : undefined;
    if (fault !== undefined) throw new DomainError('invalid_row', `row ${JSON.stringify(key)}: ${fault}`);
    return row;
  });
}

/**
 * Folds the batches one after the other.
 * @param rows the rows of all keys, as they are before
 * @param strict checks every row after every event, not only what the schema sees; to find the event at fault
 * @returns the touched rows, and where each batch stopped
 */
export async function fold(
  projection: AnyProjection,
  batches: readonly Decoded[],
  rows: ReadonlyMap<string, KnownRow>,
  strict: boolean,
): Promise<{ touched: Map<string, Touched>; stops: (Stop | undefined)[] }> {
  const touched = new Map<string, Touched>();
  const stops = batches.map(({ stop }) => stop);
  let done = 0;
  for (const [index, batch] of batches.entries()) {
    for (const [at, event] of batch.events.entries()) {
      if (++done % EVENTS_A_TURN === 0) await new Promise(setImmediate);
      for (const key of event.keys) {
        const before = rows.get(key);
        // A copy: a fold that writes into its row must not change what the row was, which its channels are told by.
        if (before && !touched.has(key)) touched.set(key, { before, row: before.row && { ...before.row } });
      }
      try {
        const next = foldOne(projection, batch.source, event, touched, strict);
        for (const [n, key] of event.keys.entries()) {
          const entry = touched.get(key);
          if (entry) entry.row = next[n] ?? null;
        }
      } catch (error) {
        stops[index] = stopAt(batch.entries, at, error);
        break;
      }
    }
  }
  return { touched, stops };
}
