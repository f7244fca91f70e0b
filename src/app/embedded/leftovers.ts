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
import type { Account } from './account.js';
import { readPidFile } from './cluster.js';
import { processStart } from './process-identity.js';
import { cleanEnv, identity } from './programs.js';

const STEPS: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGINT', 4_000],
  ['SIGQUIT', 3_000],
  ['SIGKILL', 2_000],
];

/** Postgres's data folder, and as whom its processes run. */
interface DataFolder {
  readonly dataDir: string;
  readonly account: Account;
}

const onLinux = process.platform === 'linux';

/** Program and arguments of a process, as one text; empty when there is none. */
async function commandOf(pid: number): Promise<string> {
  if (onLinux) return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
  return promisify(execFile)('ps', ['-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

/**
 * Processes that work in a folder; every process of Postgres works in its data folder, also after the folder was moved.
 * Root asks as the account that they run as: a container's root may not look into other accounts' processes.
 */
async function workingIn(dataDir: string, account: Account): Promise<number[]> {
  if (!onLinux) return [];
  if (account.dropped) {
    const look = promisify(execFile)('/bin/sh', ['-c', 'ls -ld /proc/[0-9]*/cwd 2>/dev/null'], {
      ...identity(account),
      env: cleanEnv(),
      cwd: '/',
      maxBuffer: 50_000_000,
    });
    // It ends with an error, as there are processes that it may not look into.
    const { stdout } = await look.catch((error: { readonly stdout?: string }) => error);
    const found = (stdout ?? '').matchAll(/ \/proc\/(\d+)\/cwd -> (.*)$/gm);
    return [...found].flatMap(([, pid, folder]) => (folder === dataDir ? [Number(pid)] : []));
  }
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1);
  const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => undefined)));
  return pids.filter((_, index) => folders[index] === dataDir);
}

/** All that still run on the folder: the server of the pid file, and whoever works in it. */
async function living({ dataDir, account }: DataFolder): Promise<number[]> {
  const candidates = new Set(await workingIn(dataDir, account));
  const main = (await readPidFile(dataDir))?.pid;
  if (main !== undefined && (await commandOf(main)).includes(dataDir)) candidates.add(main);
  const found = await Promise.all(
    [...candidates].map(async (pid) => {
      // A person's shell may stand in the folder too.
      const isPostgres = (await commandOf(pid)).includes('postgres');
      return isPostgres && (await processStart(pid)) !== undefined ? [pid] : [];
    }),
  );
  return found.flat();
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended meanwhile, or it is not ours; the wait that follows tells.
  }
}

/** The server is asked first, as it ends its backends by itself. */
async function end(folder: DataFolder, name: NodeJS.Signals, patience: number): Promise<number[]> {
  const deadline = Date.now() + patience;
  let left = await living(folder);
  const main = (await readPidFile(folder.dataDir))?.pid;
  const first = main !== undefined && left.includes(main) && name !== 'SIGKILL' ? [main] : left;
  for (const pid of first) signal(pid, name);
  while (left.length > 0 && Date.now() < deadline) {
    await delay(20);
    left = await living(folder);
  }
  return left;
}

/**
 * Ends what still runs on the data folder, and removes a pid file that would stop the next server.
 * @throws TidemarkError `embedded_postgres` when a process does not end
 */
export async function clearLeftovers(folder: DataFolder, logger: Logger): Promise<void> {
  const { dataDir } = folder;
  let left = await living(folder);
  if (left.length > 0)
    logger.warn({ processes: left }, 'stopping a Postgres that was left running on the data folder');
  for (const [name, patience] of STEPS) {
    if (left.length > 0) left = await end(folder, name, patience);
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
