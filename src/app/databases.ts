/** The pools of a process, one per role, so that one role cannot starve another. */
import type { Logger } from '../platform/logger.js';
import { Database, type DatabaseOptions } from '../platform/postgres/database.js';

export class Databases {
  readonly #settings: Pick<DatabaseOptions, 'connectionString' | 'schema' | 'logger'>;
  readonly #open: Database[] = [];

  constructor(settings: { readonly url: string; readonly schema: string; readonly logger: Logger }) {
    const { url, schema, logger } = settings;
    this.#settings = { connectionString: url, schema, logger };
  }

  /**
   * Makes a pool; it connects when it is used.
   * @param role shown in `pg_stat_activity`
   * @param max connections at the most
   */
  open(
    role: string,
    max: number,
    more: Pick<DatabaseOptions, 'connectTimeoutMs' | 'statementTimeoutMs'> = {},
  ): Database {
    const database = new Database({ ...this.#settings, role, max, ...more });
    this.#open.push(database);
    return database;
  }

  /** Ends all pools once what runs on them is done. */
  async end(): Promise<void> {
    await Promise.all(this.#open.map((database) => database.end()));
  }
}
