/** Reads a change log, shard by shard, without a hole. */
import type { LogPage } from '../event-store/types.js';
import { TidemarkError } from '../platform/errors.js';
import type { Database } from '../platform/postgres/database.js';
import { changeTable } from './names.js';
import { selectBoundedChanges, selectChanges } from './statements.js';
import type { ChangeEntry, ChannelValue } from './types.js';

/** Pages up to this long are read without a look at their size. */
const SHORT_PAGE = 16;
/** JSON text of the rows of a longer page at the most; a larger row comes alone. */
const PAGE_BYTES = 4 * 1024 * 1024;

type ChangeColumns = readonly [
  low: number,
  epoch: string,
  seq: number | null,
  key: string,
  before: string | null,
  row: string | null,
  recordedAt: string,
];

/**
 * The entries of one shard after a seq, in order and without a hole; none when there is nothing newer yet. A page may be
 * shorter than `limit` though more is there, when its rows are large.
 * @param log a change log's name, as `changeLogName` gives it
 * @returns `trimmed` when the entry after `after` is below the low-water mark
 * @throws TidemarkError `unknown_log` when there is no such change log
 */
export async function readChanges(
  db: Database,
  log: string,
  shard: number,
  after: number,
  limit: number,
): Promise<LogPage<ChangeEntry>> {
  const table = changeTable(log);
  if (table === undefined) throw new TidemarkError('unknown_log', `not a change log: ${JSON.stringify(log)}`);
  const bounded = limit > SHORT_PAGE;
  const text = (bounded ? selectBoundedChanges : selectChanges)(db, table);
  const values = [log, shard, after, limit, ...(bounded ? [PAGE_BYTES] : [])];
  const rows = await db.query<ChangeColumns>(text, values);
  const first = rows[0];
  if (!first) throw new TidemarkError('unknown_log', `change log ${log} has no shard ${shard}`);
  if (first[0] > after) return { kind: 'trimmed', low: first[0] };
  const entries: ChangeEntry[] = [];
  for (const [, epoch, seq, key, before, row, recordedAt] of rows) {
    if (seq === null) break;
    entries.push({ log, shard, epoch, seq, key, before: channelsFrom(before), row, recordedAt });
  }
  return { kind: 'entries', entries };
}

const channelsFrom = (text: string | null): Readonly<Record<string, ChannelValue>> | null =>
  text === null ? null : JSON.parse(text);
