/** Events stream by stream, for whoever folds whole streams of a category without holding more than a page of them. */
import type { StoredEvent } from '../domain/events.js';
import type { Database } from '../platform/postgres/database.js';
import { selectOrderedEvents } from './ordered-statements.js';
import { EVENT_COLUMNS } from './statements.js';
import { storedEvent, type EventRow } from './reads.js';

const PAGE_EVENTS = 1_000;
/** Data of a page at the most, in bytes. */
const PAGE_BYTES = 4 * 1024 * 1024;

export interface StreamRange {
  /** Streams after this id, by code points. */
  readonly after: string;
  /** The last of them; no end when it is left out. */
  readonly upto?: string;
}

/** Pages of a range of streams, ordered by stream id (code points) and version. Each page is as of its own time. */
export async function* eventsByStream(
  db: Database,
  category: string,
  { after, upto }: StreamRange,
): AsyncGenerator<readonly StoredEvent[], void, undefined> {
  // Versions end long before this, so that nothing of `after` itself is read.
  yield* pages(db, category, after, Number.MAX_SAFE_INTEGER, upto);
}

/** Pages of some streams, one stream after the other, each from its first event. */
export async function* eventsOfStreams(
  db: Database,
  category: string,
  streamIds: Iterable<string>,
): AsyncGenerator<readonly StoredEvent[], void, undefined> {
  for (const streamId of streamIds) yield* pages(db, category, streamId, 0, streamId);
}

async function* pages(
  db: Database,
  category: string,
  afterStream: string,
  afterVersion: number,
  upto: string | undefined,
): AsyncGenerator<readonly StoredEvent[], void, undefined> {
  let [stream, version] = [afterStream, afterVersion];
  const text = selectOrderedEvents(db, EVENT_COLUMNS);
  for (;;) {
    const values = [category, stream, version, upto ?? null, PAGE_EVENTS, PAGE_BYTES];
    const page = (await db.query<EventRow>(text, values)).map((row) => storedEvent(category, row));
    const last = page.at(-1);
    if (!last) return;
    yield page;
    [stream, version] = [last.streamId, last.version];
  }
}
