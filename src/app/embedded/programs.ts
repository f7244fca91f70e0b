/** Running the programs of Postgres: as the right account, in a clean environment, away from our process group. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { messageOf, TidemarkError } from '../../platform/errors.js';
import type { Account } from './account.js';

/** Nothing of our environment reaches Postgres: PGPORT and the like would change what it does. */
export const cleanEnv = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' });

export const identity = (account: Account): { uid?: number; gid?: number } =>
  account.dropped ? { uid: account.uid, gid: account.gid } : {};

/** The line of a program's output that says what went wrong. */
function reason(said: string): string {
  const lines = said.trim().split('\n');
  return lines.findLast((line) => /error|fatal/i.test(line)) ?? lines.at(-1) ?? '';
}

/**
 * Runs a program to its end.
 * @throws TidemarkError `embedded_postgres` with the line of its output that says why it failed
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  account: Account,
  input = '',
): Promise<void> {
  const name = path.basename(file);
  const child = spawn(file, args, { ...identity(account), env: cleanEnv(), cwd: '/', detached: true });
  let said = '';
  const hear = (chunk: Buffer): void => {
    said = (said + chunk.toString('utf8')).slice(-4_000);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  child.stdin.on('error', () => undefined); // It may end before it has read all.
  child.stdin.end(input);
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new TidemarkError('embedded_postgres', `${name} cannot run here: ${messageOf(cause)}`, { cause }),
      ),
    );
    child.once('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'));
  });
  if (code !== 0) throw new TidemarkError('embedded_postgres', `${name} failed (${code}): ${reason(said)}`);
}
