/** A Postgres server that is started again, or fails over to one that has not got all of its log: on the same port, with another timeline. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { postgresAccount } from '../../../src/app/embedded/account.js';
import { findBinaries } from '../../../src/app/embedded/binaries.js';
import { startCluster, type RunningCluster } from '../../../src/app/embedded/cluster.js';
import { DATABASE, makeCluster, USER, type ClusterPlace } from '../../../src/app/embedded/init.js';
import { stopCluster } from '../../../src/app/embedded/stop.js';

const run = promisify(execFile);
const MAX_CONNECTIONS = 100;

export class FailingPostgres {
  readonly url: string;
  readonly #folder: string;
  readonly #place: ClusterPlace;
  #running: RunningCluster;

  private constructor(folder: string, place: ClusterPlace, running: RunningCluster, password: string) {
    this.#folder = folder;
    this.#place = place;
    this.#running = running;
    this.url = `postgres://${USER}:${password}@127.0.0.1:${running.port}/${DATABASE}`;
  }

  static async start(): Promise<FailingPostgres> {
    // Below root's own folder, Postgres's account could not go.
    const folder = await mkdtemp('/tmp/tidemark-fault-pg-');
    await chmod(folder, 0o711);
    const dataDir = path.join(folder, 'postgres');
    const account = await postgresAccount(dataDir);
    const place: ClusterPlace = {
      dataDir,
      passwordFile: path.join(folder, 'password'),
      logFile: path.join(folder, 'postgres.log'),
      account,
      binaries: await findBinaries(account, folder),
    };
    await makeCluster(place);
    const running = await startCluster(place, { maxConnections: MAX_CONNECTIONS, temporary: folder });
    return new FailingPostgres(folder, place, running, await readFile(place.passwordFile, 'utf8'));
  }

  get #copy(): string {
    return path.join(this.#folder, 'copy');
  }

  /** Is away for a moment, with all that it has. @param signal in order (connections are cut first) or at once */
  async restart(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    await this.#stop(signal);
    await this.#start();
  }

  /** Its data as it is now is what `failOver` goes back to. The server is away for a moment. */
  async keep(): Promise<void> {
    await this.#stop('SIGINT');
    await rm(this.#copy, { recursive: true, force: true });
    await run('cp', ['-a', this.#place.dataDir, this.#copy]);
    await this.#start();
  }

  /** The server is killed; what was kept recovers to the end of its log and becomes the primary. */
  async failOver(): Promise<void> {
    await this.#stop('SIGQUIT');
    const { dataDir } = this.#place;
    await rm(dataDir, { recursive: true, force: true });
    await run('cp', ['-a', this.#copy, dataDir]);
    await appendFile(path.join(dataDir, 'postgresql.auto.conf'), `restore_command = 'false'\n`);
    await writeFile(path.join(dataDir, 'recovery.signal'), '');
    await this.#start();
  }

  async stop(): Promise<void> {
    await this.#stop('SIGQUIT');
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const { child, watcher } = this.#running;
    // A stop in order ends connections first; it is at most what `stopCluster` waits for.
    await stopCluster(child, signal);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    watcher.done();
  }

  async #start(): Promise<void> {
    const { port } = this.#running;
    const settings = { maxConnections: MAX_CONNECTIONS, port, temporary: this.#folder };
    this.#running = await startCluster(this.#place, settings);
  }
}
