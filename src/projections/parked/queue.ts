/** The events that wait behind one parked key, page by page. */
import type { StoredEvent } from '../../domain/events.js';
import type { AnyProjection } from '../../domain/projection.js';
import { storedEvent, type EventRow } from '../../event-store/reads.js';
import { TidemarkError } from '../../platform/errors.js';
import type { CellName } from '../parts/cells.js';
import type { Writer } from '../write.js';
import { selectWaiting } from './statements.js';

/** Data of a page at the most, in bytes; a larger event comes alone. */
const PAGE_BYTES = 4 * 1024 * 1024;

export interface WaitingEvent {
  /** Its place in the queue. */
  readonly n: number;
  readonly event: StoredEvent;
}

export interface WaitingPage {
  /** All events that wait. */
  readonly queued: number;
  /** The event at fault; once it is in, the first that waits is another, which nobody has tried. */
  readonly atFault: { readonly category: string; readonly shard: number; readonly seq: number };
  readonly events: readonly WaitingEvent[];
}

type Columns = readonly [
  queued: number,
  category: string,
  shard: number,
  seq: number,
  n: number | null,
  source: string,
  ...event: EventRow,
];

/**
 * The first events that wait; undefined when the key is not parked.
 * @throws TidemarkError `internal_error` when an event is not in the event store any more; as `Queryable.query`
 */
export async function readWaiting(
  db: Writer,
  { name, version }: Pick<AnyProjection, 'name' | 'version'>,
  { part, key }: CellName,
  limit: number,
): Promise<WaitingPage | undefined> {
  const rows = await db.query<Columns>(selectWaiting(db), [name, version, part, key, limit, PAGE_BYTES]);
  const [first] = rows;
  if (!first) return undefined;
  const events: WaitingEvent[] = [];
  for (const [, , , , n, source, ...event] of rows) {
    if (n === null) break;
    if (event[0] === null)
      throw new TidemarkError('internal_error', `an event that waits behind ${JSON.stringify(key)} is gone`);
    events.push({ n, event: storedEvent(source, event) });
  }
  const [queued, category, shard, seq] = first;
  return { queued, atFault: { category, shard, seq }, events };
}
