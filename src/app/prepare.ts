/** What every process does before it serves: migrates, makes logs and read models, and takes the signing key. */
import type { AnyApp } from '../domain/app.js';
import { isTidemarkError, messageOf, TidemarkError } from '../platform/errors.js';
import { showUrl, type Logger } from '../platform/logger.js';
import { ensureLog } from '../platform/postgres/logs.js';
import { migrate, signingKey } from '../platform/postgres/migrate.js';
import { sqlState } from '../platform/postgres/sqlstate.js';
import { Signer } from '../platform/signing.js';
import { ensureReadModel } from '../projections/read-model.js';
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

/**
 * Safe with several processes at once, and beside running ones.
 * @throws TidemarkError `database_unavailable`, `unsupported_postgres`, `schema_too_new`, `shard_count_changed`,
 *   `projection_changed`, `projection_name_taken`
 */
export async function prepareDatabase(
  app: AnyApp,
  settings: { readonly url: string; readonly schema: string; readonly logger: Logger },
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
    await ensureReadModel(database, app);
    return new Signer(await signingKey(database));
  } finally {
    await databases.end();
  }
}
