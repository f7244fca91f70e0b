/** How many files, and so sockets, a process may have open. */
import { readFileSync } from 'node:fs';

/** Where the system does not tell. */
const UNTOLD = 10_240;

/** Node takes as much as it may get when it starts, and so do the processes that are started here. */
export function openFilesLimit(): number {
  try {
    const [, soft = ''] = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === 'unlimited' ? Infinity : Number(soft);
  } catch {
    return UNTOLD;
  }
}
