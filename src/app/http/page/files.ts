/** What a folder with a built page holds: which files there are, and how long each of them may be kept. */
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, TidemarkError } from '../../../platform/errors.js';

export interface PageFile {
  /** Below the folder, with `/` between its parts. */
  readonly file: string;
  /** Path that it is served at; an `index.html` is its folder. */
  readonly route: string;
  readonly cacheControl: string;
}

/** A page of more files is none that a build made. */
const MAX_FILES = 5_000;

/** Its name changes with its content (`index-D3kb9x_a.js`, as Vite and others write), so it is asked for once. */
const FOREVER = 'public, max-age=31536000, immutable';
/** Asked for each time; the answer is 304 while it is the same. */
const REVALIDATED = 'no-cache';
const HASHED = /^assets\/(?:.+\/)?[^/]+[.-][\w-]{8,}\.\w+$/;

/** Characters that mean something in a route or a URL; no build gives such names. */
const UNSERVED = /[:*%?#\\]|(^|\/)\./;

/** Where builds put what has a hash in its name. */
const ASSETS = 'assets/';

const keptFor = (file: string): string => (HASHED.test(file) ? FOREVER : REVALIDATED);

const routeOf = (file: string): string => `/${file.replace(/(^|\/)index\.html$/, '$1')}`;

function refuse(dir: string, reason: string, cause?: unknown): TidemarkError {
  const message = `--page: ${dir} ${reason}`;
  return new TidemarkError('invalid_page', message, cause === undefined ? {} : { cause });
}

/**
 * A file in `assets/` as it is there now: a page that is built anew under a running server has others, and so has its `index.html`.
 * @param dir absolute path
 * @param name below `assets/`
 * @returns undefined where there is none, or its name begins with a dot, or a link leads there
 */
export async function assetFile(dir: string, name: string): Promise<Omit<PageFile, 'route'> | undefined> {
  const file = ASSETS + name;
  if (UNSERVED.test(file) || file.includes('\0') || path.posix.normalize(file) !== file) return undefined;
  const place = path.join(dir, file);
  try {
    if ((await realpath(place)) !== path.join(await realpath(dir), file)) return undefined;
    if (!(await lstat(place)).isFile()) return undefined;
  } catch {
    return undefined;
  }
  return { file, cacheControl: keptFor(file) };
}

/**
 * Lists what is in the folder now, but for `assets/`; files that come later are not served. Names that begin with a dot are
 * passed over, and so are links, which could lead out of it.
 * @param dir absolute path
 * @throws TidemarkError `invalid_page` when it cannot be read or has no `index.html`
 */
export async function pageFiles(dir: string): Promise<readonly PageFile[]> {
  const isThere = await stat(path.join(dir, 'index.html')).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isThere) throw refuse(dir, 'has no index.html: expected a folder with a built page');
  const entries = await readdir(dir, { withFileTypes: true, recursive: true }).catch((cause: unknown) => {
    throw refuse(dir, `cannot be read: ${messageOf(cause)}`, cause);
  });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .filter((file) => !UNSERVED.test(file) && !file.startsWith(ASSETS))
    .sort();
  if (files.length > MAX_FILES) throw refuse(dir, `has ${files.length} files: expected at most ${MAX_FILES}`);
  return files.map((file) => ({
    file,
    route: routeOf(file),
    cacheControl: keptFor(file),
  }));
}
