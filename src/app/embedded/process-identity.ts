/**
 * Tells processes apart by id and start time, as ids are used again. A zombie counts as dead: it holds nothing any
 * more, and its parent may take its time to notice.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** `hidden`: there is one, but the system does not tell us more about it. */
export type ProcessStart = string | 'hidden' | undefined;

async function linuxStart(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The command in parentheses may hold anything; what follows its last one is in fixed order, the state first.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : `${boot.trim()}:${fields[19]}`;
}

async function psStart(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]);
    const [state = 'Z', ...start] = stdout.trim().split(/\s+/);
    return state.startsWith('Z') ? undefined : start.join(' ');
  } catch {
    return undefined;
  }
}

/** @returns something that no other process of this machine ever had, or undefined where none of that id lives */
export async function processStart(pid: number): Promise<ProcessStart> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const start = process.platform === 'linux' ? await linuxStart(pid) : await psStart(pid);
  if (start !== undefined) return start;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') return 'hidden';
  }
  return undefined;
}
