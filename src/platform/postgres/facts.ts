/** What the server is, and which of its settings make commits less than durable. */
import type { Database } from './database.js';

export interface ServerFacts {
  readonly version: string;
  /** E.g. 150006. */
  readonly versionNumber: number;
  /** Settings that are off and should not be. */
  readonly unsafe: readonly string[];
}

export async function serverFacts(db: Database): Promise<ServerFacts> {
  // Locks: none.
  const [row] = await db.query<[string, number, string[] | null]>(
    `SELECT current_setting('server_version'), current_setting('server_version_num')::int,
       (SELECT array_agg(name || '=off' ORDER BY name) FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off')`,
  );
  return { version: row?.[0] ?? '', versionNumber: row?.[1] ?? 0, unsafe: row?.[2] ?? [] };
}
