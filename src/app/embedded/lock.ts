/**
 * One Tidemark per data folder. The lock is a file that names its holder (process id and start time), so that neither
 * kill -9 nor a process id that is used again can leave it held.
 *
 * Files are numbered, the highest counts, and it is only ever made, never taken over: `link` lets exactly one process
 * make number n + 1 after the holder of n died. A release marks the file instead of removing it, so that the numbers
 * never begin again under somebody who is still looking at them.
 */
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { TidemarkError } from '../../platform/errors.js';
import { processStart } from './process-identity.js';
import { giveToOwner } from './state-dir.js';

export interface FolderLock {
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly start: string;
  /** ISO 8601. */
  readonly since: string;
  readonly released: boolean;
}

const NAME = /^lock\.(\d+)$/;
const fileOf = (dir: string, number: number): string => path.join(dir, `lock.${number}`);

async function newest(dir: string): Promise<number> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return Math.max(0, ...names.map((name) => Number(NAME.exec(name)?.[1] ?? 0)));
}

async function holderOf(dir: string, number: number): Promise<Holder | undefined> {
  const text = await readFile(fileOf(dir, number), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return undefined; // A crash of the machine may leave an empty file; its writer is dead.
  }
}

async function isHeld(holder: Holder | undefined): Promise<boolean> {
  if (!holder || holder.released) return false;
  const start = await processStart(holder.pid);
  return start === 'hidden' || start === holder.start;
}

/** Writes beside, then `place` gives it its name in one step; nobody ever reads half a file. */
async function put(dir: string, holder: Holder, place: (file: string) => Promise<void>): Promise<void> {
  const draft = path.join(dir, `lock.draft-${process.pid}-${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(draft, JSON.stringify(holder), { mode: 0o644 });
    await giveToOwner(draft);
    await place(draft);
  } finally {
    await rm(draft, { force: true });
  }
}

const alreadyRuns = (dir: string, holder: Holder): TidemarkError =>
  new TidemarkError(
    'already_running',
    `Tidemark already runs on the data folder ${dir} (process ${holder.pid}, since ${holder.since}); stop it first, or set TIDEMARK_DATA_DIR to another folder`,
  );

/**
 * @param dir exists and is writable
 * @throws TidemarkError `already_running`
 */
export async function lockFolder(dir: string): Promise<FolderLock> {
  const start = await processStart(process.pid);
  if (start === undefined) throw new TidemarkError('internal_error', 'this process cannot find itself');
  const self: Holder = { pid: process.pid, start, since: new Date().toISOString(), released: false };
  for (;;) {
    const last = await newest(dir);
    const holder = await holderOf(dir, last);
    if (holder && (await isHeld(holder))) throw alreadyRuns(dir, holder);
    const mine = last + 1;
    const won = await put(dir, self, (draft) => link(draft, fileOf(dir, mine))).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false; // Somebody was faster: look who.
        throw error;
      },
    );
    if (!won) continue;
    await forgetOlder(dir, mine);
    return {
      release: () => put(dir, { ...self, released: true }, (draft) => rename(draft, fileOf(dir, mine))),
    };
  }
}

async function forgetOlder(dir: string, mine: number): Promise<void> {
  for (const name of await readdir(dir)) {
    const number = Number(NAME.exec(name)?.[1] ?? Infinity);
    if (number < mine) await rm(path.join(dir, name), { force: true });
  }
}
