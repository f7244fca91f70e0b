/**
 * The embedded Postgres of an application: found again by the next start, held by one process at a time, started anew
 * when it dies under us, stopped with us.
 */
import { once } from 'node:events';
import { readFile, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, TidemarkError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import { findBinaries } from './binaries.js';
import { readPidFile, startCluster, type RunningCluster } from './cluster.js';
import { checkCluster, DATABASE, makeCluster, passwordOf, USER, type ClusterPlace } from './init.js';
import { clearLeftovers } from './leftovers.js';
import { lockFolder } from './lock.js';
import { processStart } from './process-identity.js';
import { findStateDir, giveToOwner, stateDir } from './state-dir.js';
import { stopCluster } from './stop.js';

export interface EmbeddedPostgresOptions {
  /** The data folder is `.tidemark/` in it, by default. */
  readonly projectDir: string;
  /** TIDEMARK_DATA_DIR. */
  readonly dataDir?: string;
  readonly logger: Logger;
  readonly maxConnections?: number;
}

export interface EmbeddedPostgres {
  /** With the password. */
  readonly url: string;
  /** Holds the database, its log and the lock. */
  readonly dataDir: string;
  /** E.g. `18.4.0-beta.17`. */
  readonly version: string;
  /** Resolves when the server died and could not be started again; never after `stop`. */
  readonly lost: Promise<Error>;
  /** Stops the server and gives the data folder free. May be called twice. */
  stop(): Promise<void>;
}

const LOG_BYTES = 10_000_000;
/** A server that dies more often than this is not started again. */
const RESTARTS = 3;
const RESTARTS_WITHIN_MS = 60_000;

async function rotate(logFile: string): Promise<void> {
  const size = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  if (size > LOG_BYTES) await rename(logFile, `${logFile}.1`);
}

/** Keeps one server running on a port of its own. */
class Supervisor {
  readonly lost: Promise<Error>;
  readonly port: number;
  readonly #place: ClusterPlace;
  readonly #options: EmbeddedPostgresOptions;
  readonly #resolveLost: (error: Error) => void;
  #running: RunningCluster;
  #stopping = false;
  #restarting: Promise<void> = Promise.resolve();
  #deaths: number[] = [];

  constructor(place: ClusterPlace, running: RunningCluster, options: EmbeddedPostgresOptions) {
    const { promise, resolve } = promiseParts<Error>();
    this.lost = promise;
    this.#resolveLost = resolve;
    this.#place = place;
    this.#options = options;
    this.port = running.port;
    this.#running = running;
    this.#follow(running);
  }

  #follow(running: RunningCluster): void {
    this.#running = running;
    void once(running.child, 'exit').then(() => {
      if (!this.#stopping) this.#restarting = this.#restart();
    });
  }

  async #restart(): Promise<void> {
    const { logger } = this.#options;
    this.#running.watcher.done();
    const now = Date.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < RESTARTS_WITHIN_MS), now];
    try {
      if (this.#deaths.length > RESTARTS) throw new Error(`it died ${this.#deaths.length} times in a minute`);
      logger.error({ log: this.#place.logFile }, 'the embedded Postgres died; starting it again');
      await clearLeftovers(this.#place, logger);
      const running = await startCluster(this.#place, settingsOf(this.#options, this.port));
      this.#follow(running);
      logger.info({ port: this.port }, 'the embedded Postgres runs again');
    } catch (error) {
      this.#resolveLost(
        new TidemarkError('embedded_postgres', `the embedded Postgres is gone: ${messageOf(error)}`),
      );
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#restarting;
    await stopCluster(this.#running.child, 'SIGINT');
    this.#running.watcher.done();
  }
}

function promiseParts<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

const settingsOf = (options: EmbeddedPostgresOptions, port?: number) => ({
  maxConnections: options.maxConnections ?? 100,
  ...(port === undefined ? {} : { port }),
});

const urlOf = (password: string, port: number): string =>
  `postgres://${USER}:${password}@127.0.0.1:${port}/${DATABASE}`;

async function startLocked(
  place: ClusterPlace,
  options: EmbeddedPostgresOptions,
): Promise<{ supervisor: Supervisor; password: string }> {
  if (await checkCluster(place)) await clearLeftovers(place, options.logger);
  else await makeCluster(place);
  const password = await passwordOf(place);
  await rotate(place.logFile);
  const running = await startCluster(place, settingsOf(options));
  for (const file of [place.passwordFile, place.logFile]) await giveToOwner(file);
  return { supervisor: new Supervisor(place, running, options), password };
}

/**
 * Resolves when the server takes connections.
 * @throws TidemarkError `already_running` when another process holds the data folder; `data_dir` when the folder cannot
 *   be used; `embedded_postgres` for everything else, each with one clear line
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dir, dataDir, account } = await stateDir(options.projectDir, options.dataDir);
  const lock = await lockFolder(dir);
  try {
    const place: ClusterPlace = {
      dataDir,
      passwordFile: path.join(dir, 'password'),
      logFile: path.join(dir, 'postgres.log'),
      account,
      binaries: await findBinaries(account, dir),
    };
    const { supervisor, password } = await startLocked(place, options);
    let stopped: Promise<void> | undefined;
    return {
      url: urlOf(password, supervisor.port),
      dataDir: dir,
      version: place.binaries.version,
      lost: supervisor.lost,
      stop: () => (stopped ??= supervisor.stop().finally(() => lock.release())),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

export interface FoundPostgres {
  readonly dataDir: string;
  /** Whether there is data. */
  readonly exists: boolean;
  /** Of the server that another process has running there. */
  readonly url?: string;
}

/** Looks for the embedded Postgres of a project without touching it. */
export async function findEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<FoundPostgres> {
  const { dir, dataDir } = await findStateDir(options.projectDir, options.dataDir);
  const exists = (await stat(dataDir).catch(() => undefined)) !== undefined;
  const status = exists ? await readPidFile(dataDir) : undefined;
  if (!status?.ready || (await processStart(status.pid)) === undefined) return { dataDir: dir, exists };
  const password = await readFile(path.join(dir, 'password'), 'utf8');
  return { dataDir: dir, exists, url: urlOf(password, status.port) };
}
