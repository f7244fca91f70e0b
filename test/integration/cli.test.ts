/** The command line: output and exit codes; whole programs where that is what matters, as each takes seconds to start. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { processStart } from '../../src/app/embedded/process-identity.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { Database } from '../../src/platform/postgres/database.js';
import { ensureLog } from '../../src/platform/postgres/logs.js';
import { silentLogger } from '../../src/platform/logger.js';
import { OPERATOR_ERRORS } from '../../src/platform/operator-errors.js';
import { PROBLEMS } from '../../src/protocol/problems.js';
import { program, tidemark } from '../support/command.js';
import { projectFolder } from '../support/embedded.js';
import { freshDatabase, type FreshDatabase } from '../support/postgres.js';
import { serverPid } from '../support/server-pid.js';
import { typed } from '../support/typed.js';

const ORDERS = 'examples/orders/app.ts';

/** One line on standard error that ends with a code that is listed, no stack, exit code 1. */
async function refusal(args: readonly string[], env: Record<string, string>): Promise<string> {
  const { code, stderr } = await typed(args, env);
  expect(code).toBe(1);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  const [, told = ''] = /^tidemark: .+ \[(\w+)\]\n$/.exec(stderr) ?? [];
  expect(Object.keys({ ...PROBLEMS, ...OPERATOR_ERRORS })).toContain(told);
  return stderr.trim();
}

describe('one clear line and exit code 1 for', () => {
  test.each([
    [['frobnicate'], {}, /unknown command 'frobnicate' \[invalid_arguments\]$/],
    [['docter'], {}, /unknown command 'docter' \(Did you mean doctor\?\) \[invalid_arguments\]$/],
    [['start', '--frobnicate', 'api'], {}, /unknown option '--frobnicate' \[invalid_arguments\]$/],
    [['start', ORDERS, '--roles', 'cook'], {}, /TIDEMARK_ROLES="cook": expected some of api, relay/],
    [['start', ORDERS], { PORT: 'http' }, /PORT="http": expected a port/],
    [['start', ORDERS], { LOG_LEVEL: 'loud' }, /LOG_LEVEL="loud": expected one of/],
    [['start', 'nowhere.ts'], {}, /there is no app module .*nowhere\.ts/],
    [['start', 'src/index.ts'], {}, /default export of .*src\/index\.ts is not what defineApp returns/],
    [['start', 'vitest.config.ts', '--port', 'x'], {}, /PORT="x"/],
    [['streams', '--limit', 'many'], {}, /whole number/],
    // Before anything is done with a database.
    [
      ['start', ORDERS, '--page', '/tmp/tidemark-no-page'],
      { DATABASE_URL: 'postgres://u:hidden@127.0.0.1:1/d' },
      /--page: \/tmp\/tidemark-no-page has no index\.html.* \[invalid_page\]$/,
    ],
    [['start', ORDERS], { DATABASE_URL: 'mysql://u:hidden@h/d' }, /DATABASE_URL: expected a URL of the form/],
    [
      ['migrate'],
      { DATABASE_URL: 'postgres://u:hidden@127.0.0.1:1/d' },
      /ECONNREFUSED.* \[database_unavailable\]$/,
    ],
    [
      ['streams'],
      { TIDEMARK_DATA_DIR: '/tmp/tidemark-not-there' },
      /there is no data in .*start the application first/,
    ],
  ] as const)('tidemark %j with %j', async (args, env, expected) => {
    const line = await refusal(args, env);
    expect(line).toMatch(expected);
    expect(line).not.toContain('hidden');
  });

  test('a start whose database is not there', async () => {
    const env = { DATABASE_URL: 'postgres://u:hidden@127.0.0.1:1/d', LOG_LEVEL: 'silent' };
    const { code, stderr } = await tidemark(['start', ORDERS], env).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^tidemark: DATABASE_URL: postgres:\/\/u@127\.0\.0\.1:1\/d: .*ECONNREFUSED.* \[database_unavailable\]\n$/,
    );
    expect(stderr).not.toContain('hidden');
  });

  test('a module that throws, with the place', async () => {
    const project = await projectFolder();
    await writeFile(path.join(project, 'app.js'), "\nthrow new Error('no price list');");
    const { code, stderr } = await tidemark(['start'], {}, project).ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'tidemark: app.js cannot be loaded: no price list (app.js:2:7) [invalid_app]\n',
    });
  });

  test('a project without a module', async () => {
    const { code, stderr } = await tidemark(['start'], {}, await projectFolder()).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/name the app module/);
  });
});

describe('an application that runs', () => {
  test('says where it is, what to try, and stops on one Ctrl-C with all it started', async () => {
    const data = await projectFolder();
    const env = { TIDEMARK_DATA_DIR: data, PORT: '0', REALTIME_PORT: '0' };
    const running = tidemark(['start', ORDERS], env);
    const [, base] = await running.printed(/^ {2}HTTP +(http:\/\/\S+)$/m);
    await running.printed(/^ {2}API docs +http:\/\/\S+\/docs$/m);
    await running.printed(/^ {2}Realtime +ws:\/\/\S+\/realtime$/m);
    const [, tries = ''] = await running.printed(/^Try:\n((?: {2}curl .*\n)+)/m);
    const curls = tries.trim().split('\n');
    expect(curls).toHaveLength(3);

    const [placed] = curls.map((line) => program('sh', ['-c', line], {}).ended);
    expect(JSON.parse((await placed)?.stdout ?? '')).toMatchObject({ streamId: 'o-1', version: 1 });
    const shown = await tidemark(['streams', 'order', 'o-1', '--json'], env).ended;
    expect(JSON.parse(shown.stdout)).toMatchObject([{ version: 1, type: 'OrderPlaced' }]);
    const listed = await tidemark(['streams', 'order'], env).ended;
    expect(listed.stdout).toMatch(/^o-1\tversion 1\tOrderPlaced\t/);
    expect((await fetch(`${base}/readyz`)).status).toBe(200);

    const refused = await tidemark(['start', ORDERS], env).ended;
    expect(refused.stderr).toMatch(/already runs on the data folder .*process \d+/);
    expect(refused.code).toBe(1);

    const postgres = await serverPid(data);
    // What npm makes of one Ctrl-C: the terminal tells the group, and npm tells its child again.
    process.kill(-(running.child.pid ?? 0), 'SIGINT');
    process.kill(running.child.pid ?? 0, 'SIGINT');
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/"msg":"stopped"/);
    await vi.waitFor(async () => expect(await processStart(postgres)).toBeUndefined(), { timeout: 60_000 });
  });

  test('tells a port in use in one line', async () => {
    const database = await freshDatabase();
    const env = { DATABASE_URL: database.url, LOG_LEVEL: 'silent', PORT: '0', REALTIME_PORT: '0' };
    const running = tidemark(['start', ORDERS], env);
    const [, port] = await running.printed(/HTTP +http:\/\/[^:]+:(\d+)/);
    const second = await tidemark(['start', ORDERS], { ...env, PORT: port }).ended;
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^tidemark: PORT: .*in use.* \[address_in_use\]\n$/);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(0);
    await database.drop();
  });
});

describe('doctor', () => {
  let fresh: FreshDatabase;
  let database: Database;
  beforeAll(async () => {
    fresh = await freshDatabase();
    database = new Database({
      connectionString: fresh.url,
      schema: 'tidemark',
      role: 'test',
      logger: silentLogger,
    });
  });
  afterAll(async () => {
    await database.end();
    await fresh.drop();
  });
  const doctor = () => typed(['doctor'], { DATABASE_URL: fresh.url });

  test('finds a schema that is not there, and one that is', async () => {
    const before = await doctor();
    expect(before.code).toBe(1);
    expect(before.stdout).toMatch(/^fail +schema .*run tidemark migrate$/m);
    expect((await typed(['migrate'], { DATABASE_URL: fresh.url })).code).toBe(0);
    const after = await doctor();
    expect(after.code).toBe(0);
    expect(after.stdout).toMatch(/^ok +event logs +0 entries/m);
  });

  test('finds a hole in an event log, and a checkpoint past its head', async () => {
    await migrate(database);
    await ensureLog(database, 'order', 2);
    const event = (seq: number): Promise<unknown> =>
      database.query(
        `INSERT INTO ${database.table('events')}
           (seq, version, recorded_at, event_id, shard, schema_version, category, stream_id, type, data, tags, metadata)
         VALUES ($1, $1, now(), gen_random_uuid(), 1, 1, 'order', 'o-1', 'OrderPlaced', '{}', '{}', '{}')`,
        [seq],
      );
    await event(1);
    await event(3);
    await database.query(`INSERT INTO ${database.table('checkpoints')} VALUES ('summary', 1, 'order', 1, 9)`);
    const { code, stdout } = await doctor();
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fail +event logs +holes: order\/1 lacks 1$/m);
    expect(stdout).toMatch(/^fail +summary\.v1 +1 checkpoints are past the head of order/m);
  });
});

describe('npm start and npm test', () => {
  /** A project whose one package is a folder beside it, so that npm needs no registry. */
  async function smallProject(): Promise<string> {
    const project = await projectFolder();
    await mkdir(path.join(project, 'scripts'));
    await mkdir(path.join(project, 'leaf'));
    const source = new URL('../../scripts/prepare.js', import.meta.url);
    const { copyFile } = await import('node:fs/promises');
    await copyFile(source, path.join(project, 'scripts/prepare.js'));
    const manifest = { name: 'small', version: '1.0.0', type: 'module', dependencies: { leaf: 'file:leaf' } };
    await writeFile(path.join(project, 'package.json'), JSON.stringify(manifest));
    await writeFile(
      path.join(project, 'leaf/package.json'),
      JSON.stringify({ name: 'leaf', version: '1.0.0' }),
    );
    const locked = await program('npm', ['install', '--package-lock-only', '--offline'], {}, project).ended;
    expect(locked.code).toBe(0);
    return project;
  }
  const prepare = (project: string) =>
    program(process.execPath, ['-e', "import('./scripts/prepare.js').then((m) => m.prepare())"], {}, project)
      .ended;

  test('install what is missing once, also when several begin together', async () => {
    const project = await smallProject();
    const all = await Promise.all([prepare(project), prepare(project), prepare(project)]);
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0]);
    const said = all.map(({ stderr }) => stderr).join('');
    expect(said.match(/Installing packages/g)).toHaveLength(1);
    expect(await prepare(project)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('say in one line why they could not', async () => {
    const project = await smallProject();
    await writeFile(
      path.join(project, 'package.json'),
      JSON.stringify({ name: 'small', version: '1.0.0', type: 'module', dependencies: { other: '1.0.0' } }),
    );
    const { code, stderr } = await prepare(project);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Installing packages .*\nnpm ci failed: .+\n$/);
  });
});
