/** Starts programs that hold an embedded Postgres, as root or another account, and clears up behind them. */
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { processStart } from '../../src/app/embedded/process-identity.js';

const PROGRAM = fileURLToPath(new URL('embedded-child.ts', import.meta.url));

/** Tests of accounts can only run where there are several to choose from. */
export const isRoot = process.getuid?.() === 0;
/** `nobody` on Debian; any unprivileged account does. */
export const NOBODY = 65_534;

/** A project folder that is gone after the test. */
export async function projectFolder(options: { mode?: number; owner?: number } = {}): Promise<string> {
  const folder = await mkdtemp('/tmp/tidemark-test-');
  await chmod(folder, options.mode ?? 0o755);
  if (options.owner !== undefined) await chown(folder, options.owner, options.owner);
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

export interface Holder {
  readonly child: ChildProcess;
  readonly answer: {
    readonly url: string;
    readonly dataDir: string;
    readonly error?: string;
    readonly code?: string;
  };
}

interface HoldOptions {
  readonly dataDir?: string;
  /** User id to run as (root only). */
  readonly as?: number;
}

/** Starts a holder without waiting for it. */
export function begin(project: string, options: HoldOptions = {}): ChildProcessByStdio<null, Readable, null> {
  const args = [
    '--import',
    'tsx',
    PROGRAM,
    project,
    ...(options.dataDir === undefined ? [] : [options.dataDir]),
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true, // A group of its own, so that a test can kill the whole group.
    ...(options.as === undefined ? {} : { uid: options.as, gid: options.as }),
  });
  onTestFinished(() => end(child));
  return child;
}

/** Starts a holder and waits for what it says. */
export async function hold(project: string, options: HoldOptions = {}): Promise<Holder> {
  const child = begin(project, options);
  for await (const line of createInterface({ input: child.stdout }))
    return { child, answer: JSON.parse(line) };
  throw new Error(`the program ended without an answer (${child.exitCode})`);
}

/** Stops a holder in good order. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

export async function killed(child: ChildProcess, wholeGroup: boolean): Promise<void> {
  if (child.pid === undefined) throw new Error('no process');
  const gone = once(child, 'exit');
  process.kill(wholeGroup ? -child.pid : child.pid, 'SIGKILL');
  await gone;
}

export async function ask<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** A zombie is dead: where nobody reaps, it only keeps its id. */
export const isAlive = async (pid: number): Promise<boolean> => (await processStart(pid)) !== undefined;
