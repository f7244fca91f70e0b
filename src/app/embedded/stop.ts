/** Stopping a Postgres server: fast (connections are ended, a checkpoint is written), in bounded time. */
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';

/** Together they leave an application most of the five seconds in which it is to be gone. */
const FAST_MS = 1_000;
const IMMEDIATE_MS = 500;

/**
 * @param first `SIGINT` stops fast; `SIGQUIT` at once, and the next start replays the log
 */
export async function stopCluster(child: ChildProcess, first: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  const steps: readonly (readonly [NodeJS.Signals, number])[] = [
    [first, FAST_MS],
    ['SIGQUIT', IMMEDIATE_MS],
    ['SIGKILL', IMMEDIATE_MS],
  ];
  for (const [signal, patience] of steps) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit', { signal: AbortSignal.timeout(patience) }).catch(() => undefined);
    child.kill(signal);
    await gone;
  }
}
