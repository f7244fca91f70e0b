/**
 * Logs and their shards: creation, epochs, heads. What is common to event logs (`events`) and change logs (`changes`).
 *
 * THE lock order of every transaction: event shards → idempotency keys → checkpoints → parked keys → parts →
 * read-model rows → change shards → cursors of the relay, each sorted by `byteOrder` (key columns are COLLATE "C", so Postgres sorts alike). Locks in one
 * statement, checks in a later one: a check in the locking statement sees what was there before the wait.
 */
import { randomBytes } from 'node:crypto';
import { TidemarkError } from '../errors.js';
import type { Queryable } from './database.js';

/** A database, or one of its transactions that knows where the tables are. */
type Scoped = Queryable & { table(name: string): string };

export interface LogHead {
  readonly log: string;
  readonly shard: number;
  readonly epoch: string;
  /** The greater of the last seq and the low-water mark. */
  readonly head: number;
  readonly low: number;
}

/** Compares as Postgres does under COLLATE "C": by UTF-8 bytes, which is by code points. */
export function byteOrder(a: string, b: string): number {
  if (a === b) return 0;
  const left = Buffer.from(a);
  return left.compare(Buffer.from(b));
}

export const newEpoch = (): string => randomBytes(6).readUIntBE(0, 6).toString(36);

/**
 * Makes the shard rows of a log where they are missing, all of one epoch.
 * @throws TidemarkError `shard_count_changed` when the log was made with another count, which is fixed
 */
export async function ensureLog(db: Scoped, log: string, shardCount: number): Promise<void> {
  const shards = db.table('shards');
  await db.query(
    `INSERT INTO ${shards} (log, shard, epoch) SELECT $1, n, $3 FROM generate_series(0, $2::int - 1) n
     WHERE NOT EXISTS (SELECT FROM ${shards} WHERE log = $1) ON CONFLICT DO NOTHING`,
    [log, shardCount, newEpoch()],
  );
  const [row] = await db.query<[number, number]>(
    `SELECT count(*)::int, count(DISTINCT epoch)::int FROM ${shards} WHERE log = $1`,
    [log],
  );
  if (row?.[0] !== shardCount) {
    throw new TidemarkError(
      'shard_count_changed',
      `log "${log}" was made with ${row?.[0] ?? 0} shards and the application says ${shardCount}; the count is fixed when a log is created`,
    );
  }
}

/** Heads of all given logs in one statement (index probes only). */
export async function readHeads(
  db: Scoped,
  logs: { readonly events: readonly string[]; readonly changes: readonly string[] },
): Promise<LogHead[]> {
  const part = (table: string, column: string, parameter: string): string =>
    `SELECT s.log, s.shard, s.epoch, s.low, greatest(s.low, coalesce((SELECT max(x.seq) FROM ${db.table(table)} x WHERE x.${column} = s.log AND x.shard = s.shard), 0))
     FROM ${db.table('shards')} s WHERE s.log = ANY(${parameter}::text[])`;
  const rows = await db.query<[string, number, string, number, number]>(
    `${part('events', 'category', '$1')} UNION ALL ${part('changes', 'log', '$2')}`,
    [logs.events, logs.changes],
  );
  return rows.map(([log, shard, epoch, low, head]) => ({ log, shard, epoch, low, head }));
}

/** Sorts in place by `byteOrder`; fast where no text has a character beyond U+D7FF. */
export function sortByBytes(texts: string[]): string[] {
  // Code units sort as code points do, but for surrogates and what stands above them.
  return texts.some((text) => /[\ud800-\uffff]/.test(text)) ? texts.sort(byteOrder) : texts.sort();
}
