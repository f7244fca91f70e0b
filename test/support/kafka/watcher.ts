/** Ends the brokers when we die without a chance to do so ourselves (kill -9, Ctrl-C during the start). */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

const SCRIPT = `
while read -r line; do pids=$line; done
[ -n "$pids" ] && kill -KILL $pids 2>/dev/null
# Bounded: where nobody reaps the dead, their ids stay taken.
n=0
for pid in $pids; do
  while kill -0 "$pid" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
done
[ -n "$1" ] && rm -rf -- "$1"
`;

export interface Watcher {
  /** Which processes are to be ended; the last word counts. */
  guard(pids: readonly number[]): void;
  /** Nothing is left to end. */
  done(): void;
}

/**
 * A process that outlives us by a moment: when our end of its standard input closes, by whatever death, it ends the
 * processes that it was told last.
 * @param removeDir a folder that goes with us
 */
export function watch(removeDir?: string): Watcher {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'tidemark-watch', removeDir ?? ''], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  // A pipe is a socket, and must not keep us alive; the type of `stdin` only says stream.
  if (child.stdin instanceof Socket) child.stdin.unref();
  return {
    guard: (pids) => void child.stdin.write(`${pids.join(' ')}\n`),
    done: () => void child.stdin.end('\n'),
  };
}
