/**
 * A program of its own that holds an embedded Postgres, for tests that kill it: prints one line of JSON when it runs
 * (or `{error}`), and stops on SIGTERM. Arguments: the project folder, and the data folder where one is given.
 */
import { startEmbeddedPostgres } from '../../src/app/embedded/postgres.js';
import { isTidemarkError } from '../../src/platform/errors.js';
import { silentLogger } from '../../src/platform/logger.js';

const [projectDir = '.', dataDir] = process.argv.slice(2);

try {
  const postgres = await startEmbeddedPostgres({
    projectDir,
    ...(dataDir === undefined ? {} : { dataDir }),
    logger: silentLogger,
  });
  const stop = async (): Promise<void> => {
    await postgres.stop();
    clearInterval(alive);
  };
  const alive = setInterval(() => undefined, 60_000);
  process.once('SIGTERM', () => void stop());
  console.log(JSON.stringify({ url: postgres.url, dataDir: postgres.dataDir }));
} catch (error) {
  if (!isTidemarkError(error)) throw error;
  console.log(JSON.stringify({ error: error.message, code: error.code }));
}
