/** Runs the `tidemark` command and scripts as programs of their own, from the source, and clears up behind them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** As an address, since a program may run in a folder from which it is not found. */
const TSX = new URL('../../node_modules/tsx/dist/loader.mjs', import.meta.url).href;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Finished {
  /** Exit code; null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Finished>;
  /** Resolves once standard output has matched; rejects when the program ends before. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
}

/** @param env beside PATH; nothing else of ours reaches the program */
export function program(file: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd = ROOT): Program {
  const child = spawn(file, args, {
    cwd,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    detached: true, // A group of its own, to send it signals as a terminal does.
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const heard = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
    for (const listener of heard) listener();
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const ended = once(child, 'close').then(([code]): Finished => ({ code, stdout, stderr }));
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  const printed = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(stdout);
        if (match) resolve(match);
      };
      heard.add(look);
      look();
      void ended.then(() => reject(new Error(`it ended before ${pattern}:\n${stdout}${stderr}`)));
    });
  return { child, ended, printed };
}

export const tidemark = (args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Program =>
  program(process.execPath, ['--import', TSX, MAIN, ...args], env, cwd);
