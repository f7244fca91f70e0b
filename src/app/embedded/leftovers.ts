/**
 * What a killed predecessor left on the data folder: a server that lives on, its backends, a pid file. Called under
 * our lock, so whatever is found here belongs to nobody.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from '../../platform/logger.js';
import { TidemarkError } from '../../platform/errors.js';
import { readPidFile } from './cluster.js';
import { processStart } from './process-identity.js';

const STEPS: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGINT', 4_000],
  ['SIGQUIT', 3_000],
  ['SIGKILL', 2_000],
];

const onLinux = process.platform === 'linux';

/** Program and arguments of a process, as one text; empty when there is none. */
async function commandOf(pid: number): Promise<string> {
  if (onLinux) return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
  return promisify(execFile)('ps', ['-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

/** Every process of Postgres works in its data folder, also after the folder was moved. */
async function worksIn(pid: number, dataDir: string): Promise<boolean> {
  return (await readlink(`/proc/${pid}/cwd`).catch(() => undefined)) === dataDir;
}

/** The server of the pid file, if it is one of this folder. */
async function server(dataDir: string): Promise<number | undefined> {
  const pid = (await readPidFile(dataDir))?.pid;
  if (pid === undefined || (await processStart(pid)) === undefined) return undefined;
  const command = await commandOf(pid);
  const ours = command.includes(dataDir) || (await worksIn(pid, dataDir));
  return ours && command.includes('postgres') ? pid : undefined;
}

/**
 * All that still run on the folder. Where the system hides the working folders of other accounts' processes (root in a
 * container) only the server is found; of the rest Postgres finds out by itself, by the shared memory they hold.
 */
async function living(dataDir: string): Promise<number[]> {
  const found = new Set<number>();
  const main = await server(dataDir);
  if (main !== undefined) found.add(main);
  const pids = onLinux ? (await readdir('/proc')).map(Number).filter((pid) => pid > 1) : [];
  await Promise.all(
    pids.map(async (pid) => {
      // A person's shell may stand in the folder too.
      if (!(await worksIn(pid, dataDir)) || !(await commandOf(pid)).includes('postgres')) return;
      if ((await processStart(pid)) !== undefined) found.add(pid);
    }),
  );
  return [...found];
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended meanwhile, or it is not ours; the wait that follows tells.
  }
}

/** The server is asked first, as it ends its backends by itself. */
async function end(dataDir: string, name: NodeJS.Signals, patience: number): Promise<number[]> {
  let left = await living(dataDir);
  const main = await server(dataDir);
  for (const pid of main === undefined || name === 'SIGKILL' ? left : [main]) signal(pid, name);
  const deadline = Date.now() + patience;
  while (left.length > 0 && Date.now() < deadline) {
    await delay(20);
    left = await living(dataDir);
  }
  return left;
}

/**
 * Ends what still runs on the data folder, and removes a pid file that would stop the next server.
 * @throws TidemarkError `embedded_postgres` when a process does not end
 */
export async function clearLeftovers(dataDir: string, logger: Logger): Promise<void> {
  let left = await living(dataDir);
  if (left.length > 0)
    logger.warn({ processes: left }, 'stopping a Postgres that was left running on the data folder');
  for (const [name, patience] of STEPS) {
    if (left.length > 0) left = await end(dataDir, name, patience);
  }
  if (left.length > 0)
    throw new TidemarkError(
      'embedded_postgres',
      `a Postgres (process ${left.join(', ')}) still runs on ${dataDir} and does not end; stop it first`,
    );
  const stale = (await readPidFile(dataDir))?.pid;
  // Postgres would take whatever has this id now (a zombie too) for a server, and refuse to start.
  if (stale !== undefined && isTaken(stale)) await rm(path.join(dataDir, 'postmaster.pid'), { force: true });
}

function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
