/** Reads a change log, shard by shard, without a hole. */
import type { LogPage } from '../event-store/types.js';
import { TidemarkError } from '../platform/errors.js';
import type { Database } from '../platform/postgres/database.js';
import type { OutgoingChange } from '../broker/ports.js';
import { changeTable } from './names.js';
import { selectChanges, selectPlaces } from './statements.js';
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
  /** Where it was asked for. */
  timeBefore?: string | null,
];

/** The page, or the low-water mark where it is above. The first row may stand for none. @throws TidemarkError `unknown_log` */
async function readPage(
  db: Database,
  place: { readonly log: string; readonly shard: number; readonly after: number; readonly limit: number },
  chained: boolean,
): Promise<readonly ChangeColumns[] | number> {
  const { log, shard, after, limit } = place;
  const table = changeTable(log);
  if (table === undefined) throw new TidemarkError('unknown_log', `not a change log: ${JSON.stringify(log)}`);
  const bounded = limit > SHORT_PAGE;
  const values = [log, shard, after, limit, ...(bounded ? [PAGE_BYTES] : [])];
  const rows = await db.query<ChangeColumns>(selectChanges(db, table, { bounded, chained }), values);
  const first = rows[0];
  if (!first) throw new TidemarkError('unknown_log', `change log ${log} has no shard ${shard}`);
  return first[0] > after ? first[0] : rows;
}

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
  const rows = await readPage(db, { log, shard, after, limit }, false);
  if (typeof rows === 'number') return { kind: 'trimmed', low: rows };
  const entries: ChangeEntry[] = [];
  for (const [, epoch, seq, key, before, row, recordedAt] of rows) {
    if (seq === null) break;
    entries.push({ log, shard, epoch, seq, key, before: channelsFrom(before), row, recordedAt });
  }
  return { kind: 'entries', entries };
}

const channelsFrom = (text: string | null): Readonly<Record<string, ChannelValue>> | null =>
  text === null ? null : JSON.parse(text);

/** A change as it goes to Kafka. */
export interface RawChange extends OutgoingChange {
  /** When the change before it in the shard was written; null where it is the first, or that was trimmed. */
  readonly follows: string | null;
}

/** A change as it goes to Kafka, of one that was written or read here. */
export const rawFrom = ({ before, ...change }: ChangeEntry, projection: string): OutgoingChange => ({
  kind: 'change',
  ...change,
  projection,
  before: before === null ? null : JSON.stringify(before),
});

/**
 * The same for those who pass changes on without a look into them.
 * @param projection whose change log it is
 * @throws TidemarkError `unknown_log` when there is no such change log
 */
export async function readRawChanges(
  db: Database,
  projection: string,
  log: string,
  shard: number,
  after: number,
  limit: number,
): Promise<LogPage<RawChange>> {
  const rows = await readPage(db, { log, shard, after, limit }, true);
  if (typeof rows === 'number') return { kind: 'trimmed', low: rows };
  const entries: RawChange[] = [];
  let follows = rows[0]?.[7] ?? null;
  for (const [, epoch, seq, key, before, row, recordedAt] of rows) {
    if (seq === null) break;
    entries.push({
      kind: 'change',
      log,
      shard,
      epoch,
      seq,
      projection,
      key,
      before,
      row,
      recordedAt,
      follows,
    });
    follows = recordedAt;
  }
  return { kind: 'entries', entries };
}

/**
 * Whether Postgres has each of some entries that came by another way: at its place, of the same key and time, in the epoch of
 * now. Ids of changes are the same in every history of a database, so they tell nothing.
 * @param entries of one log
 * @throws TidemarkError `unknown_log` when there is no such change log
 */
export async function hasChanges(
  db: Database,
  log: string,
  entries: readonly ChangeEntry[],
): Promise<readonly boolean[]> {
  const table = changeTable(log);
  if (table === undefined) throw new TidemarkError('unknown_log', `not a change log: ${JSON.stringify(log)}`);
  const rows = await db.query<[epoch: string, key: string | null, recordedAt: string | null]>(
    selectPlaces(db, table),
    [log, entries.map(({ shard }) => shard), entries.map(({ seq }) => seq)],
  );
  return entries.map((entry, index) => {
    const [epoch, key, recordedAt] = rows[index] ?? [];
    return epoch === entry.epoch && key === entry.key && recordedAt === entry.recordedAt;
  });
}
