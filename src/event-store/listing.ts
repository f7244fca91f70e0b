/** What a person asks of the event logs: which there are, which streams are in one, and whether its shards are whole. */
import type { Database } from '../platform/postgres/database.js';
import { listingStatements } from './listing-statements.js';

export interface CategorySummary {
  readonly category: string;
  readonly shards: number;
  /** That were ever appended, trimmed ones included. */
  readonly events: number;
}

/** Event logs, by name. */
export async function listCategories(db: Database): Promise<CategorySummary[]> {
  const rows = await db.query<[string, number, number]>(listingStatements(db).categories);
  return rows.map(([category, shards, events]) => ({ category, shards, events }));
}

export interface StreamSummary {
  readonly streamId: string;
  readonly version: number;
  /** Of the last event. */
  readonly type: string;
  /** Of the last event; ISO 8601 UTC. */
  readonly recordedAt: string;
}

/** @param after streams after this id, by code points; all from the first with an empty text */
export async function listStreams(
  db: Database,
  category: string,
  after: string,
  limit: number,
): Promise<StreamSummary[]> {
  const rows = await db.query<[string, number, string, string]>(listingStatements(db).streams, [
    category,
    after,
    limit,
  ]);
  return rows.map(([streamId, version, type, recordedAt]) => ({ streamId, version, type, recordedAt }));
}

export interface ShardAudit {
  readonly log: string;
  readonly shard: number;
  readonly low: number;
  readonly head: number;
  /** Seqs between low and head that are not there; 0 unless something is badly wrong. */
  readonly missing: number;
}

/** Counts every event: reads the whole key of the log. */
export async function auditEventLogs(db: Database): Promise<ShardAudit[]> {
  const rows = await db.query<[string, number, number, number, number]>(listingStatements(db).audit);
  return rows.map(([log, shard, low, head, missing]) => ({ log, shard, low, head, missing }));
}
