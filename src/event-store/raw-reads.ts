/** Reading a shard for those who pass events on without a look into them: JSON stays the text that Postgres holds. */
import type { EventMetadata, StoredEvent } from '../domain/events.js';
import { TidemarkError } from '../platform/errors.js';
import { isoFromPostgres, type Database } from '../platform/postgres/database.js';
import { selectRawPage } from './raw-statements.js';
import { metadataFrom, tagsFrom } from './stored-json.js';
import type { LogPage } from './types.js';

/** An event whose JSON is text. */
export interface RawEvent {
  readonly kind: 'event';
  readonly category: string;
  readonly shard: number;
  readonly seq: number;
  readonly epoch: string;
  readonly eventId: string;
  readonly streamId: string;
  readonly version: number;
  readonly type: string;
  readonly schemaVersion: number;
  /** JSON. */
  readonly data: string;
  /** JSON of an object of strings. */
  readonly tags: string;
  readonly metadata: EventMetadata;
  /** ISO 8601 UTC with milliseconds. */
  readonly recordedAt: string;
}

export interface FollowingEvent extends RawEvent {
  /** Id of the event before it in the shard; null where it is the first, or that was trimmed. */
  readonly follows: string | null;
}

/** The same with its JSON parsed. */
export const storedFrom = ({ kind: _kind, epoch: _epoch, data, tags, ...rest }: RawEvent): StoredEvent => ({
  ...rest,
  data: JSON.parse(data),
  tags: tagsFrom(tags),
});

type RawRow = readonly [
  low: number,
  epoch: string,
  before: string | null,
  streamId: string | null,
  data: string,
  rest: string,
];

const SEPARATOR = '\u001f';
/** Pages up to this long are read without a look at their size. */
const SHORT_PAGE = 16;
/** Data of a longer page at the most, in bytes. */
const PAGE_BYTES = 2 * 1024 * 1024;

/**
 * A page may be shorter than `limit` though there is more, when its events are large.
 * @throws TidemarkError `internal_error` when the log has no such shard, or, which must never be, a hole
 */
export async function readRawShard(
  db: Database,
  category: string,
  shard: number,
  after: number,
  limit: number,
): Promise<LogPage<FollowingEvent>> {
  const bounded = limit > SHORT_PAGE;
  const values = [category, shard, after, limit, ...(bounded ? [PAGE_BYTES] : [])];
  const rows = await db.query<RawRow>(selectRawPage(db, bounded), values);
  const [first] = rows;
  if (first === undefined)
    throw new TidemarkError('internal_error', `log "${category}" has no shard ${shard}`);
  const [low, epoch, before] = first;
  if (after < low) return { kind: 'trimmed', low };
  const entries: FollowingEvent[] = [];
  let follows = before;
  for (const [, , , streamId, data, rest] of rows) {
    if (streamId === null) break;
    const [seq, eventId = '', version, type = '', schemaVersion, recordedAt = '', tags = '', metadata = ''] =
      rest.split(SEPARATOR);
    if (Number(seq) !== after + entries.length + 1)
      throw new TidemarkError(
        'internal_error',
        `log "${category}" shard ${shard}: read seq ${seq} where ${after + entries.length + 1} is due`,
      );
    entries.push({
      kind: 'event',
      category,
      shard,
      seq: Number(seq),
      epoch,
      eventId,
      streamId,
      version: Number(version),
      type,
      schemaVersion: Number(schemaVersion),
      data,
      tags,
      metadata: metadataFrom(metadata),
      recordedAt: isoFromPostgres(recordedAt),
      follows,
    });
    follows = eventId;
  }
  return { kind: 'entries', entries };
}
