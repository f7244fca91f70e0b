/**
 * Where the embedded Postgres keeps its things: `.tidemark/` in the project, unless root runs us in a place that the
 * account of Postgres cannot reach (a clone under root's home); then a folder of this project's own in /var/lib.
 */
import { createHash } from 'node:crypto';
import { access, chmod, chown, constants, mkdir, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, TidemarkError } from '../../platform/errors.js';
import { canReach, postgresAccount, type Account } from './account.js';

export interface StateDir {
  readonly dir: string;
  /** Postgres's own folder in it. */
  readonly dataDir: string;
  readonly account: Account;
}

const OUT_OF_THE_WAY = '/var/lib/tidemark';
const dataDirIn = (dir: string): string => path.join(dir, 'postgres');

async function there(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

/**
 * Where it is or would be; makes nothing.
 * @param given TIDEMARK_DATA_DIR, relative to the project
 */
export async function findStateDir(projectDir: string, given: string | undefined): Promise<StateDir> {
  const project = await realpath(projectDir);
  const at = async (dir: string): Promise<StateDir> => {
    const dataDir = dataDirIn(dir);
    return { dir, dataDir, account: await postgresAccount(dataDir, project) };
  };
  if (given !== undefined) return at(path.resolve(project, given));
  const inside = await at(path.join(project, '.tidemark'));
  if (!inside.account.dropped || (await there(inside.dataDir))) return inside;
  const name = `${path.basename(project)}-${createHash('sha256').update(project).digest('hex').slice(0, 12)}`;
  const outside = await at(path.join(OUT_OF_THE_WAY, name));
  const reachable = await canReach(inside.account, project);
  return reachable && !(await there(outside.dataDir)) ? inside : outside;
}

/** Level by level: Node’s recursive way never ends on a file system where nothing can be made (/proc). */
async function makeFolder(dir: string): Promise<void> {
  if (await there(dir)) return;
  await makeFolder(path.dirname(dir));
  try {
    await mkdir(dir, { mode: 0o755 });
    await chmod(dir, 0o755); // Whatever the umask: Postgres's account has to pass.
  } catch (error) {
    if (!(await there(dir))) throw error;
  }
}

async function make({ dir, account }: StateDir, project: string): Promise<void> {
  if (!(await there(dir))) {
    await makeFolder(dir);
    if (dir.startsWith(`${OUT_OF_THE_WAY}${path.sep}`))
      await writeFile(path.join(dir, 'project'), `${project}\n`); // Whose it is.
    const owner = await stat(project);
    // The folder belongs to whom the project belongs, so that its owner can start it too.
    if (account.dropped && owner.uid === account.uid) await chown(dir, account.uid, account.gid);
  }
  await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
}

/**
 * Finds the folder and makes it when it is not there.
 * @throws TidemarkError `data_dir` when it cannot be written, or Postgres's account cannot get there
 */
export async function stateDir(projectDir: string, given: string | undefined): Promise<StateDir> {
  const chosen = await findStateDir(projectDir, given);
  try {
    await make(chosen, projectDir);
  } catch (cause) {
    throw new TidemarkError(
      'data_dir',
      `the data folder ${chosen.dir} cannot be written: ${messageOf(cause)}; set TIDEMARK_DATA_DIR to a folder that can`,
      { cause },
    );
  }
  if (!(await canReach(chosen.account, chosen.dir)))
    throw new TidemarkError(
      'data_dir',
      `the data folder ${chosen.dir} is out of reach for the account "${chosen.account.name}", as which root runs Postgres; set TIDEMARK_DATA_DIR to a folder below directories that everybody may pass`,
    );
  const dir = await realpath(chosen.dir);
  return { ...chosen, dir, dataDir: dataDirIn(dir) };
}

/** A file that we made as root belongs to whom its folder belongs. */
export async function giveToOwner(file: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const owner = await stat(path.dirname(file));
  await chown(file, owner.uid, owner.gid);
}
