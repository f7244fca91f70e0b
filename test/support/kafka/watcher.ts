/** Ends the brokers when we die without a chance to do so ourselves (kill -9, Ctrl-C during the start). */
import { spawn, type ChildProcess } from 'node:child_process';
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
  /** Has it ended with us, unless it ends before. */
  guard(child: ChildProcess): void;
  /** Nothing is left to end. */
  done(): void;
}

/**
 * A process that outlives us by a moment: when our end of its standard input closes, by whatever death, it ends the
 * processes of the last line that it was told.
 * @param removeDir a folder that goes with us
 */
export function watch(removeDir?: string): Watcher {
  const watcher = spawn('/bin/sh', ['-c', SCRIPT, 'tidemark-watch', removeDir ?? ''], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.unref();
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  // A pipe is a socket, and must not keep us alive; the type of `stdin` only says stream.
  if (watcher.stdin instanceof Socket) watcher.stdin.unref();
  const pids = new Set<number>();
  const tell = (): void => void (watcher.stdin.writable && watcher.stdin.write(`${[...pids].join(' ')}\n`));
  return {
    guard: (child) => {
      const { pid } = child;
      if (pid === undefined) return;
      pids.add(pid);
      tell();
      child.once('exit', () => {
        pids.delete(pid);
        tell();
      });
    },
    done: () => void watcher.stdin.end('\n'),
  };
}
