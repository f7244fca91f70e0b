/** A Postgres server for a test run: in a temporary folder, gone without a trace when it stops or its starter dies. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { canReach, postgresAccount } from './account.js';
import { findBinaries } from './binaries.js';
import { startCluster } from './cluster.js';
import { DATABASE, makeCluster, USER, type ClusterPlace } from './init.js';
import { stopCluster } from './stop.js';

export interface TemporaryPostgres {
  readonly url: string;
  stop(): Promise<void>;
}

/** TMPDIR may be a private folder of root's, where Postgres's account cannot go. */
async function temporaryRoot(): Promise<string> {
  const account = await postgresAccount('');
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) if (await canReach(account, folder)) return folder;
  return tmpdir();
}

/** @param maxConnections of the server */
export async function startTemporaryPostgres(maxConnections = 200): Promise<TemporaryPostgres> {
  const folder = await mkdtemp(path.join(await temporaryRoot(), 'tidemark-pg-'));
  try {
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
    const running = await startCluster(place, { maxConnections, temporary: folder });
    const password = await readFile(place.passwordFile, 'utf8');
    return {
      url: `postgres://${USER}:${password}@127.0.0.1:${running.port}/${DATABASE}`,
      async stop() {
        await stopCluster(running.child, 'SIGQUIT');
        running.watcher.done();
        await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
