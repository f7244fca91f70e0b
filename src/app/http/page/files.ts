/** What a folder with a built page holds: which files there are, and how long each of them may be kept. */
import { readdir, stat } from 'node:fs/promises';
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

const routeOf = (file: string): string => `/${file.replace(/(^|\/)index\.html$/, '$1')}`;

function refuse(dir: string, reason: string, cause?: unknown): TidemarkError {
  const message = `--page: ${dir} ${reason}`;
  return new TidemarkError('invalid_page', message, cause === undefined ? {} : { cause });
}

/**
 * Lists what is in the folder now; files that come later are not served. Names that begin with a dot are passed over, and
 * so are links, which could lead out of it.
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
    .filter((file) => !UNSERVED.test(file))
    .sort();
  if (files.length > MAX_FILES) throw refuse(dir, `has ${files.length} files: expected at most ${MAX_FILES}`);
  return files.map((file) => ({
    file,
    route: routeOf(file),
    cacheControl: HASHED.test(file) ? FOREVER : REVALIDATED,
  }));
}
