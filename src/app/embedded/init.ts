/** Making Postgres's data folder, complete or not at all, and its password. */
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { TidemarkError } from '../../platform/errors.js';
import type { Account } from './account.js';
import type { Binaries } from './binaries.js';
import { runProgram } from './programs.js';

/** Superuser of the embedded Postgres, and the name of its one database. */
export const USER = 'tidemark';
export const DATABASE = 'tidemark';

export interface ClusterPlace {
  /** Postgres's own data folder. */
  readonly dataDir: string;
  readonly passwordFile: string;
  readonly logFile: string;
  readonly account: Account;
  readonly binaries: Binaries;
}

const newPassword = (): string => randomBytes(24).toString('base64url');

async function writeSecret(file: string, text: string, owner: Account | undefined): Promise<void> {
  const draft = `${file}.new`;
  await rm(draft, { force: true });
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
  if (owner?.dropped) await chown(draft, owner.uid, owner.gid);
  await rename(draft, file);
}

/** What a kill in the middle of `makeCluster` left. An initdb that still runs keeps its folder to itself. */
async function removeUnfinished(place: ClusterPlace): Promise<void> {
  const parent = path.dirname(place.dataDir);
  const prefix = `${path.basename(place.dataDir)}.new-`;
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix))
      await rm(path.join(parent, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/**
 * Makes the data folder: SCRAM with a generated password, one database. It is made beside its place and moved there
 * when it is complete, so that a kill in the middle leaves nothing half-made.
 * @throws TidemarkError `embedded_postgres` with what initdb says
 */
export async function makeCluster(place: ClusterPlace): Promise<void> {
  const { account, binaries } = place;
  await removeUnfinished(place);
  const unfinished = `${place.dataDir}.new-${randomBytes(4).toString('hex')}`;
  const handed = `${unfinished}.pw`;
  const password = newPassword();
  await mkdir(unfinished, { mode: 0o700 });
  if (account.dropped) await chown(unfinished, account.uid, account.gid);
  await writeSecret(handed, `${password}\n`, account);
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const auth = ['--auth=scram-sha-256', `--pwfile=${handed}`, `--username=${USER}`];
  try {
    await runProgram(binaries.initdb, ['-D', unfinished, ...auth, ...locale, '--no-instructions'], account);
  } finally {
    await rm(handed, { force: true });
  }
  await alone(place, unfinished, `CREATE DATABASE ${DATABASE}`);
  await writeSecret(place.passwordFile, password, undefined);
  await rename(unfinished, place.dataDir);
}

/** Runs one statement without a server; nobody else can be connected. */
async function alone(place: ClusterPlace, dataDir: string, statement: string): Promise<void> {
  const { binaries, account } = place;
  await runProgram(binaries.postgres, ['--single', '-D', dataDir, 'postgres'], account, `${statement}\n`);
}

/** The password of `USER`; a lost one is replaced. Only while no server runs. */
export async function passwordOf(place: ClusterPlace): Promise<string> {
  const known = (await readFile(place.passwordFile, 'utf8').catch(() => '')).trim();
  if (known) return known;
  const password = newPassword();
  await alone(place, place.dataDir, `ALTER ROLE ${USER} PASSWORD '${password}'`);
  await writeSecret(place.passwordFile, password, undefined);
  return password;
}

/**
 * @returns whether there is a data folder of this version; false when there is none or an empty one
 * @throws TidemarkError `data_dir` when it is of another major version, no data folder, or not ours
 */
export async function checkCluster(place: ClusterPlace): Promise<boolean> {
  const { dataDir, binaries } = place;
  const names = await readdir(dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    const why = error.code === 'EACCES' ? 'belongs to another account' : `cannot be read (${error.code})`;
    throw new TidemarkError(
      'data_dir',
      `the data folder ${dataDir} ${why}; start Tidemark as its owner, or set TIDEMARK_DATA_DIR`,
    );
  });
  if (names.length === 0) return false;
  const version = (await readFile(path.join(dataDir, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  if (version === binaries.major) return true;
  throw new TidemarkError(
    'data_dir',
    version === ''
      ? `${dataDir} is not a data folder of Postgres; move it away, or set TIDEMARK_DATA_DIR`
      : `the data folder ${dataDir} is of Postgres ${version}, the embedded one is ${binaries.major}; move it away (pg_dump with Postgres ${version} takes the data along), or set TIDEMARK_DATA_DIR`,
  );
}
