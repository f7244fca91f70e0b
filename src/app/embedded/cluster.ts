/**
 * One Postgres server of ours: made once, started in a session of its own (so that Ctrl-C in the terminal reaches us
 * and not the database under a draining app), stopped by us, and by a watcher when we are killed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { messageOf, TidemarkError } from '../../platform/errors.js';
import type { Account } from './account.js';
import type { Binaries } from './binaries.js';

export interface ClusterPlace {
  /** Postgres's own data folder; it is made when it is not there. */
  readonly dataDir: string;
  readonly passwordFile: string;
  readonly logFile: string;
  readonly account: Account;
  readonly binaries: Binaries;
}

export const USER = 'tidemark';
export const DATABASE = 'tidemark';

/** Nothing of our environment reaches Postgres: PGPORT and the like would change what it does. */
export const cleanEnv = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' });

const identity = (account: Account): { uid?: number; gid?: number } =>
  account.dropped ? { uid: account.uid, gid: account.gid } : {};

/** Runs a program of Postgres's to its end. @throws TidemarkError with the last line of what it said */
async function run(file: string, args: readonly string[], account: Account, input = ''): Promise<void> {
  const child = spawn(file, args, { ...identity(account), env: cleanEnv(), cwd: '/', detached: true });
  let said = '';
  const hear = (chunk: Buffer): void => {
    said = (said + chunk.toString('utf8')).slice(-4_000);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'));
  }).catch((cause: unknown) => {
    throw new TidemarkError(
      'embedded_postgres',
      `${path.basename(file)} cannot run here: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  });
  if (code === 0) return;
  const line =
    said
      .trim()
      .split('\n')
      .findLast((each) => /error|fatal/i.test(each)) ?? said.trim().split('\n').at(-1);
  throw new TidemarkError('embedded_postgres', `${path.basename(file)} failed (${code}): ${line}`);
}

/**
 * Makes the data folder: SCRAM with a generated password, one database. It is made beside its place and moved there
 * when it is complete, so that a kill in the middle leaves nothing half-made.
 */
export async function makeCluster(place: ClusterPlace): Promise<void> {
  const { account, binaries } = place;
  const unfinished = `${place.dataDir}.new`;
  const handedPassword = `${place.dataDir}.pw`;
  await rm(unfinished, { recursive: true, force: true });
  const password = randomBytes(24).toString('base64url');
  await mkdir(unfinished, { mode: 0o700 });
  await rm(handedPassword, { force: true });
  await writeFile(handedPassword, `${password}\n`, { mode: 0o600, flag: 'wx' });
  if (account.dropped) {
    await chown(unfinished, account.uid, account.gid);
    await chown(handedPassword, account.uid, account.gid);
  }
  try {
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const auth = ['--auth=scram-sha-256', `--pwfile=${handedPassword}`, `--username=${USER}`];
    await run(binaries.initdb, ['-D', unfinished, ...auth, ...locale, '--no-instructions'], account);
    await run(
      binaries.postgres,
      ['--single', '-D', unfinished, 'postgres'],
      account,
      `CREATE DATABASE ${DATABASE}\n`,
    );
  } finally {
    await rm(handedPassword, { force: true });
  }
  await writeFile(place.passwordFile, password, { mode: 0o600 });
  await rename(unfinished, place.dataDir);
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** The lines of postmaster.pid: process id, data folder, start time, port, …, state. */
export async function readPidFile(dataDir: string): Promise<{ pid: number; ready: boolean } | undefined> {
  const text = await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  return { pid: Math.abs(Number(lines[0])), ready: lines[7]?.trim() === 'ready' };
}

export interface RunningCluster {
  readonly port: number;
  readonly pid: number;
  readonly child: ChildProcess;
}

export interface ClusterSettings {
  readonly maxConnections: number;
  readonly port?: number;
}

function serverArguments(place: ClusterPlace, port: number, settings: ClusterSettings): string[] {
  const options = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port,
    max_connections: settings.maxConnections,
    logging_collector: 'off',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  return [
    '-D',
    place.dataDir,
    ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

/** Resolves once the server takes connections. @throws TidemarkError `embedded_postgres` with what its log says */
export async function startCluster(place: ClusterPlace, settings: ClusterSettings): Promise<RunningCluster> {
  const port = settings.port ?? (await freePort());
  const log = await open(place.logFile, 'a', 0o600);
  const begin = (await log.stat()).size;
  let child: ChildProcess;
  try {
    child = spawn(place.binaries.postgres, serverArguments(place, port, settings), {
      ...identity(place.account),
      env: cleanEnv(),
      cwd: '/',
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
  } finally {
    await log.close();
  }
  await ready(place, child, begin);
  if (child.pid === undefined) throw new TidemarkError('embedded_postgres', 'Postgres has no process id');
  return { port, pid: child.pid, child };
}

async function ready(place: ClusterPlace, child: ChildProcess, begin: number): Promise<void> {
  const deadline = Date.now() + 120_000; // Recovery after a crash may take its time.
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  while (failure === undefined && child.exitCode === null && child.signalCode === null) {
    const status = await readPidFile(place.dataDir);
    if (status?.ready && status.pid === child.pid) return;
    if (Date.now() > deadline) {
      child.kill('SIGQUIT');
      failure = new Error('it was not ready within two minutes');
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const said = failure?.message ?? (await lastWords(place.logFile, begin));
  throw new TidemarkError('embedded_postgres', `the embedded Postgres did not start: ${said}`);
}

/** The first FATAL of what the server wrote after `begin`, or its last line. */
async function lastWords(logFile: string, begin: number): Promise<string> {
  const text = (await readFile(logFile)).subarray(begin).toString('utf8').trim();
  const lines = text.split('\n');
  const line = lines.find((each) => each.includes('FATAL:')) ?? lines.at(-1) ?? '';
  return line.replace(/^.*?(FATAL|LOG|ERROR): +/, '') || `it ended at once (log: ${logFile})`;
}

/**
 * A process that outlives us by a moment: when our end of its standard input closes, by whatever death, it asks the
 * server to stop, and removes a temporary folder. Told `done`, it does nothing.
 */
export function watch(pid: number, account: Account, removeDir: string | undefined): { done(): void } {
  const script = [
    'read -r word',
    '[ "$word" = done ] && exit 0',
    'kill -INT "$1" 2>/dev/null',
    'if [ -n "$2" ]; then while kill -0 "$1" 2>/dev/null; do sleep 0.1; done; rm -rf -- "$2"; fi',
  ].join('\n');
  const child = spawn('/bin/sh', ['-c', script, 'tidemark-watch', String(pid), removeDir ?? ''], {
    ...(removeDir === undefined ? identity(account) : {}),
    env: cleanEnv(),
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  (child.stdin as typeof child.stdin & { unref?(): void }).unref?.();
  return { done: () => void child.stdin.end('done\n') };
}

export async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
