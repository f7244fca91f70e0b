/** The embedded Postgres through the life of its holder: start, stop, crash, a second one. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { describe, expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../src/app/embedded/postgres.js';
import { silentLogger } from '../../src/platform/logger.js';
import { ask, begin, hold, isAlive, killed, projectFolder } from '../support/embedded.js';
import { serverPid } from '../support/server-pid.js';

const start = (projectDir: string, dataDir?: string) =>
  startEmbeddedPostgres({ projectDir, logger: silentLogger, ...(dataDir === undefined ? {} : { dataDir }) });

describe('a data folder', () => {
  test('keeps its data over a stop and a start, and its secrets to its owner', async () => {
    const project = await projectFolder();
    const first = await start(project);
    await ask(first.url, 'CREATE TABLE kept AS SELECT 42 AS n');
    const pid = await serverPid(first.dataDir);
    await Promise.all([first.stop(), first.stop()]);
    expect(await isAlive(pid)).toBe(false);
    const second = await start(project);
    expect(await ask(second.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
    expect((await stat(path.join(second.dataDir, 'password'))).mode & 0o777).toBe(0o600);
    expect((await stat(path.join(second.dataDir, 'postgres'))).mode & 0o777).toBe(0o700);
    await second.stop();
  });

  test('lets nobody in without the password, and listens on the loopback address only', async () => {
    const postgres = await start(await projectFolder());
    const url = new URL(postgres.url);
    url.password = 'guessed';
    await expect(ask(url.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    expect(await ask(postgres.url, `SELECT current_setting('listen_addresses') AS a`)).toEqual([
      { a: '127.0.0.1' },
    ]);
    await postgres.stop();
  });

  test('gets a new password when the file with it is lost', async () => {
    const project = await projectFolder();
    const first = await start(project);
    await first.stop();
    await writeFile(path.join(first.dataDir, 'password'), '');
    const second = await start(project);
    expect(second.url).not.toBe(first.url);
    expect(await ask(second.url, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    await second.stop();
  });

  test('can be put elsewhere, relative to the project', async () => {
    const project = await projectFolder();
    const postgres = await start(project, 'var/data');
    expect(postgres.dataDir).toBe(path.join(project, 'var/data'));
    await postgres.stop();
  });
});

describe('a second start beside a running one', () => {
  test('is refused with the process that runs', async () => {
    const project = await projectFolder();
    const first = await hold(project);
    const second = await hold(project);
    expect(second.answer.code).toBe('already_running');
    expect(second.answer.error).toContain(`process ${first.child.pid}`);
    expect(await ask(first.answer.url, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
  });

  test('has one winner when many start at once on what a killed one left', async () => {
    const project = await projectFolder();
    const dead = await hold(project);
    await killed(dead.child, true);
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => start(project)));
    const winners = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(winners).toHaveLength(1);
    for (const one of all) if (one.status === 'rejected') expect(one.reason.code).toBe('already_running');
    await winners[0]?.stop();
    const next = await start(project);
    await next.stop();
  });

  test('is not refused because of a process that has the id of a dead holder', async () => {
    const project = await projectFolder();
    const first = await start(project);
    await first.stop();
    const dir = first.dataDir;
    const lock = (await readdir(dir)).find((name) => name.startsWith('lock.')) ?? '';
    // This very process lives, but began at another time than the holder that the file names.
    const forged = {
      pid: process.pid,
      start: 'another-boot:1',
      since: '2026-01-01T00:00:00.000Z',
      released: false,
    };
    await writeFile(path.join(dir, lock), JSON.stringify(forged));
    await writeFile(
      path.join(dir, 'postgres/postmaster.pid'),
      `${process.pid}\n${dir}/postgres\n0\n5432\n\n\n\nready\n`,
    );
    const next = await start(project);
    expect(await ask(next.url, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    await next.stop();
  });
});

describe('after kill -9', () => {
  test.each([false, true])(
    'of the holder (whole group: %s) the next start has what was committed',
    async (group) => {
      const project = await projectFolder();
      const first = await hold(project);
      await ask(first.answer.url, 'CREATE TABLE kept AS SELECT 7 AS n');
      await killed(first.child, group);
      const second = await hold(project);
      expect(await ask(second.answer.url, 'SELECT n FROM kept')).toEqual([{ n: 7 }]);
    },
  );

  test('nothing is left running, though nobody starts again', async () => {
    const first = await hold(await projectFolder());
    const pid = await serverPid(first.answer.dataDir);
    await killed(first.child, true);
    await vi.waitFor(async () => expect(await isAlive(pid)).toBe(false), { timeout: 60_000, interval: 50 });
  });

  test('of holder and server alike, backends that are still busy do not stop the next start', async () => {
    const project = await projectFolder();
    const first = await hold(project);
    const client = new pg.Client({ connectionString: first.answer.url });
    client.on('error', () => undefined);
    await client.connect();
    const busy = client
      .query('SELECT count(*) FROM generate_series(1, 1000000000)')
      .catch((error: Error) => error);
    // On another connection, so that it may be asked before the query has begun.
    const backend = await vi.waitFor(async () => {
      const [found] = await ask<{ pid: number }>(
        first.answer.url,
        `SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT count%generate_series%' AND state = 'active' AND pid <> pg_backend_pid()`,
      );
      if (!found) throw new Error('the query has not begun');
      return found.pid;
    }, 60_000);
    const server = await serverPid(first.answer.dataDir);
    await killed(first.child, true);
    process.kill(server, 'SIGKILL');
    expect(await isAlive(backend)).toBe(true);
    const second = await hold(project);
    expect(second.answer.error).toBeUndefined();
    expect(await isAlive(backend)).toBe(false);
    expect(await busy).toBeInstanceOf(Error);
    await client.end().catch(() => undefined);
  });

  test('while the data folder is being made, the next start makes it', async () => {
    const names = (project: string): Promise<string[]> =>
      readdir(path.join(project, '.tidemark')).catch(() => []);
    /** A project whose first start was killed there; undefined where it was done before anybody looked. */
    const halfMade = async (): Promise<string | undefined> => {
      const project = await projectFolder();
      const first = begin(project);
      const isMade = (name: string): boolean => /^postgres($|\.new-)/.test(name);
      await vi.waitFor(async () => expect((await names(project)).some(isMade)).toBe(true), {
        timeout: 60_000,
        interval: 5,
      });
      await killed(first, true);
      return (await names(project)).includes('postgres') ? undefined : project;
    };
    let project: string | undefined;
    while (project === undefined) project = await halfMade();
    const second = await start(project);
    expect(await ask(second.url, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    await second.stop();
  });

  test('of the server alone, it is started again on the same port', async () => {
    const postgres = await start(await projectFolder());
    await ask(postgres.url, 'CREATE TABLE kept AS SELECT 9 AS n');
    const pid = await serverPid(postgres.dataDir);
    process.kill(pid, 'SIGKILL');
    await vi.waitFor(async () => expect(await ask(postgres.url, 'SELECT n FROM kept')).toEqual([{ n: 9 }]), {
      timeout: 60_000,
      interval: 50,
    });
    await postgres.stop();
  });
});

test('Ctrl-C in the terminal (a signal to the group) does not reach the server', async () => {
  const holder = await hold(await projectFolder());
  const client = new pg.Client({ connectionString: holder.answer.url });
  await client.connect();
  process.kill(-(holder.child.pid ?? 0), 'SIGINT'); // The program has no handler for SIGINT: it dies of it.
  const answer = await client.query<{ n: number }>('SELECT 1 AS n').catch((error: Error) => error.message);
  // By now the watcher may have asked the server to stop, which it says; a killed one would say nothing.
  if (typeof answer === 'string')
    expect(answer).toMatch(/terminating connection due to administrator command/);
  else expect(answer.rows).toEqual([{ n: 1 }]);
  client.on('error', () => undefined);
  await client.end().catch(() => undefined);
});

test('the log tells what the server said, in the data folder', async () => {
  const postgres = await start(await projectFolder());
  await postgres.stop();
  expect(await readFile(path.join(postgres.dataDir, 'postgres.log'), 'utf8')).toMatch(
    /database system is ready to accept connections/,
  );
});
