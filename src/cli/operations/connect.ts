/** What commands that operate projections work on: the database, and where they need it the application. */
import type { Database } from '../../platform/postgres/database.js';
import { requireSchema } from '../../platform/postgres/migrate.js';
import { loadAppModule, type AppModule } from '../app-module.js';
import { withDatabase, type Connection } from '../connect.js';

/**
 * The schema must be the one that this version of Tidemark knows.
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

/** Where the application is; as `tidemark start` looks for it. */
export const APP_OPTION = [
  '--app <module>',
  'module of the application; without it the usual places are looked at',
] as const;

/**
 * The same with the application, for what needs its code.
 * @param given the module's path, relative to the project
 * @throws TidemarkError `invalid_app` too
 */
export async function withApp<T>(
  projectDir: string,
  given: string | undefined,
  work: (db: Database, module: AppModule, connection: Connection) => Promise<T>,
): Promise<T> {
  const module = await loadAppModule(projectDir, given);
  return withOperations(projectDir, (db, connection) => work(db, module, connection));
}
