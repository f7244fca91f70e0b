/** Reading events: a stream forwards and backwards, a shard after a seq. Array rows; json stays text until its one parse. */
import type { StoredEvent } from '../domain/events.js';
import { TidemarkError } from '../platform/errors.js';
import { isoFromPostgres, type Database } from '../platform/postgres/database.js';
import type { EventStoreStatements } from './statements.js';
import { metadataFrom, tagsFrom } from './stored-json.js';
import type { LogPage, StreamReadOptions } from './types.js';

export type EventRow = readonly [
  eventId: string,
  seq: number,
  shard: number,
  streamId: string,
  version: number,
  type: string,
  schemaVersion: number,
  data: string,
  tags: string,
  metadata: string,
  recordedAt: string,
];

export function storedEvent(category: string, row: EventRow): StoredEvent {
  const [eventId, seq, shard, streamId, version, type, schemaVersion, data, tags, metadata, recordedAt] = row;
  return {
    eventId,
    category,
    shard,
    seq,
    streamId,
    version,
    type,
    schemaVersion,
    data: JSON.parse(data),
    tags: tagsFrom(tags),
    metadata: metadataFrom(metadata),
    recordedAt,
  };
}

export async function readStream(
  db: Database,
  statements: EventStoreStatements,
  options: StreamReadOptions,
): Promise<StoredEvent[]> {
  const { category, streamId, limit, direction = 'forwards' } = options;
  const forwards = direction === 'forwards';
  const from = options.from ?? (forwards ? 1 : Number.MAX_SAFE_INTEGER);
  const { text } = forwards ? statements.readForwards : statements.readBackwards;
  const rows = await db.query<EventRow>(text, [category, streamId, from, limit]);
  return rows.map((row) => storedEvent(category, row));
}

const SEPARATOR = '\u001f';

/** The columns of `readShardBounded`. Data stands apart, as it may be large: parts that somebody keeps keep their whole text. */
type TextRow = readonly [streamId: string, data: string, rest: string];

function eventFromText(category: string, shard: number, [streamId, data, rest]: TextRow): StoredEvent {
  const [seq, eventId = '', version, type = '', schemaVersion, recordedAt = '', tags = '', metadata = ''] =
    rest.split(SEPARATOR);
  return {
    eventId,
    category,
    shard,
    seq: Number(seq),
    streamId,
    version: Number(version),
    type,
    schemaVersion: Number(schemaVersion),
    data: JSON.parse(data),
    tags: tagsFrom(tags),
    metadata: metadataFrom(metadata),
    recordedAt: isoFromPostgres(recordedAt),
  };
}

/** Pages up to this long are read without a look at their size. */
const SHORT_PAGE = 16;
/** Data of a longer page at the most, in bytes. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** NULLs beside the low-water mark where there is no event. */
type Found<Columns extends readonly unknown[]> =
  readonly [low: number, ...Columns] | readonly [low: number, ...null[]];

/**
 * A page may be shorter than `limit` though there is more, when its events are large.
 * @throws TidemarkError `internal_error` when the log has no such shard, or, which must never be, a hole
 */
export async function readShard(
  db: Database,
  statements: EventStoreStatements,
  category: string,
  shard: number,
  after: number,
  limit: number,
): Promise<LogPage<StoredEvent>> {
  const place = { category, shard, after };
  const values = [category, shard, after, limit];
  if (limit <= SHORT_PAGE) {
    const rows = await db.query<Found<EventRow>>(statements.readShard.text, values);
    return pageOf<EventRow>(place, rows, (row) => storedEvent(category, row));
  }
  const rows = await db.query<Found<TextRow>>(statements.readShardBounded.text, [...values, PAGE_BYTES]);
  return pageOf<TextRow>(place, rows, (row) => eventFromText(category, shard, row));
}

function pageOf<Columns extends readonly unknown[]>(
  { category, shard, after }: { readonly category: string; readonly shard: number; readonly after: number },
  rows: readonly Found<Columns>[],
  eventOf: (row: Columns) => StoredEvent,
): LogPage<StoredEvent> {
  const [first] = rows;
  if (first === undefined)
    throw new TidemarkError('internal_error', `log "${category}" has no shard ${shard}`);
  const [low] = first;
  if (after < low) return { kind: 'trimmed', low };
  const entries: StoredEvent[] = [];
  for (const [, ...row] of rows) {
    if (!hasEvent<Columns>(row)) break;
    const entry = eventOf(row);
    const due = after + entries.length + 1;
    if (entry.seq !== due)
      throw new TidemarkError(
        'internal_error',
        `log "${category}" shard ${shard}: read seq ${entry.seq} where ${due} is due`,
      );
    entries.push(entry);
  }
  return { kind: 'entries', entries };
}

const hasEvent = <Columns extends readonly unknown[]>(row: readonly unknown[]): row is Columns =>
  row[0] !== null;
