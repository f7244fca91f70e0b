/**
 * Starting a Postgres server, in a session of its own, so that Ctrl-C in the terminal reaches us and not the database
 * under a draining app.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, TidemarkError } from '../../platform/errors.js';
import type { ClusterPlace } from './init.js';
import { cleanEnv, identity } from './programs.js';
import { watch, type Watcher } from './watcher.js';

export interface RunningCluster {
  readonly port: number;
  readonly child: ChildProcess;
  readonly watcher: Watcher;
}

export interface ClusterSettings {
  readonly maxConnections: number;
  /** A free one unless given. */
  readonly port?: number;
  /** A folder that is removed when we are killed. */
  readonly temporary?: string;
}

/** Recovery after a crash may take its time. */
const READY_MS = 120_000;
/** Backends of a server that was killed end by themselves, once their statement is done. */
const LINGER_MS = 15_000;

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

/** postmaster.pid has a line each for process id, data folder, start time, port, socket folder, address, memory, state. */
export async function readPidFile(
  dataDir: string,
): Promise<{ pid: number; port: number; ready: boolean } | undefined> {
  const text = await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8').catch(() => undefined);
  const lines = text?.split('\n') ?? [];
  const pid = Math.abs(Number(lines[0]));
  return pid > 0 ? { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' } : undefined;
}

function serverArguments(place: ClusterPlace, port: number, settings: ClusterSettings): string[] {
  const options = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port,
    max_connections: settings.maxConnections,
    logging_collector: 'off',
    // Errors of statements are their callers' business; a log that repeats them grows, and shows data.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  const pairs = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', place.dataDir, ...pairs];
}

/**
 * Resolves once the server takes connections.
 * @throws TidemarkError `embedded_postgres` with what its log says
 */
export async function startCluster(place: ClusterPlace, settings: ClusterSettings): Promise<RunningCluster> {
  const began = Date.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(place, settings.port ?? (await freePort()), settings);
    } catch (error) {
      const text = messageOf(error);
      const lost = settings.port === undefined && text.includes('TCP/IP sockets') && attempt < 5;
      const lingering = text.includes('shared memory block') && Date.now() - began < LINGER_MS;
      if (!lost && !lingering) throw error;
      if (lingering) await delay(250);
    }
  }
}

async function startOnce(
  place: ClusterPlace,
  port: number,
  settings: ClusterSettings,
): Promise<RunningCluster> {
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
  const watcher = child.pid === undefined ? undefined : watch(child.pid, place.account, settings.temporary);
  try {
    await ready(place, child, begin);
  } catch (error) {
    watcher?.done();
    throw error;
  }
  if (!watcher) throw new TidemarkError('embedded_postgres', 'the embedded Postgres has no process id');
  return { port, child, watcher };
}

async function ready(place: ClusterPlace, child: ChildProcess, begin: number): Promise<void> {
  const deadline = Date.now() + READY_MS;
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  while (failure === undefined && child.exitCode === null && child.signalCode === null) {
    const status = await readPidFile(place.dataDir);
    if (status?.ready && status.pid === child.pid) return;
    if (Date.now() > deadline) {
      child.kill('SIGQUIT');
      failure = new Error(`it was not ready within ${READY_MS / 1_000} s`);
    }
    await delay(10);
  }
  const said = failure?.message ?? (await lastWords(place.logFile, begin));
  throw new TidemarkError(
    'embedded_postgres',
    `the embedded Postgres did not start: ${said} (its log: ${place.logFile})`,
  );
}

/** The first FATAL of what the server wrote after `begin`, or its last line. */
async function lastWords(logFile: string, begin: number): Promise<string> {
  const text = (await readFile(logFile)).subarray(begin).toString('utf8').trim();
  const lines = text.split('\n');
  const line = lines.find((each) => each.includes('FATAL:')) ?? lines.at(-1) ?? '';
  return line.replace(/^.*?(FATAL|LOG|ERROR): +/, '') || 'it ended at once';
}
