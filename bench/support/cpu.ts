/** CPU time of this process and of a local Postgres with all its backends, in ms. Postgres only where /proc is. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ; 100 on every Linux that Node runs on. */
const TICK_MS = 10;

interface ProcessTimes {
  readonly parent: number;
  /** Of the process itself, and of its children that have ended. */
  readonly own: number;
  readonly ended: number;
}

function timesOf(pid: number): ProcessTimes | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may hold anything; what counts comes after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const at = (field: number): number => Number(fields[field - 3]);
    return { parent: at(4), own: (at(14) + at(15)) * TICK_MS, ended: (at(16) + at(17)) * TICK_MS };
  } catch {
    return undefined;
  }
}

/** The postmaster of a local backend, or undefined where /proc does not tell. */
export const postmasterOf = (backendPid: number): number | undefined => timesOf(backendPid)?.parent;

/** CPU ms that Postgres has used so far. */
export function postgresCpuMs(postmaster: number): number {
  const root = timesOf(postmaster);
  let sum = (root?.own ?? 0) + (root?.ended ?? 0);
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const times = timesOf(Number(entry));
    if (times?.parent === postmaster) sum += times.own;
  }
  return sum;
}

/** CPU ms that this process has used so far. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** CPU ms that another process of this machine has used so far. */
export const cpuMsOf = (pid: number): number => timesOf(pid)?.own ?? Number.NaN;
