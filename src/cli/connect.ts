/** The database for commands that look at it: DATABASE_URL, the embedded Postgres that runs, or one started for the moment. */
import { loadConfig, type Config } from '../app/config.js';
import { findEmbeddedPostgres, startEmbeddedPostgres } from '../app/embedded/postgres.js';
import { messageOf, TidemarkError } from '../platform/errors.js';
import { createLogger, showUrl, type Logger } from '../platform/logger.js';
import { Database } from '../platform/postgres/database.js';

export interface Connection {
  readonly database: Database;
  readonly config: Config;
  /** With its password. */
  readonly url: string;
  /** Which database it is; without its password. */
  readonly shown: string;
}

interface Place {
  readonly url: string;
  readonly shown: string;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly projectDir: string;
  /** Make an embedded Postgres where there is none yet. */
  readonly create: boolean;
}

async function placeOf(config: Config, options: ConnectOptions, logger: Logger): Promise<Place> {
  const close = async (): Promise<void> => undefined;
  if (config.databaseUrl !== undefined)
    return { url: config.databaseUrl, shown: showUrl(config.databaseUrl), close };
  const wanted = {
    projectDir: options.projectDir,
    logger,
    ...(config.dataDir === undefined ? {} : { dataDir: config.dataDir }),
  };
  const found = await findEmbeddedPostgres(wanted);
  if (found.url !== undefined)
    return { url: found.url, shown: `embedded in ${found.dataDir}, running`, close };
  if (!found.exists && !options.create)
    throw new TidemarkError(
      'no_database',
      `there is no data in ${found.dataDir} yet: start the application first, or set DATABASE_URL`,
    );
  const embedded = await startEmbeddedPostgres(wanted);
  return {
    url: embedded.url,
    shown: `embedded in ${embedded.dataDir}, started for this command`,
    close: () => embedded.stop(),
  };
}

/**
 * Runs `work` on the database of the environment and closes what was opened for it.
 * @throws TidemarkError `no_database`, `database_unavailable`, and what `work` throws
 */
export async function withDatabase<T>(
  options: ConnectOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const config = loadConfig(process.env);
  const logger = createLogger({
    level: 'warn',
    destination: { write: (line) => process.stderr.write(line) },
  });
  const place = await placeOf(config, options, logger);
  const database = new Database({
    connectionString: place.url,
    schema: config.schema,
    role: 'cli',
    logger,
    max: 2,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 120_000,
  });
  try {
    // Reaches the server before anything else, so that a failure to do so is told as what it is.
    await database.query('SELECT').catch((cause: unknown) => {
      throw new TidemarkError('database_unavailable', `${place.shown}: ${messageOf(cause)}`, { cause });
    });
    return await work({ database, config, url: place.url, shown: place.shown });
  } finally {
    await database.end();
    await place.close();
  }
}
