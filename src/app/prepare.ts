/** What every process does before it serves: migrates, makes logs and read models, and takes the signing key. */
import type { AnyApp } from '../domain/app.js';
import { isTidemarkError, messageOf, TidemarkError } from '../platform/errors.js';
import { showUrl, type Logger } from '../platform/logger.js';
import { ensureLog } from '../platform/postgres/logs.js';
import { migrate, signingKey } from '../platform/postgres/migrate.js';
import { sqlState } from '../platform/postgres/sqlstate.js';
import { Signer } from '../platform/signing.js';
import { ensureReadModel, type EnsureOptions } from '../projections/read-model.js';
import { Databases } from './databases.js';

/** Node puts the failures of several addresses into one error without a text. */
function causeOf(error: unknown): string {
  const message = messageOf(error);
  if (message !== '') return message;
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [];
  return errors.map(messageOf).join('; ') || 'it does not answer';
}

/** Not ours, and before anything was done: the server cannot be reached or does not let us in. */
function isConnectionError(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined ? error instanceof Error : /^(08|28|3D|53|57P)/.test(state);
}

function unreachable(url: string, error: unknown): unknown {
  if (isTidemarkError(error) || !isConnectionError(error)) return error;
  return new TidemarkError('database_unavailable', `DATABASE_URL: ${showUrl(url)}: ${causeOf(error)}`, {
    cause: error,
  });
}

/** The role may connect, and not do its work: says what it needs. */
function forbidden(settings: { readonly url: string; readonly schema: string }, error: unknown): unknown {
  if (sqlState(error) !== '42501') return error;
  const needed = `the role needs CREATE on the database, or a schema ${settings.schema} that it owns`;
  const message = `DATABASE_URL: ${showUrl(settings.url)}: ${messageOf(error)}; ${needed}`;
  return new TidemarkError('invalid_config', message, { cause: error });
}

/**
 * Safe with several processes at once, and beside running ones.
 * @throws TidemarkError `database_unavailable`, `invalid_config`, `unsupported_postgres`, `schema_too_new`, `shard_count_changed`,
 *   `projection_changed`, `projection_name_taken`
 */
export async function prepareDatabase(
  app: AnyApp,
  settings: {
    readonly url: string;
    readonly schema: string;
    readonly logger: Logger;
    readonly ensuring?: EnsureOptions;
  },
): Promise<Signer> {
  const databases = new Databases(settings);
  const database = databases.open('setup', 2, { connectTimeoutMs: 5_000 });
  try {
    // The first word to the server: what fails here is that it cannot be reached.
    await database.query('SELECT').catch((error: unknown) => {
      throw unreachable(settings.url, error);
    });
    const { applied } = await migrate(database);
    if (applied.length > 0) settings.logger.info({ applied }, 'migrated');
    for (const { name } of app.aggregates) await ensureLog(database, name, app.shards);
    await ensureReadModel(database, app, settings.ensuring);
    return new Signer(await signingKey(database));
  } catch (error) {
    throw forbidden(settings, error);
  } finally {
    await databases.end();
  }
}
