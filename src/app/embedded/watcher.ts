/** Stops the embedded Postgres when we die without a chance to do so ourselves (kill -9). */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Account } from './account.js';
import { cleanEnv, identity } from './programs.js';

export interface Watcher {
  /** The server has been stopped: there is nothing to do any more. */
  done(): void;
}

/**
 * A process that outlives us by a moment: when our end of its standard input closes, by whatever death, it asks the
 * server to stop, and removes a temporary folder. Told `done`, it does nothing.
 * @param removeDir a folder of ours that goes with us; the watcher then needs our rights
 */
export function watch(pid: number, account: Account, removeDir?: string): Watcher {
  const script = [
    'read -r word',
    '[ "$word" = done ] && exit 0',
    'kill -INT "$1" 2>/dev/null',
    '[ -n "$2" ] || exit 0',
    // Bounded: where nobody reaps the dead, the id stays taken.
    'n=0; while kill -0 "$1" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done',
    'rm -rf -- "$2"',
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
  // A pipe is a socket, and must not keep us alive; the type of `stdin` only says stream.
  if (child.stdin instanceof Socket) child.stdin.unref();
  return { done: () => void child.stdin.end('done\n') };
}
