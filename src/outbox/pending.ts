/** What is not in Kafka yet, over all relays; asked when somebody wants to know. */
import type { Database } from '../platform/postgres/database.js';
import { selectPending } from './statements.js';

export interface Pending {
  readonly log: string;
  /** Entries after the cursors. Never clamped: below 0, Kafka has more than Postgres. */
  readonly entries: number;
  /** When the oldest of them was written, ISO 8601 UTC; undefined where none is known. */
  readonly oldest: string | undefined;
}

/** A row a log that has cursors. @throws as `Database.query` */
export async function readPending(db: Database, logs: readonly string[]): Promise<Pending[]> {
  const rows = await db.query<[string, number, string | null]>(selectPending(db), [logs]);
  return rows.map(([log, entries, oldest]) => ({ log, entries, oldest: oldest ?? undefined }));
}
