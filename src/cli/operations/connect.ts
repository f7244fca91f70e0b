/** The database for commands that operate projections: its schema must be the one that this version of Tidemark knows. */
import type { Database } from '../../platform/postgres/database.js';
import { requireSchema } from '../../platform/postgres/migrate.js';
import { withDatabase, type Connection } from '../connect.js';

/**
 * @throws TidemarkError `no_database`, `database_unavailable`, `schema_too_old`, `schema_too_new`, `migration_changed`, and what
 *   `work` throws
 */
export const withOperations = <T>(
  projectDir: string,
  work: (db: Database, connection: Connection) => Promise<T>,
): Promise<T> =>
  withDatabase({ projectDir, create: false }, async (connection) => {
    await requireSchema(connection.database);
    return work(connection.database, connection);
  });
