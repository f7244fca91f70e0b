/** The embedded Postgres on folders and under accounts of all kinds: what works, and what is refused in one line. */
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '../../src/app/embedded/postgres.js';
import { silentLogger } from '../../src/platform/logger.js';
import { ask, end, hold, isRoot, NOBODY, projectFolder } from '../support/embedded.js';

const start = (projectDir: string, dataDir?: string) =>
  startEmbeddedPostgres({ projectDir, logger: silentLogger, ...(dataDir === undefined ? {} : { dataDir }) });

describe('a folder that will not do is told in one line:', () => {
  const refusal = async (project: string, dataDir?: string): Promise<string> =>
    start(project, dataDir).then(
      () => 'it started',
      (error: Error) => error.message,
    );

  test('data of another major version', async () => {
    const project = await projectFolder();
    await mkdir(path.join(project, '.tidemark/postgres'), { recursive: true });
    await writeFile(path.join(project, '.tidemark/postgres/PG_VERSION'), '14\n');
    const text = await refusal(project);
    expect(text).toMatch(/is of Postgres 14, the embedded one is 18/);
    expect(text).not.toContain('\n');
  });

  test('something else than data of Postgres', async () => {
    const project = await projectFolder();
    await mkdir(path.join(project, '.tidemark/postgres'), { recursive: true });
    await writeFile(path.join(project, '.tidemark/postgres/holiday.jpg'), '');
    expect(await refusal(project)).toMatch(/not a data folder of Postgres/);
    expect(await readdir(path.join(project, '.tidemark/postgres'))).toEqual(['holiday.jpg']);
  });

  test('a file in its place', async () => {
    const project = await projectFolder();
    await writeFile(path.join(project, 'file'), '');
    expect(await refusal(project, 'file')).toMatch(/cannot be written: .*TIDEMARK_DATA_DIR/);
    // Where nothing can be made, Node’s recursive mkdir would try for ever.
    if (process.platform === 'linux')
      expect(await refusal(project, '/proc/nope/deeper')).toMatch(/cannot be written/);
  });

  test('a server that cannot start says why', async () => {
    const project = await projectFolder();
    const first = await start(project);
    await first.stop();
    await writeFile(path.join(first.dataDir, 'postgres/postgresql.conf'), 'shared_buffers = nonsense\n');
    expect(await refusal(project)).toMatch(
      /did not start: .*postgresql.conf.* contains errors .*its log: .*postgres.log/,
    );
    await writeFile(path.join(first.dataDir, 'postgres/postgresql.conf'), '');
    const again = await start(project); // The failed start left no lock behind.
    await again.stop();
  });
});

describe.runIf(isRoot)('accounts:', () => {
  test('root runs Postgres as somebody else', async () => {
    const postgres = await start(await projectFolder());
    const owner = await stat(path.join(postgres.dataDir, 'postgres'));
    expect(owner.uid).not.toBe(0);
    await postgres.stop();
  });

  test('an ordinary user runs it, then root, then the user again', async () => {
    const project = await projectFolder({ owner: NOBODY });
    const mine = await hold(project, { as: NOBODY });
    await ask(mine.answer.url, 'CREATE TABLE kept AS SELECT 1 AS n');
    await end(mine.child);
    const roots = await hold(project);
    expect(await ask(roots.answer.url, 'SELECT n FROM kept')).toEqual([{ n: 1 }]);
    await end(roots.child);
    const again = await hold(project, { as: NOBODY });
    expect(await ask(again.answer.url, 'SELECT n FROM kept')).toEqual([{ n: 1 }]);
  });

  test('a user who may not write the project gets one line', async () => {
    const refused = await hold(await projectFolder(), { as: NOBODY });
    expect(refused.answer.code).toBe('data_dir');
    expect(refused.answer.error).toMatch(/cannot be written/);
  });

  test("a user gets one line about another account's data", async () => {
    const project = await projectFolder();
    const roots = await hold(project);
    await end(roots.child);
    await chmod(roots.answer.dataDir, 0o777);
    const refused = await hold(project, { as: NOBODY });
    expect(refused.answer.error).toMatch(/belongs to another account/);
  });

  test('a project under a private folder has its data elsewhere, and finds it again', async () => {
    const home = await projectFolder({ mode: 0o700 });
    const project = path.join(home, 'clone');
    await mkdir(project);
    const first = await start(project);
    expect(first.dataDir).toMatch(/^\/var\/lib\/tidemark\/clone-[0-9a-f]{12}$/);
    await ask(first.url, 'CREATE TABLE kept AS SELECT 3 AS n');
    await first.stop();
    // Somebody opens the folder meanwhile: the data is still where it was.
    await chmod(home, 0o755);
    const second = await start(project);
    expect(await ask(second.url, 'SELECT n FROM kept')).toEqual([{ n: 3 }]);
    await second.stop();
    await rm(first.dataDir, { recursive: true });
  });

  test('a data folder that Postgres cannot get to is refused in one line', async () => {
    const home = await projectFolder({ mode: 0o700 });
    await expect(start(home, path.join(home, 'data'))).rejects.toThrow(/out of reach for the account/);
  });
});
