/** Named queries over HTTP: input by URL and by body, what a handler may read, and how it fails. */
import { sql } from 'kysely';
import { defineApp, query } from 'tidemark';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createHttpServer } from '../../../src/app/http/server.js';
import { createLogger, silentLogger } from '../../../src/platform/logger.js';
import { hostPolicy, originPolicy } from '../../../src/platform/origins.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { NamedQueries } from '../../../src/queries/named-queries.js';
import { registerQueryRoutes } from '../../../src/queries/query-http.js';
import { WaiterHub } from '../../../src/queries/waiter-hub.js';
import { Sample, sampleApp, Tally, Thing } from '../../support/sample-view.js';
import { sampleDatabase, sampleRow, type SampleDatabase } from './sample-database.js';
import { everyone, rightsOff } from '../../support/rights.js';

const input = z.object({ mode: z.string().default('') });
const anything = z.object({}).catchall(z.unknown());

/** Ways to go wrong; each is tried through a handler that only knows what a handler gets. */
const probe = query('probe', { input, output: anything, reads: [Sample] }).handle(
  async ({ db, input: { mode } }) => {
    // What the types forbid is tried too: they are not there at run time.
    const loose = db as unknown as import('kysely').Kysely<Record<string, Record<string, unknown>>>;
    switch (mode) {
      case 'throws':
        throw new Error('planted-secret');
      case 'other_table':
        return { rows: await loose.selectFrom('tally').selectAll().execute() };
      case 'own_table':
        return { rows: await loose.selectFrom('events').selectAll().execute() };
      case 'schema':
        return { rows: await loose.selectFrom('tidemark.sample__v1').selectAll().execute() };
      case 'joined':
        return {
          rows: await loose
            .selectFrom('sample')
            .innerJoin('tally as t', 't.name', 'sample.name')
            .select('sample.id')
            .execute(),
        };
      case 'nested':
        return {
          rows: await loose
            .selectFrom('sample')
            .selectAll()
            .where('name', 'in', loose.selectFrom('tally').select('name'))
            .execute(),
        };
      case 'insert':
        return { rows: await loose.insertInto('sample').values({ id: 'x' }).execute() };
      case 'delete':
        return { rows: await loose.deleteFrom('sample').execute() };
      case 'raw_write':
        return { rows: await sql`DELETE FROM tidemark.sample__v1`.execute(loose) };
      case 'raw_two':
        return { rows: await sql`COMMIT; DELETE FROM tidemark.sample__v1`.execute(loose) };
      case 'transaction':
        return {
          rows: await loose.transaction().execute((tx) => tx.selectFrom('sample').selectAll().execute()),
        };
      case 'slow':
        await sql`SELECT pg_sleep(30)`.execute(loose);
        return {};
      case 'hangs':
        await db.selectFrom('sample').selectAll().execute();
        return new Promise(() => undefined);
      case 'nan':
        return { n: [{ deep: Number.NaN }] };
      case 'bigint':
        return { n: 1n };
      case 'hole':
        return { n: [undefined] };
      default:
        return { mode };
    }
  },
);

const shapes = query('shapes', { input, output: anything, reads: [Sample, Tally] }).handle(async ({ db }) => {
  const all = await db.selectFrom('sample').selectAll().orderBy('id').execute();
  const aliased = await db.selectFrom('sample as s').select(['s.id', 's.amount']).orderBy('s.id').execute();
  const joined = await db
    .selectFrom('sample')
    .innerJoin('tally as t', 't.name', 'sample.name')
    .select(['sample.id', 't.count', 't.total'])
    .orderBy('sample.id')
    .execute();
  const cte = await db
    .with('tally', (inner) => inner.selectFrom('sample').select(['id', 'name']).where('flag', 'is', true))
    .with('again', (inner) => inner.selectFrom('tally').select('id'))
    .selectFrom('again as a')
    .innerJoin('tally', 'tally.id', 'a.id')
    .select(['a.id', 'tally.name'])
    .execute();
  const shadow = await db
    .with('sample', (inner) => inner.selectFrom('sample').select('id').where('id', '=', 'a'))
    .selectFrom('sample')
    .selectAll()
    .execute();
  const recursive = await db
    .withRecursive('n(i)', (inner) =>
      inner.selectNoFrom(sql<number>`1`.as('i')).unionAll((eb) =>
        eb
          .selectFrom('n')
          .select(sql<number>`i + 1`.as('i'))
          .where('i', '<', 3),
      ),
    )
    .selectFrom('n')
    .select('i')
    .execute();
  const sums = await db
    .selectFrom('sample')
    .select(({ fn }) => [
      fn.sum<number>('amount').as('sum'),
      fn.avg<number>('ratio').as('avg'),
      fn.countAll<number>().as('n'),
    ])
    .executeTakeFirstOrThrow();
  const some = await db
    .selectFrom('sample')
    .select('id')
    .where((eb) =>
      eb.exists(eb.selectFrom('tally').select('tally.name').whereRef('tally.name', '=', 'sample.name')),
    )
    .union((eb) => eb.selectFrom('tally').select('name as id'))
    .orderBy('id')
    .execute();
  return { all, aliased, joined, cte, shadow, recursive, sums, some };
});

const wrong = query('wrong_output', { input, output: z.object({ n: z.int() }), reads: [Sample] }).handle(
  ({ input: { mode } }) => (mode === 'extra' ? { n: 1, more: 2 } : { n: 1.5 }),
);

/** What two statements of one query see while rows are written between them. */
let between: () => Promise<void> = async () => undefined;
const twice = query('twice', { input: z.object({}), output: anything, reads: [Sample] }).handle(
  async ({ db }) => {
    const count = async (): Promise<number> =>
      (
        await db
          .selectFrom('sample')
          .select(({ fn }) => fn.countAll<number>().as('n'))
          .executeTakeFirstOrThrow()
      ).n;
    const before = await count();
    await between();
    return { before, after: await count() };
  },
);

const app = defineApp({
  auth: 'none',
  name: 'samples',
  aggregates: [Thing],
  projections: [Sample, Tally],
  queries: [...sampleApp.queries, probe, shapes, wrong, twice],
  shards: 4,
});

const log: string[] = [];
const serverOf = () =>
  createHttpServer({
    logger: createLogger({ level: 'error', destination: { write: (line) => void log.push(line) } }),
    access: { origins: originPolicy(['loopback']), hosts: hostPolicy('127.0.0.1') },
  });
const server = serverOf();
/** The same queries, which may not take long. */
const hasty = serverOf();
let sample: SampleDatabase;
let waiters: WaiterHub;
let free: () => boolean;

beforeAll(async () => {
  sample = await sampleDatabase();
  const { db, signer } = sample;
  waiters = new WaiterHub({ projections: app.projections, db, wakeups: new Wakeups(), logger: silentLogger });
  for (const [on, timeoutMs] of [
    [server, 25_000],
    [hasty, 700],
  ] as const) {
    registerQueryRoutes(on, {
      ...rightsOff,
      queries: new NamedQueries({ ...rightsOff, app, db, checkOutput: true, timeoutMs }),
      signer,
      waiters,
    });
  }
  free = () => db.pool.idleCount === db.pool.totalCount && db.pool.waitingCount === 0;
  await sample.put([a, b, c]);
  await db.query(
    `INSERT INTO ${db.table('tally__v3')} (name, count, total, _rev) VALUES ('x', 9007199254740991, 0.1, 1)`,
  );
});
afterAll(async () => {
  waiters.stop();
  await Promise.all([server.close(), hasty.close()]);
  await sample.end();
});

const a = sampleRow('a', { name: 'x', amount: 5, ratio: 0.5, flag: true, extra: 'e', tags: ['t', 'ü'] });
const b = sampleRow('b', { name: 'x', amount: 9007199254740986, ratio: 1.5, flag: false });
const c = sampleRow('c', { name: 'y', ratio: 2.5 });

async function call(
  method: 'GET' | 'POST',
  url: string,
  payload?: unknown,
  to = server,
): Promise<{ status: number; body: Record<string, unknown>; paths: unknown }> {
  const answer = await to.inject({
    method,
    url,
    headers: { host: '127.0.0.1', ...(payload === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(payload === undefined ? {} : { payload: JSON.stringify(payload) }),
  });
  const body: Record<string, unknown> = answer.json();
  const errors = body['errors'] as { path: string }[] | undefined;
  return { status: answer.statusCode, body, paths: errors?.map(({ path }) => path) };
}

describe('input', () => {
  it('comes by URL, coerced by the schema, or as a body', async () => {
    const expected = { status: 200, body: { items: [b], total: 1 } };
    expect(await call('GET', '/queries/by_name?name=x&limit=5&flags=false&atLeast=1e0')).toMatchObject(
      expected,
    );
    expect(
      await call('POST', '/queries/by_name', { name: 'x', limit: 5, flags: [false], atLeast: 1 }),
    ).toMatchObject(expected);
    expect(await call('GET', '/queries/by_name?name=x&flags=false&flags=true&atLeast=')).toMatchObject({
      status: 200,
      body: { items: [a, b], total: 2 },
    });
    expect((await call('GET', '/queries/probe')).body).toEqual({ mode: '' });
    expect((await call('POST', '/queries/probe')).body).toEqual({ mode: '' });
  });

  it.each([
    ['/queries/by_name', '/name'],
    ['/queries/by_name?name=x&limit=ten', '/limit'],
    ['/queries/by_name?name=x&limit=0', '/limit'],
    ['/queries/by_name?name=x&limit=1&limit=2', '/limit'],
    ['/queries/by_name?name=x&flags=maybe', '/flags/0'],
    ['/queries/by_name?name=x&other=1', '/other'],
    ['/queries/by_name?name=x&__proto__=1', '/__proto__'],
    ['/queries/by_name?name=a%00b', '/name'],
    ['/queries/by_name?name=x&wait=1e9', '/wait'],
  ])('%s is 400 at %s', async (url, path) => {
    const answer = await call('GET', url);
    expect([answer.status, answer.body['code'], answer.paths]).toEqual([400, 'invalid_parameter', [path]]);
  });

  it.each([
    [{ name: 5 }, '/name'],
    [{ name: 'x', other: 1 }, '/other'],
    [{ name: 'x', limit: '5' }, '/limit'],
    [{ name: '\ud800' }, '/name'],
    [[], ''],
    [null, ''],
  ])('body %j is 400 at %j', async (body, path) => {
    const answer = await call('POST', '/queries/by_name', body);
    expect([answer.status, answer.body['code'], answer.paths]).toEqual([400, 'invalid_payload', [path]]);
  });

  it('is not taken from the URL of a POST', async () => {
    const answer = await call('POST', '/queries/by_name?name=x', { name: 'x' });
    expect([answer.status, answer.body['code'], answer.paths]).toEqual([400, 'invalid_parameter', ['/name']]);
  });

  it('of a query that is not there is 404 with the list of those there are', async () => {
    for (const name of ['nope', '__proto__', 'constructor']) {
      for (const method of ['GET', 'POST'] as const) {
        const answer = await call(method, `/queries/${name}`);
        expect([answer.status, answer.body['code']]).toEqual([404, 'unknown_query']);
        expect(answer.body['known']).toEqual(['by_name', 'probe', 'shapes', 'wrong_output', 'twice']);
      }
    }
  });

  it('may say what to wait for', async () => {
    const token = (seq: number): string =>
      encodeURIComponent(sample.signer.sign({ kind: 'token', logs: { thing: { epoch, pos: [[0, seq]] } } }));
    const epoch = await sample.epochOf('thing');
    await sample.checkpoint(0, 3);
    expect((await call('GET', `/queries/by_name?name=x&wait=30000&after=${token(3)}`)).status).toBe(200);
    expect((await call('POST', `/queries/by_name?wait=30000&after=${token(3)}`, { name: 'x' })).status).toBe(
      200,
    );
    expect(
      (await call('POST', `/queries/by_name?wait=0&after=${token(4)}`, { name: 'x' })).body['code'],
    ).toBe('projection_behind');
    // `shapes` reads `tally` too, which has nothing yet.
    expect((await call('GET', `/queries/shapes?wait=0&after=${token(3)}`)).body['code']).toBe(
      'projection_behind',
    );
    expect((await call('GET', `/queries/by_name?name=x&after=x`)).body['code']).toBe('invalid_token');
  });
});

describe('a handler', () => {
  it('reads its tables under their plain names, in any form of select', async () => {
    const { status, body } = await call('GET', '/queries/shapes');
    expect(status).toBe(200);
    const shown = [a, b, c].map((row) => ({ extra: null, ...row }));
    expect(body).toEqual({
      all: shown,
      aliased: [a, b, c].map(({ id, amount }) => ({ id, amount })),
      joined: ['a', 'b'].map((id) => ({ id, count: 9007199254740991, total: 0.1 })),
      cte: [{ id: 'a', name: 'x' }],
      shadow: [{ id: 'a' }],
      recursive: [{ i: 1 }, { i: 2 }, { i: 3 }],
      sums: { sum: 9007199254740991, avg: 1.5, n: 3 },
      some: [{ id: 'a' }, { id: 'b' }, { id: 'x' }],
    });
  });

  it('sees one state of the database, whatever is written between its statements', async () => {
    between = () => sample.put([sampleRow('late')]);
    expect((await call('GET', '/queries/twice')).body).toEqual({ before: 3, after: 3 });
    between = async () => undefined;
    expect((await call('GET', '/queries/twice')).body).toEqual({ before: 4, after: 4 });
    await sample.remove(['late']);
  });

  it.each([
    ['other_table', 'reads the table \\"tally\\", which is not among its reads: sample'],
    ['own_table', 'reads the table \\"events\\"'],
    ['schema', 'reads the table \\"tidemark.sample__v1\\"'],
    ['joined', 'reads the table \\"tally\\"'],
    ['nested', 'reads the table \\"tally\\"'],
    ['insert', 'a query only selects'],
    ['delete', 'a query only selects'],
    ['raw_write', 'read-only transaction'],
    ['raw_two', 'cannot insert multiple commands'],
    ['transaction', 'it cannot begin another'],
    ['throws', 'planted-secret'],
    ['nan', 'its result is no JSON at \\"/n/0/deep\\"'],
    ['bigint', 'its result is no JSON at \\"/n\\"'],
    ['hole', 'its result is no JSON at \\"/n/0\\"'],
  ])('that fails (%s) is 500; only the log says why', async (mode, why) => {
    log.length = 0;
    const answer = await call('GET', `/queries/probe?mode=${mode}`);
    expect([answer.status, answer.body['code']]).toEqual([500, 'internal_error']);
    expect(JSON.stringify(answer.body)).not.toMatch(/planted|tally|sample|events|SELECT|at .*\.ts/);
    expect(log.join('\n')).toContain(why);
    expect((await call('GET', '/queries/by_name?name=x')).body['total']).toBe(2);
  });

  it.each(['slow', 'hangs'])(
    'that takes too long (%s) is 503, and gives its connection back',
    async (mode) => {
      const answer = await call('GET', `/queries/probe?mode=${mode}`, undefined, hasty);
      expect([answer.status, answer.body['code']]).toEqual([503, 'query_timeout']);
      await expect.poll(free).toBe(true);
    },
  );

  it('whose result does not fit its output schema is found where outputs are checked', async () => {
    for (const mode of ['', 'extra']) {
      log.length = 0;
      expect((await call('GET', `/queries/wrong_output?mode=${mode}`)).status).toBe(500);
      expect(log.join('\n')).toContain(mode === 'extra' ? '/more' : '/n');
    }
    const unchecked = new NamedQueries({ ...rightsOff, app, db: sample.db });
    expect(await unchecked.prepare('wrong_output', { from: 'body', body: {} }, everyone).run()).toEqual({
      json: '{"n":1.5}',
      parked: false,
    });
  });

  it('holds a bounded number of rows a statement', async () => {
    const queries = new NamedQueries({ ...rightsOff, app, db: sample.db, maxRows: 2 });
    const run = async (name: string): Promise<unknown> =>
      queries
        .prepare(name, { from: 'body', body: {} }, everyone)
        .run()
        .catch((error: Error) => error.message);
    expect(await run('shapes')).toContain('gave more than 2 rows');
    expect(await run('twice')).toMatchObject({ json: '{"before":3,"after":3}' });
  });

  it('leaves no connection behind', async () => {
    await Promise.all(
      Array.from({ length: 40 }, (_one, n) =>
        call('GET', `/queries/probe?mode=${['', 'throws', 'other_table', 'nested'][n % 4]}`),
      ),
    );
    await expect.poll(free).toBe(true);
  });
});
