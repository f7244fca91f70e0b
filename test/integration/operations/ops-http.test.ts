/** Operators over HTTP, on a whole application: every answer is what its schema says, every act has its effect at once. */
import pgDriver from 'pg';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import * as answers from '../../../src/app/http/ops/answers.js';
import { Account } from '../../support/bank.js';
import { mendable } from '../../support/mendable.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const bad = new Set<number>();
const { app: bank, Purses } = mendable(bad);
let pg: FreshDatabase;
let client: pgDriver.Client;
let app: TestApp;
let schema = '';

beforeAll(async () => {
  pg = await freshDatabase();
  app = await testApp(bank, { databaseUrl: pg.url });
  client = new pgDriver.Client({ connectionString: pg.url });
  await client.connect();
  const found = await client.query<{ name: string }>(
    `SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'test\\_%'`,
  );
  schema = found.rows[0]?.name ?? '';
});
afterAll(async () => {
  await client?.end();
  await app?.close();
  await pg?.drop();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await fetch(`${app.urls.http}/ops/${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: JSON.parse(text || '{}') };
}
const get = (path: string): Promise<Answer> => call('GET', path);
const post = (path: string, body?: unknown): Promise<Answer> => call('POST', path, body);

/** What was answered, once it is seen to be just what the schema says. */
async function fits<S extends z.ZodType>(
  schemaOf: S,
  pending: Promise<Answer>,
  status = 200,
): Promise<z.output<S>> {
  const { status: got, body } = await pending;
  expect({ status: got, body }).toMatchObject({ status });
  return schemaOf.parse(body);
}

const problem = async (pending: Promise<Answer>): Promise<[number, unknown]> => {
  const { status, headers, body } = await pending;
  expect(headers.get('content-type')).toBe('application/problem+json');
  return [status, body['code']];
};

const versionOf = async (name: string) =>
  (await fits(answers.ProjectionAnswer, get(`projections/${name}`))).versions.at(-1);
const open = (id: string) => app.append(Account, id, [{ type: 'Opened', data: { owner: 'ann' } }]);
const pay = (id: string, cents: number) => app.append(Account, id, [{ type: 'Paid', data: { cents } }]);

describe('how projections stand', () => {
  test('all, and one', async () => {
    const { projections } = await fits(answers.ProjectionsAnswer, get('projections'));
    expect(
      projections.map(({ name, version, processes, projectors, inView }) => ({
        name,
        version,
        processes,
        projectors,
        inView,
      })),
    ).toEqual([
      { name: 'folk', version: 1, processes: 1, projectors: 1, inView: true },
      { name: 'purses', version: 1, processes: 1, projectors: 1, inView: true },
    ]);
    expect((await fits(answers.ProjectionAnswer, get('projections/purses'))).versions).toHaveLength(1);
  });

  test('what is not there', async () => {
    expect(await problem(get('projections/nothing'))).toEqual([404, 'unknown_projection']);
    expect((await get('projections/nothing')).body['known']).toEqual(['folk', 'purses']);
    expect(await problem(get('projections/%00'))).toEqual([404, 'unknown_projection']);
    expect(await problem(post('projections/nothing/pause'))).toEqual([404, 'unknown_projection']);
    expect(await problem(post('projections/purses/pause', { version: 9 }))).toEqual([
      404,
      'unknown_projection',
    ]);
    expect(await problem(get('parked?projection=nothing'))).toEqual([404, 'unknown_projection']);
    expect(await problem(get('parked/purses/a-1'))).toEqual([404, 'not_parked']);
    expect(await problem(get('parked/purses/%01'))).toEqual([404, 'not_parked']);
    expect(await problem(post('parked/purses/a-1/replay'))).toEqual([404, 'not_parked']);
    expect(await problem(post('parked/purses/%01/skip', { why: 'x' }))).toEqual([404, 'not_parked']);
  });

  test('what does not fit', async () => {
    expect(await problem(get('projections?x=1'))).toEqual([400, 'invalid_parameter']);
    // What is meant for the body and stands in the URL must not be passed over: another version would be paused.
    for (const path of [
      'projections/purses/pause?version=9',
      'projections/prune?dryRun=true',
      'parked/purses/replay?version=1',
    ])
      expect(await problem(post(path))).toEqual([400, 'invalid_parameter']);
    await expect.poll(() => versionOf('purses')).toMatchObject({ state: 'live' });
    expect(await problem(get('parked?limit=0'))).toEqual([400, 'invalid_parameter']);
    expect(await problem(get('parked?limit=1&limit=2'))).toEqual([400, 'invalid_parameter']);
    for (const [path, body, where] of [
      ['projections/purses/pause', { version: 0 }, '/version'],
      ['projections/purses/pause', { versoin: 1 }, '/versoin'],
      ['projections/purses/pause', [], ''],
      ['projections/purses/rebuild', { yes: true }, '/yes'],
      ['projections/purses/swap-view', { lockTimeoutMs: 0 }, '/lockTimeoutMs'],
      ['projections/purses/verify', { keys: ['\u0000'] }, '/keys/0'],
      ['projections/purses/verify', { sample: 5, all: true }, ''],
      ['projections/purses/diff', { versions: [1] }, '/versions'],
      ['projections/prune', { graceSeconds: -1 }, '/graceSeconds'],
      ['parked/purses/a-1/skip', {}, '/why'],
      ['parked/purses/a-1/skip', { why: '  ' }, '/why'],
    ] as const) {
      const { status, body: answer } = await post(path, body);
      expect([path, status, answer]).toMatchObject([
        path,
        400,
        { code: 'invalid_payload', errors: [{ path: where }] },
      ]);
    }
  });

  test('other methods', async () => {
    const { status, headers, body } = await call('PUT', 'projections/purses');
    expect([status, body['code'], headers.get('allow')]).toEqual([
      405,
      'method_not_allowed',
      'GET, HEAD, OPTIONS',
    ]);
    expect((await get('projections/purses/pause')).headers.get('allow')).toBe('OPTIONS, POST');
  });
});

test('pause and resume: nothing comes in meanwhile, all of it afterwards', async () => {
  await open('a-1');
  await app.caughtUp();
  expect(await fits(answers.VersionAnswer, post('projections/purses/pause'))).toMatchObject({
    state: 'paused',
  });
  await pay('a-1', 5);
  const behind = await versionOf('purses');
  expect(behind).toMatchObject({ state: 'paused', lag: 1 });
  const row = await fetch(`${app.urls.http}/views/purses/a-1`);
  expect(await row.json()).toMatchObject({ cents: 0 });
  expect(await problem(post('projections/purses/pause'))).toEqual([409, 'wrong_state']);
  expect(await fits(answers.VersionAnswer, post('projections/purses/resume', { version: 1 }))).toMatchObject({
    state: 'catching_up',
  });
  expect(await app.row(Purses, 'a-1')).toMatchObject({ cents: 5 });
  expect(await problem(post('projections/purses/resume'))).toEqual([409, 'wrong_state']);
});

describe('parked keys', () => {
  const parkedKeys = async (): Promise<string[]> =>
    (await fits(answers.ParkedListAnswer, get('parked'))).items.map(({ key }) => key);
  const park = async (id: string, cents: number): Promise<void> => {
    bad.add(cents);
    await pay(id, cents);
    await vi.waitFor(async () => expect(await parkedKeys()).toContain(id), { timeout: 60_000 });
  };

  test('are listed, shown, replayed once they are mended', async () => {
    await open('p-1');
    await park('p-1', 13);
    await pay('p-1', 2);
    await vi.waitFor(
      async () =>
        expect(await fits(answers.ParkedAnswer, get('parked/purses/p-1'))).toMatchObject({ queued: 2 }),
      60_000,
    );
    const { items, total } = await fits(answers.ParkedListAnswer, get('parked?projection=purses&limit=1'));
    expect([items.length, total]).toEqual([1, 1]);
    expect(items[0]).toMatchObject({
      key: 'p-1',
      event: { type: 'Paid', streamId: 'p-1' },
      error: 'cannot take 13',
    });
    const shown = await fits(answers.ParkedAnswer, get('parked/purses/p-1?version=1'));
    expect(shown.events.map(({ type, streamVersion }) => [type, streamVersion])).toEqual([
      ['Paid', 2],
      ['Paid', 3],
    ]);
    expect(await problem(get('parked/purses/p-1?version=2'))).toEqual([404, 'not_parked']);

    const again = await post('parked/purses/p-1/replay');
    expect(again.body).toMatchObject({
      code: 'fold_failed_again',
      status: 409,
      waiting: 2,
      events: 0,
      fault: { type: 'Paid', error: 'cannot take 13' },
    });
    bad.clear();
    expect(await fits(answers.ReplayAnswer, post('parked/purses/p-1/replay'))).toEqual({
      part: '',
      key: 'p-1',
      events: 2,
      waiting: 0,
    });
    expect(await app.row(Purses, 'p-1')).toMatchObject({ cents: 15 });
  });

  test('or the event at fault is skipped, which is remembered', async () => {
    await open('p-2');
    await park('p-2', 17);
    await pay('p-2', 3);
    expect(await fits(answers.SkipAnswer, post('parked/purses/p-2/skip', { why: 'a test' }))).toMatchObject({
      waiting: 0,
    });
    expect(await app.row(Purses, 'p-2')).toMatchObject({ cents: 3 });
    const verified = await fits(
      answers.VerificationAnswer,
      post('projections/purses/verify', { keys: ['p-2'] }),
    );
    expect(verified).toMatchObject({ differences: 0, skipped: { total: 1, keys: ['p-2'] } });
    bad.clear();
  });

  test('all at once, and those that still throw are told', async () => {
    await open('p-3');
    await open('p-4');
    await park('p-3', 19);
    await park('p-4', 23);
    bad.delete(19);
    const all = await fits(answers.ReplayAllAnswer, post('parked/purses/replay'));
    expect(all).toMatchObject({
      complete: true,
      items: [
        { key: 'p-3', waiting: 0 },
        { key: 'p-4', waiting: 1, fault: { error: 'cannot take 23' } },
      ],
    });
    bad.clear();
    expect((await fits(answers.ReplayAllAnswer, post('parked/purses/replay'))).items).toHaveLength(1);
    expect(await parkedKeys()).toEqual([]);
  });

  test('may be accepted, which may be taken back', async () => {
    expect(await fits(answers.VersionAnswer, post('parked/purses/accept'))).toMatchObject({
      acceptParked: true,
    });
    expect(await fits(answers.VersionAnswer, post('parked/purses/accept', { accept: false }))).toMatchObject({
      acceptParked: false,
    });
  });
});

describe('verify', () => {
  test('a sample finds what differs', async () => {
    expect(await fits(answers.VerificationAnswer, post('projections/purses/verify'))).toMatchObject({
      differences: 0,
      mode: 'sample',
      complete: true,
    });
    await client.query(`UPDATE ${schema}.purses__v1 SET cents = 99 WHERE id = 'a-1'`);
    expect(
      await fits(answers.VerificationAnswer, post('projections/purses/verify', { keys: ['a-1'] })),
    ).toMatchObject({
      differences: 2,
      totals: { wrong: 1, change: 1 },
      listed: expect.arrayContaining([
        {
          kind: 'wrong',
          key: 'a-1',
          revision: expect.any(Number) as number,
          columns: [{ column: 'cents', expected: '5', actual: '99' }],
        },
      ]) as unknown,
    });
    await client.query(`UPDATE ${schema}.purses__v1 SET cents = 5 WHERE id = 'a-1'`);
  });

  test('all rows, in the background', async () => {
    expect(await fits(answers.VerificationStateAnswer, get('projections/folk/verify'))).toEqual({
      state: 'none',
    });
    const { status, headers, body } = await post('projections/purses/verify', { all: true });
    expect([status, headers.get('location')]).toEqual([202, '/ops/projections/purses/verify']);
    expect(answers.VerificationBegunAnswer.parse(body).see).toBe(headers.get('location'));
    await vi.waitFor(
      async () =>
        expect(await fits(answers.VerificationStateAnswer, get('projections/purses/verify'))).toMatchObject({
          state: 'done',
          result: { differences: 0, complete: true, mode: 'all' },
        }),
      60_000,
    );
  });
});

describe('versions', () => {
  test('the view, a comparison, and nothing to drop', async () => {
    expect(await fits(answers.SwapAnswer, post('projections/purses/swap-view'))).toEqual({
      name: 'purses',
      version: 1,
      views: [{ view: 'purses', from: 1, how: 'unchanged' }],
    });
    const diff = await fits(answers.DiffAnswer, post('projections/purses/diff', { versions: [1, 1] }));
    expect(diff).toMatchObject({ samePosition: true, differing: { total: 0 } });
    expect(await problem(post('projections/purses/diff', { versions: [1, 2] }))).toEqual([
      404,
      'unknown_projection',
    ]);
    const { dropped, kept } = await fits(answers.PruneAnswer, post('projections/prune', { graceSeconds: 0 }));
    expect(dropped).toEqual([]);
    expect(kept.map(({ name, why }) => [name, why])).toEqual([
      ['folk', 'the application has it'],
      ['purses', 'the application has it'],
    ]);
  });

  test('rebuild makes the rows again', async () => {
    await client.query(`UPDATE ${schema}.purses__v1 SET cents = 99 WHERE id = 'a-1'`);
    const { status, headers, body } = await post('projections/purses/rebuild');
    expect([status, headers.get('location')]).toEqual([202, '/ops/projections/purses']);
    answers.RebuildAnswer.parse(body);
    await vi.waitFor(
      async () => expect(await versionOf('purses')).toMatchObject({ loaded: true, ready: true, lag: 0 }),
      { timeout: 60_000 },
    );
    await vi.waitFor(
      async () => expect((await fetch(`${app.urls.http}/views/purses/a-1`)).status).toBe(200),
      {
        timeout: 60_000,
      },
    );
    expect(await app.row(Purses, 'a-1')).toMatchObject({ cents: 5 });
  });
});
