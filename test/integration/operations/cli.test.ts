/** Operators' commands as they are typed, beside a running application: what they print, and their exit codes. */
import pgDriver from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { tidemark, type Finished } from '../../support/command.js';
import { operated } from '../../support/operated.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { typed } from '../../support/typed.js';

const APP = '--app test/support/operated-app.ts';
const NEXT = '--app test/support/operated-next-app.ts';
let pg: FreshDatabase;
let client: pgDriver.Client;
let runtime: Runtime;

async function start(version: number): Promise<void> {
  const config = loadConfig({ DATABASE_URL: pg.url, PORT: '0', REALTIME_PORT: '0' });
  runtime = createRuntime(operated(version), config, { logger: silentLogger });
  await runtime.start();
}

async function pay(id: string, cents: number): Promise<void> {
  const { status } = await fetch(`${runtime.urls.http}/commands/purse/${id}/pay`, {
    method: 'POST',
    body: JSON.stringify({ cents }),
    headers: { 'content-type': 'application/json' },
  });
  expect(status).toBe(200);
}

const type = (line: string, env: Record<string, string> = {}): Promise<Finished> =>
  typed(line.split(' '), { DATABASE_URL: pg.url, ...env });
const rows = async (statement: string): Promise<unknown> => (await client.query(statement)).rows;
const parked = () => rows('SELECT key, queued::int FROM tidemark.parked');

beforeAll(async () => {
  pg = await freshDatabase();
  client = new pgDriver.Client({ connectionString: pg.url });
  await client.connect();
  vi.stubEnv('OPERATED_BAD', '13');
  await start(1);
  for (const [id, cents] of [
    ['a', 1],
    ['b', 2],
    ['c', 3],
    ['c', 13],
    ['c', 5],
  ] as const)
    await pay(id, cents);
  await vi.waitFor(async () => {
    expect(await parked()).toEqual([{ key: 'c', queued: 2 }]);
    // Those of other shards come in their own time.
    expect(await rows('SELECT id, cents::int FROM tidemark.purses ORDER BY id')).toEqual([
      { id: 'a', cents: 1 },
      { id: 'b', cents: 2 },
      { id: 'c', cents: 3 },
    ]);
  }, 60_000);
});
afterAll(async () => {
  await runtime?.stop();
  await client?.end();
  await pg?.drop();
  vi.unstubAllEnvs();
});

test('as programs of their own: standard output, standard error, exit codes', async () => {
  const watching = tidemark(['projections', 'list', '--watch'], { DATABASE_URL: pg.url });
  await watching.printed(/^PROJECTION[^]*^PROJECTION/m);
  watching.child.kill('SIGINT');
  expect(await watching.ended).toMatchObject({ code: 0, stderr: '' });
  const [list, nothing, wrong] = await Promise.all(
    ['projections list', 'projections list nothing', 'projections pause --version 1'].map(
      (line) => tidemark(line.split(' '), { DATABASE_URL: pg.url }).ended,
    ),
  );
  expect(list).toMatchObject({ code: 0, stderr: '' });
  expect(list?.stdout).toMatch(
    /^PROJECTION +STATE .*\npurses v1 +(live|catching_up) +0 +1 +0 +yes +1 +yes +\d+ KiB\n$/,
  );
  expect(nothing).toEqual({
    code: 1,
    stdout: '',
    stderr: 'tidemark: there is no projection "nothing" (there are: purses) [unknown_projection]\n',
  });
  expect(wrong).toEqual({
    code: 1,
    stdout: '',
    stderr: "tidemark: missing required argument 'projection' [invalid_arguments]\n",
  });
});

test('list', async () => {
  const { stdout } = await type('projections list purses --json');
  expect(JSON.parse(stdout)).toMatchObject([{ name: 'purses', version: 1, parkedKeys: 1, processes: 1 }]);
});

test('parked list, parked show', async () => {
  const { stdout } = await type('parked list');
  expect(stdout).toMatch(/^KEY .*\nc +purses v1 +2 .*\n {4}purse\.Paid \(stream c, .*\): cannot take 13\n$/);
  expect(JSON.parse((await type('parked list purses --json')).stdout)).toMatchObject({ total: 1 });
  expect((await type('parked show purses c')).stdout).toMatch(
    /^purses v1, c: parked at .*\n {2}at fault: purse\.Paid[^]*waiting: 2 events\n/,
  );
  expect(await type('parked show purses a')).toMatchObject({
    code: 1,
    stderr: 'tidemark: "a" is not parked in purses [not_parked]\n',
  });
});

test('pause, which says what it paused, and resume', async () => {
  expect(await type('projections pause purses')).toMatchObject({ code: 0, stdout: 'purses v1 is paused\n' });
  const again = await type('projections pause purses --version v1');
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/is paused; .* \[wrong_state\]\n$/);
  expect((await type('projections list')).stdout).toMatch(/^purses v1 +paused /m);
  const resumed = await type('projections resume purses');
  expect(resumed).toMatchObject({ code: 0, stdout: 'purses v1 is catching_up\n' });
});

test('verify: 0 where nothing differs, 2 where something does', async () => {
  const good = await type(`projections verify purses --all ${APP}`);
  expect(good).toMatchObject({ code: 0, stderr: '' });
  expect(good.stdout).toMatch(
    /^purses v1: 3 rows compared .*\(all rows\)\n {2}no difference\n {2}parked, .*: c\n$/,
  );
  await client.query(`UPDATE tidemark.purses__v1 SET cents = 9 WHERE id = 'a'`);
  const wrong = await type(`projections verify purses --key a --key b ${APP}`);
  expect(wrong.code).toBe(2);
  expect(wrong.stdout).toContain('wrong a cents: expected 1, it is 9');
  expect(JSON.parse((await type(`projections verify purses --seed 7 --json ${APP}`)).stdout)).toMatchObject({
    seed: 7,
    mode: 'sample',
    totals: { wrong: 1 },
  });
});

test('rebuild asks, and says how it ended', async () => {
  const asked = await type(`projections rebuild purses ${APP}`);
  expect(asked.code).toBe(1);
  expect(asked.stderr).toMatch(/thrown away .* 503 projection_building .* --yes.* \[not_confirmed\]\n$/);
  expect(await rows(`SELECT cents::int FROM tidemark.purses WHERE id = 'a'`)).toEqual([{ cents: 9 }]);
  // The fold still throws on an event of c: the rows are there, and not served by themselves.
  const stands = await type(`projections rebuild purses --yes ${APP}`);
  expect(stands.code).toBe(1);
  expect(stands.stderr).toMatch(/purses v1 is \w+; 1 key is parked: .* \[wrong_state\]\n$/);
  expect(await rows('SELECT id, cents::int FROM tidemark.purses__v1 ORDER BY id')).toEqual([
    { id: 'a', cents: 1 },
    { id: 'b', cents: 2 },
    { id: 'c', cents: 3 },
  ]);
  expect(await parked()).toEqual([{ key: 'c', queued: 2 }]);
  const doctor = await type('doctor');
  expect(doctor.stdout).toMatch(/^note +purses\.v1 +1 key is parked: see tidemark parked list purses$/m);
});

test('replay: what still cannot be folded stays, what is mended goes in', async () => {
  const again = await type(`parked replay purses c ${APP}`, { OPERATED_BAD: '13' });
  expect(again.code).toBe(1);
  expect(again.stdout.replaceAll(/\s+/g, ' ')).toMatch(
    /^c: 0 events are in, 2 events still wait: .* cannot be folded: cannot take 13 $/,
  );
  expect(again.stderr).toMatch(/^tidemark: "c" of purses is still parked .* \[fold_failed_again\]\n$/);
  const neither = await type(`parked replay purses ${APP}`);
  expect(neither).toMatchObject({ code: 1, stderr: expect.stringMatching(/--all.* \[invalid_arguments\]/) });

  const mended = { OPERATED_BAD: '' };
  vi.stubEnv('OPERATED_BAD', '');
  const done = await type(`parked replay purses --all ${APP}`, mended);
  expect(done).toEqual({ code: 0, stdout: 'c: 2 events are in, parked no more\n', stderr: '' });
  expect(await rows(`SELECT cents::int FROM tidemark.purses WHERE id = 'c'`)).toEqual([{ cents: 21 }]);
  const nothing = await type(`parked replay purses --all ${APP}`, mended);
  expect(nothing).toMatchObject({ code: 0, stdout: 'nothing is parked\n' });
});

test('skip leaves one event out and says why; accept is told', async () => {
  vi.stubEnv('OPERATED_BAD', '13');
  await pay('b', 13);
  await vi.waitFor(async () => expect(await parked()).toEqual([{ key: 'b', queued: 1 }]), 60_000);
  expect(await type('parked accept purses')).toMatchObject({
    code: 0,
    stdout: 'purses v1 may become ready while keys are parked (1 key now)\n',
  });
  expect((await type('parked accept purses --undo')).stdout).toMatch(/does not become ready/);
  const why = await typed(['parked', 'skip', 'purses', 'b', '--why', ' ', ...APP.split(' ')], {
    DATABASE_URL: pg.url,
  });
  expect(why).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/--why: expected .* \[invalid_arguments\]/),
  });
  const skipped = await type(`parked skip purses b --why a-test ${APP}`);
  expect(skipped).toMatchObject({ code: 0, stdout: 'b: 0 events are in, parked no more\n' });
  expect((await type(`projections verify purses --key b ${APP}`)).stdout).toMatch(
    /events that were skipped: b\n/,
  );
  expect((await type('parked show purses b')).stderr).toMatch(
    /^tidemark: "b" is not parked in purses; v1 is without \w+\.\w+ \(stream "b", shard \d+ seq \d+\), skipped at .*Z: a-test \[not_parked\]\n$/,
  );
  // A rebuild begins with the first event, and with none of what was decided about the rows of before.
  expect((await type(`projections rebuild purses ${APP}`)).stderr).toMatch(
    / 1 event that was skipped is folded again, .* \[not_confirmed\]\n$/,
  );
});

test('a new version: compared, shown in the view, the old one dropped when nobody has it', async () => {
  await runtime.stop();
  vi.stubEnv('OPERATED_BAD', '');
  await start(2);
  await vi.waitFor(async () => expect((await fetch(`${runtime.urls.http}/readyz`)).status).toBe(200), 60_000);
  const diff = await type('projections diff purses 1 v2');
  expect(diff.code).toBe(2);
  expect(diff.stdout).toMatch(
    /^purses: v1 has 3 rows, v2 has 3 rows\n {2}3 rows in both, with other values: cents in 3\n/,
  );
  expect((await type('projections diff purses 2 2')).code).toBe(0);
  expect((await type('projections swap-view purses --lock-timeout 30s')).stdout).toBe(
    'purses v2: the view purses shows it now (before: v1)\n',
  );
  const kept = await type(`projections prune ${NEXT}`);
  expect(kept.stdout).toMatch(
    /^nothing to drop\npurses v1 is kept: it was served at [^]*\npurses v2 is kept: the application/,
  );
  const would = await type(`projections prune --grace 0 --dry-run ${NEXT}`);
  expect(would.stdout).toMatch(/^purses v1 would be dropped\n/);
  expect((await type('projections prune --grace 0')).stdout).toMatch(/^purses v1 was dropped\n/);
  expect(await rows(`SELECT to_regclass('tidemark.purses__v1') AS gone`)).toEqual([{ gone: null }]);
});

test('without a running projector, rebuild refuses before anything is thrown away, or does it here', async () => {
  await runtime.stop();
  const refused = await type(`projections rebuild purses --yes ${NEXT}`);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/no running process with the role projector .* --here \[wrong_state\]\n$/);
  expect(await rows('SELECT count(*)::int AS n FROM tidemark.purses')).toEqual([{ n: 3 }]);
  const here = await type(`projections rebuild purses --yes --here --json ${NEXT}`);
  expect(JSON.parse(here.stdout)).toMatchObject({ name: 'purses', version: 2, ready: true, lag: 0 });
  const done = await type(`projections rebuild purses --yes --here ${NEXT}`);
  expect(done.code, done.stderr).toBe(0);
  expect(done.stdout).toMatch(/^purses v2 was built anew/);
  expect(await rows('SELECT count(*)::int AS n FROM tidemark.purses')).toEqual([{ n: 3 }]);
});

test('a schema that is not there yet', async () => {
  const empty = await freshDatabase();
  const { code, stderr } = await type('projections list', { DATABASE_URL: empty.url });
  await empty.drop();
  expect(code).toBe(1);
  expect(stderr).toMatch(/is at migration 0, .* run tidemark migrate, .* \[schema_too_old\]\n$/);
});
