/** The page of `npm start`: built when it is missing or its sources have changed, and no reason not to start where that fails. */
import { execFile } from 'node:child_process';
import { appendFile, cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** As much of a clone as the page is made of. */
const COPIED = ['scripts/board.js', 'scripts/prepare.js', 'package-lock.json', 'src/client', 'src/protocol'];
let clone = '';

beforeAll(async () => {
  clone = await mkdtemp(path.join(tmpdir(), 'tidemark-board-'));
  for (const place of COPIED) await cp(path.join(ROOT, place), path.join(clone, place), { recursive: true });
  const board = 'examples/orders/board';
  const isSource = (place: string): boolean => !/\/board\/dist(\/|$)/.test(place);
  await cp(path.join(ROOT, board), path.join(clone, board), { recursive: true, filter: isSource });
  // tsconfig.json of the board extends this one.
  await cp(path.join(ROOT, 'tsconfig.json'), path.join(clone, 'tsconfig.json'));
  await symlink(path.join(ROOT, 'node_modules'), path.join(clone, 'node_modules'));
});
afterAll(() => rm(clone, { recursive: true, force: true }));

/** What `npm start` asks for its page: the folder to serve, and what is said meanwhile. */
async function ensured(): Promise<{ readonly page: string; readonly said: string }> {
  const code = `import('./scripts/board.js').then(async ({ ensureBoard }) => console.log((await ensureBoard()) ?? 'none'))`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', code], { cwd: clone });
  return { page: stdout.trim(), said: stderr.trim() };
}

test(
  'built once, again when a source has changed; a build that fails is told in a line',
  { timeout: 120_000 },
  async () => {
    const page = path.join(clone, 'examples/orders/board/dist/page');
    const building = 'Building the page (only when it has changed) …';
    expect(await ensured()).toEqual({ page, said: building });
    expect(await readdir(page)).toEqual(expect.arrayContaining(['assets', 'index.html']));
    expect(await ensured()).toEqual({ page, said: '' });

    const source = path.join(clone, 'examples/orders/board/texts.ts');
    await appendFile(source, '\nexport const another = 1;\n');
    expect(await ensured()).toEqual({ page, said: building });

    await appendFile(source, '\nthis is no TypeScript (\n');
    const failed = await ensured();
    expect(failed.page).toBe('none');
    expect(failed.said).toMatch(
      /^Building the page .*\nThe page cannot be built \(.+\); starting without it\.$/,
    );
    // Nothing half-made is left behind.
    expect(await readdir(path.join(clone, 'examples/orders/board/dist'))).toEqual(['page']);

    await rm(path.join(clone, 'package-lock.json'));
    expect(await ensured()).toMatchObject({
      page: 'none',
      said: expect.stringContaining('starting without it'),
    });
  },
);
