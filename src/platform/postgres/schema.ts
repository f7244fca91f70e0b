/** The schema as a whole. */
import { quoteIdent, type Database } from './database.js';

/** Removes the schema with all that is in it; waits for whoever still uses it. For test databases. */
export async function dropSchema(database: Database): Promise<void> {
  await database.query(`DROP SCHEMA IF EXISTS ${quoteIdent(database.schema)} CASCADE`);
}
