/**
 * The page of the orders example: built into `examples/orders/board/dist` when it is missing or made from other sources
 * than those that are there. `node scripts/board.js` builds it anew.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './prepare.js';

const BOARD = path.join(ROOT, 'examples/orders/board');
/** Where `tidemark start --page` finds it. */
const BUILT = path.join(BOARD, 'dist/page');
/** Beside the files that are served: what they were made from. */
const STAMP = '.made-from';
/** A build that takes longer has died. */
const BUILD_MS = 120_000;

/** All that can change what is built; the lock file stands for the packages. */
function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const place = path.join(folder, entry.name);
    if (!entry.isDirectory()) yield place;
    else if (entry.name !== 'dist') yield* sources(place);
  }
}

function stampNow() {
  const hash = createHash('sha256');
  const places = [BOARD, path.join(ROOT, 'src/client'), path.join(ROOT, 'src/protocol')].flatMap((folder) => [
    ...sources(folder),
  ]);
  for (const place of [...places.sort(), path.join(ROOT, 'package-lock.json')]) {
    const content = readFileSync(place);
    hash.update(`${path.relative(ROOT, place)} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function stampOf(folder) {
  try {
    return readFileSync(path.join(folder, STAMP), 'utf8');
  } catch {
    return undefined;
  }
}

/** Puts the new page in the place of the old one at once, as another start may be serving that. */
function put(built, old) {
  try {
    renameSync(BUILT, old);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  try {
    renameSync(built, BUILT);
  } catch (error) {
    // Another start was a moment faster, with the same sources.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  }
}

async function build(stamp) {
  // Whatever this process runs under: React has another build for development, four times as large.
  process.env['NODE_ENV'] = 'production';
  const { build: bundle } = await import('vite');
  const outDir = path.join(BOARD, `dist/.new-${process.pid}`);
  const old = path.join(BOARD, `dist/.old-${process.pid}`);
  try {
    await bundle({
      configFile: path.join(BOARD, 'vite.config.ts'),
      logLevel: 'error',
      build: { outDir, emptyOutDir: true },
    });
    writeFileSync(path.join(outDir, STAMP), stamp);
    put(outDir, old);
  } finally {
    for (const left of [outDir, old]) rmSync(left, { recursive: true, force: true });
  }
}

const firstLine = (text) =>
  text
    // eslint-disable-next-line no-control-regex -- colours of the terminal
    .replaceAll(/\u001b\[[0-9;]*m/g, '')
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line !== '' && !/^at |^file:|^\^|^throw /.test(line));

/**
 * Makes sure that the page is there and new, in a process of its own: what goes wrong there is not the server's trouble.
 * @returns the folder to serve; undefined where there is no page, after a line that says why
 */
export async function ensureBoard() {
  try {
    const stamp = stampNow();
    if (stampOf(BUILT) === stamp) return BUILT;
  } catch (error) {
    console.error(`The page cannot be built (${error.message}); starting without it.`);
    return undefined;
  }
  console.error('Building the page (only when it has changed) …');
  const script = fileURLToPath(import.meta.url);
  const reason = await new Promise((resolve) => {
    execFile(process.execPath, [script], { cwd: ROOT, timeout: BUILD_MS }, (error, _stdout, stderr) =>
      resolve(error && (firstLine(stderr) ?? error.message)),
    );
  });
  if (reason === null) return BUILT;
  console.error(`The page cannot be built (${reason}); starting without it.`);
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await build(stampNow());
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
