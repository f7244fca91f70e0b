/**
 * Which account the embedded Postgres runs as. Postgres refuses to run as root, so root hands it to an unprivileged
 * account that exists already; everybody else runs it as themselves.
 */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { TidemarkError } from '../../platform/errors.js';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Set when we are root and become this account for Postgres. */
  readonly dropped: boolean;
}

/** In this order: the account that is made for it, then the one that every Unix has. */
const PREFERRED = ['postgres', 'nobody'];

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

async function passwd(): Promise<PasswdEntry[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name && uid && gid && !line.startsWith('#') ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

/** Asks the system where /etc/passwd does not list an account (directory services, macOS). */
async function lookUp(name: string): Promise<PasswdEntry | undefined> {
  const id = async (flag: string): Promise<number> =>
    Number((await promisify(execFile)('id', [flag, name])).stdout.trim());
  try {
    return { name, uid: await id('-u'), gid: await id('-g') };
  } catch {
    return undefined;
  }
}

/** An owner other than root; one without an entry of its own can still run what is there. */
async function ownerOf(folder: string, known: readonly PasswdEntry[]): Promise<Account | undefined> {
  const info = await stat(folder).catch(() => undefined);
  if (!info || info.uid === 0) return undefined;
  const entry = known.find((each) => each.uid === info.uid);
  return {
    name: entry?.name ?? `user ${info.uid}`,
    uid: info.uid,
    gid: entry?.gid ?? info.gid,
    dropped: true,
  };
}

/**
 * @param dataDir an existing data folder keeps its owner, whatever accounts came to the system since
 * @param projectDir in a project of an ordinary user, root runs Postgres as that user, so that both can start it
 * @throws TidemarkError `embedded_postgres` when root has no account to hand Postgres to
 */
export async function postgresAccount(dataDir: string, projectDir?: string): Promise<Account> {
  const uid = process.getuid?.();
  const gid = process.getgid?.();
  if (uid === undefined || gid === undefined)
    throw new TidemarkError(
      'embedded_postgres',
      'the embedded Postgres runs on Linux and macOS; set DATABASE_URL to use another one',
    );
  if (uid !== 0) return { name: `user ${uid}`, uid, gid, dropped: false };
  const known = await passwd();
  const owner = await ownerOf(dataDir, known);
  if (owner) return owner;
  const host = projectDir === undefined ? undefined : await ownerOf(projectDir, known);
  // To make a data folder, initdb wants an account with a name.
  if (host && known.some((entry) => entry.uid === host.uid)) return host;
  for (const name of PREFERRED) {
    const entry = known.find((each) => each.name === name) ?? (await lookUp(name));
    if (entry && entry.uid !== 0) return { ...entry, dropped: true };
  }
  throw new TidemarkError(
    'embedded_postgres',
    'Postgres does not run as root, and there is no account "postgres" or "nobody" to run it as; make one, or set DATABASE_URL',
  );
}

/**
 * Whether the account can go through every folder down to `target` (and into it, when it is a folder). A path that is
 * not there yet is judged by the folders that are.
 */
export async function canReach(account: Account, target: string): Promise<boolean> {
  if (!account.dropped) return true;
  const parts = path.resolve(target).split(path.sep);
  for (let depth = 1; depth <= parts.length; depth++) {
    const folder = parts.slice(0, depth).join(path.sep) || path.sep;
    const info = await stat(folder).catch(() => undefined);
    if (!info) return true;
    if (!info.isDirectory()) continue;
    const bit = info.uid === account.uid ? 0o100 : info.gid === account.gid ? 0o010 : 0o001;
    if ((info.mode & bit) === 0) return false;
  }
  return true;
}
