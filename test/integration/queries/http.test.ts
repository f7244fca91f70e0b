/** Views over HTTP: rows, tags, cursors, pages, and every refusal. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHttpServer } from '../../../src/app/http/server.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { shardOf } from '../../../src/platform/murmur2.js';
import { hostPolicy, originPolicy } from '../../../src/platform/origins.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { rowToJson } from '../../../src/projections/columns.js';
import type { VersionFacts } from '../../../src/projections/types.js';
import { factsOf } from '../../support/facts.js';
import type { CursorPayload } from '../../../src/protocol/positions.js';
import { registerViewRoutes } from '../../../src/queries/view-http.js';
import { Views } from '../../../src/queries/views.js';
import { WaiterHub } from '../../../src/queries/waiter-hub.js';
import { Sample, sampleApp } from '../../support/sample-view.js';
import { sampleDatabase, sampleRow, type SampleDatabase } from './sample-database.js';
import { rightsOff } from '../../support/rights.js';

const server = createHttpServer({
  logger: silentLogger,
  access: { origins: originPolicy(['loopback']), hosts: hostPolicy('127.0.0.1') },
});
const wakeups = new Wakeups();
let sample: SampleDatabase;
let waiters: WaiterHub;
let standing: VersionFacts | undefined;

beforeAll(async () => {
  sample = await sampleDatabase();
  const { db, signer } = sample;
  waiters = new WaiterHub({
    projections: sampleApp.projections,
    db,
    wakeups,
    logger: silentLogger,
    directives: { facts: () => standing, onChange: () => () => undefined },
    pollMs: 20,
  });
  registerViewRoutes(server, {
    ...rightsOff,
    views: new Views({ app: sampleApp, db, signer }),
    signer,
    waiters,
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  await sample.put([ann, bob, cid, dan]);
  for (const [shard, seq] of HEADS) await sample.change(shard, seq);
});
afterAll(async () => {
  waiters.stop();
  await server.close();
  await sample.end();
});

const HEADS = [
  [0, 7],
  [1, 3],
  [3, 11],
] as const;
const ann = sampleRow('ann', { name: 'x', amount: 2, ratio: 0.1, flag: true, extra: 'e', tags: ['ä', '"'] });
const bob = sampleRow('bob', { name: 'x', amount: 1, flag: false, ratio: 1e21 });
const cid = sampleRow('cid', { name: 'y', note: 'n' });
const dan = sampleRow('dan %/ü', { name: 'x', amount: 2 });

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly cursor: CursorPayload | undefined;
  /** The body as JSON. */
  body(): Record<string, unknown>;
}

async function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const answer = await server.inject({ method: 'GET', url, headers: { host: '127.0.0.1', ...headers } });
  const cursor = answer.headers['tidemark-cursor'];
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.body,
    cursor: typeof cursor === 'string' ? (sample.signer.verify(cursor) as CursorPayload) : undefined,
    body: () => answer.json(),
  };
}

const ids = (answer: Answer): unknown => (answer.body()['items'] as { id: string }[]).map(({ id }) => id);
const refused = (answer: Answer): unknown => {
  const body = answer.body();
  const errors = body['errors'] as { path: string }[] | undefined;
  return [answer.status, body['code'], errors?.map(({ path }) => path)];
};
const token = (log: string, epoch: string, pos: readonly (readonly [number, number])[]): string =>
  encodeURIComponent(sample.signer.sign({ kind: 'token', logs: { [log]: { epoch, pos } } }));

describe('one row', () => {
  it('is the JSON of the change log, with its tag and a cursor of its own shard', async () => {
    for (const row of [ann, bob, cid, dan]) {
      const answer = await get(`/views/sample/${encodeURIComponent(row.id)}`);
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(answer.text).toBe(rowToJson(Sample, row));
      const epoch = await sample.epochOf('sample.v1');
      expect(answer.headers['etag']).toMatch(new RegExp(`^"r${epoch}-[1-4]"$`));
      const shard = shardOf(row.id, sampleApp.shards);
      const head = HEADS.find(([known]) => known === shard);
      expect(answer.cursor).toEqual({
        kind: 'cursor',
        log: 'sample.v1',
        bind: { view: 'sample', key: row.id },
        epoch,
        pos: head ? [[...head]] : [],
      });
    }
  });

  it('is 304 for a tag that the caller has, also weakly, in a list, or as *', async () => {
    const { headers } = await get('/views/sample/ann');
    const tag = String(headers['etag']);
    for (const given of [tag, `W/${tag}`, `"other", ${tag}`, `"a,b" ,W/${tag}`, '*', ' * ']) {
      const answer = await get('/views/sample/ann', { 'if-none-match': given });
      expect([given, answer.status, answer.text]).toEqual([given, 304, '']);
      expect(answer.headers['etag']).toBe(tag);
      expect(answer.cursor?.bind).toEqual({ view: 'sample', key: 'ann' });
    }
    for (const given of ['"other"', tag.slice(1, -1), '"*"', '', tag.replace('"', '"x')]) {
      expect((await get('/views/sample/ann', { 'if-none-match': given })).status).toBe(200);
    }
  });

  it('that is not there is 404, with a cursor from which to wait for it', async () => {
    const answer = await get('/views/sample/nobody', { 'if-none-match': '*' });
    expect(refused(answer)).toEqual([404, 'row_not_found', undefined]);
    expect(answer.cursor?.bind).toEqual({ view: 'sample', key: 'nobody' });
    expect(answer.headers['etag']).toBeUndefined();
  });

  it.each(['%20', 'a%00b', 'a%0Ab', 'x'.repeat(201), ''])(
    'has a key that follows the rule: %j does not',
    async (key) => {
      expect(refused(await get(`/views/sample/${key}`))).toEqual([400, 'invalid_key', ['/key']]);
    },
  );

  it('takes no parameters but those of waiting', async () => {
    expect(refused(await get('/views/sample/ann?name=x'))).toEqual([400, 'invalid_parameter', ['/name']]);
    expect((await get('/views/sample/ann?wait=10')).status).toBe(200);
  });
});

describe('a view that is not there', () => {
  it.each(['/views/nope', '/views/nope/k', '/views/__proto__/k', '/views/constructor', '/views/thing'])(
    '%s is 404 with the list of those there are',
    async (url) => {
      const answer = await get(url);
      expect(refused(answer)).toEqual([404, 'unknown_view', undefined]);
      expect(answer.body()['known']).toEqual(['sample', 'tally']);
    },
  );
});

describe('a list', () => {
  it('is by key unless sorted; filters are equalities', async () => {
    expect(ids(await get('/views/sample'))).toEqual(['ann', 'bob', 'cid', 'dan %/ü']);
    expect(ids(await get('/views/sample?sort=-amount'))).toEqual(['cid', 'ann', 'dan %/ü', 'bob']);
    expect(ids(await get('/views/sample?sort=amount,-id'))).toEqual(['bob', 'dan %/ü', 'ann', 'cid']);
    expect(ids(await get('/views/sample?name=x&amount=2'))).toEqual(['ann', 'dan %/ü']);
    expect(ids(await get('/views/sample?note='))).toEqual(['ann', 'bob', 'dan %/ü']);
    expect(ids(await get('/views/sample?extra='))).toEqual(['bob', 'cid', 'dan %/ü']);
    expect(ids(await get(`/views/sample?id=${encodeURIComponent(dan.id)}`))).toEqual([dan.id]);
    expect((await get('/views/sample?name=nobody')).body()).toEqual({ items: [], next: null });
  });

  it('has rows as they stand in the change log', async () => {
    const { text } = await get('/views/sample');
    expect(text).toBe(
      `{"items":[${[ann, bob, cid, dan].map((row) => rowToJson(Sample, row)).join(',')}],"next":null}`,
    );
  });

  it('has a cursor where a subscription can have its filter: none, the key, or one channel', async () => {
    const all = HEADS.map((head) => [...head]);
    const bound = async (url: string): Promise<unknown> => {
      const { cursor } = await get(url);
      return cursor && [cursor.bind, cursor.pos];
    };
    expect(await bound('/views/sample')).toEqual([{ view: 'sample' }, all]);
    expect(await bound('/views/sample?sort=-amount&limit=1')).toEqual([{ view: 'sample' }, all]);
    expect(await bound('/views/sample?name=none')).toEqual([
      { view: 'sample', where: { name: 'none' } },
      all,
    ]);
    expect(await bound('/views/sample?flag=&name=x')).toEqual([
      { view: 'sample', where: { flag: null, name: 'x' } },
      all,
    ]);
    const shard = shardOf('ann', sampleApp.shards);
    const own = HEADS.filter(([known]) => known === shard).map((head) => [...head]);
    expect(await bound('/views/sample?id=ann')).toEqual([{ view: 'sample', key: 'ann' }, own]);
    expect(await bound('/views/sample?flag=true')).toBeUndefined();
    expect(await bound('/views/sample?id=ann&name=x')).toBeUndefined();
  });

  it('carries the first page’s cursor on every page, whatever has changed since', async () => {
    const first = await get('/views/tally?limit=1');
    expect(first.body()).toEqual({ items: [], next: null });
    const one = await get('/views/sample?name=x&limit=1');
    expect(ids(one)).toEqual(['ann']);
    const next = encodeURIComponent(String(one.body()['next']));
    await sample.change(2, 5);
    const two = await get(`/views/sample?name=x&limit=1&page=${next}`);
    expect(ids(two)).toEqual(['bob']);
    expect(two.headers['tidemark-cursor']).toBe(one.headers['tidemark-cursor']);
    const three = await get(
      `/views/sample?name=x&limit=1&page=${encodeURIComponent(String(two.body()['next']))}`,
    );
    expect([ids(three), three.body()['next']]).toEqual([['dan %/ü'], null]);
    expect(three.headers['tidemark-cursor']).toBe(one.headers['tidemark-cursor']);
    expect((await get('/views/sample?name=x&limit=1')).cursor?.pos).toContainEqual([2, 5]);
    await sample.db.query(`DELETE FROM ${sample.db.table('changes')} WHERE shard = 2`);
  });

  it('refuses pages of another request, of another kind, or changed ones', async () => {
    const answer = await get('/views/sample?limit=1&sort=-amount');
    const next = String(answer.body()['next']);
    const page = encodeURIComponent(next);
    expect((await get(`/views/sample?limit=1&sort=-amount&page=${page}`)).status).toBe(200);
    const cursor = encodeURIComponent(String(answer.headers['tidemark-cursor']));
    for (const url of [
      `/views/sample?limit=2&sort=-amount&page=${page}`,
      `/views/sample?limit=1&sort=amount&page=${page}`,
      `/views/sample?limit=1&sort=-amount&name=x&page=${page}`,
      `/views/tally?limit=1&page=${page}`,
      `/views/sample?limit=1&sort=-amount&page=${cursor}`,
      `/views/sample?limit=1&sort=-amount&page=${token('thing', 'e', [[0, 1]])}`,
      `/views/sample?limit=1&sort=-amount&page=${encodeURIComponent(next.slice(0, -2))}`,
      `/views/sample?limit=1&sort=-amount&page=${encodeURIComponent(`A${next.slice(1)}`)}`,
      '/views/sample?limit=1&sort=-amount&page=',
      '/views/sample?limit=1&sort=-amount&page=x.y',
    ]) {
      expect([url, refused(await get(url))]).toEqual([url, [400, 'invalid_cursor', ['/page']]]);
    }
  });

  it('answers 400 to values that are too long to page by, not with a page that cannot be used', async () => {
    await sample.put([
      sampleRow('long', { name: 'long', note: 'l'.repeat(2_000), extra: 'm'.repeat(2_000) }),
    ]);
    await sample.put([
      sampleRow('long2', { name: 'long', note: 'l'.repeat(2_000), extra: 'n'.repeat(2_000) }),
    ]);
    const fits = await get('/views/sample?name=long&sort=note&limit=1');
    expect(fits.status).toBe(200);
    const page = encodeURIComponent(String(fits.body()['next']));
    expect(ids(await get(`/views/sample?name=long&sort=note&limit=1&page=${page}`))).toEqual(['long2']);
    await sample.db.query(
      `UPDATE ${sample.db.table('sample__v1')} SET extra = repeat('o', 4000), note = repeat('p', 4000) WHERE name = 'long'`,
    );
    expect(refused(await get('/views/sample?name=long&sort=note,extra&limit=1'))).toEqual([
      400,
      'invalid_parameter',
      ['/sort'],
    ]);
    await sample.remove(['long', 'long2']);
  });

  it.each([
    ['/views/sample?secret=x', 'unknown_field', ['/secret']],
    ['/views/sample?sort=tags', 'unknown_field', ['/sort']],
    ['/views/sample?__proto__=x', 'unknown_field', ['/__proto__']],
    ['/views/sample?amount=1&amount=1', 'invalid_parameter', ['/amount']],
    ['/views/sample?amount=one', 'invalid_parameter', ['/amount']],
    ['/views/sample?name=a%00b', 'invalid_parameter', ['/name']],
    ['/views/sample?limit=0', 'invalid_parameter', ['/limit']],
    ['/views/sample?wait=30001', 'invalid_parameter', ['/wait']],
    ['/views/sample?wait=-1', 'invalid_parameter', ['/wait']],
    ['/views/sample?name=%27%3B%20DROP%20TABLE%20x%3B--&sort=%22', 'unknown_field', ['/sort']],
    ['/views/sample?name=%ff', 'invalid_url', undefined],
  ])('%s is 400', async (url, code, paths) => {
    expect(refused(await get(url))).toEqual([400, code, paths]);
  });

  it('lists the fields that are known', async () => {
    expect((await get('/views/sample?nope=1')).body()['known']).toEqual([
      'id',
      'name',
      'note',
      'amount',
      'ratio',
      'flag',
      'extra',
    ]);
  });
});

describe('after', () => {
  it('lets the read through when all is in, and ignores logs that the view does not follow', async () => {
    const epoch = await sample.epochOf('thing');
    await sample.checkpoint(1, 10);
    const here = token('thing', epoch, [[1, 10]]);
    const other = token('else', 'nope', [[0, 99]]);
    for (const url of ['/views/sample/ann', '/views/sample']) {
      const answer = await get(`${url}?wait=30000&after=${here}&after=${other}&after=${here}`);
      expect(answer.status).toBe(200);
    }
  });

  it('waits for what is not in yet, and is woken by the hint', async () => {
    const epoch = await sample.epochOf('thing');
    const waiting = get(`/views/sample/ann?wait=30000&after=${token('thing', epoch, [[1, 12]])}`);
    await expect.poll(() => waiters.waiting).toBe(1);
    await sample.checkpoint(1, 12);
    wakeups.hint('progress/sample.v1/thing', 1, 12);
    expect((await waiting).status).toBe(200);
    expect(waiters.waiting).toBe(0);
  });

  it('is 503 with Retry-After when the time is over', async () => {
    const epoch = await sample.epochOf('thing');
    for (const wait of ['0', '30']) {
      const answer = await get(`/views/sample?wait=${wait}&after=${token('thing', epoch, [[2, 1]])}`);
      expect(refused(answer)).toEqual([503, 'projection_behind', undefined]);
      expect(answer.headers['retry-after']).toBe('1');
    }
  });

  it('is 503 at once where the projection stands still, but only for what it does not have', async () => {
    const epoch = await sample.epochOf('thing');
    await sample.checkpoint(3, 4);
    const stop = { source: 'thing', shard: 3, reason: 'why', seq: 5 };
    for (const [facts, code] of [
      [{ stops: [{ ...stop, kind: 'halted' }] }, 'projection_halted'],
      [{ stops: [{ ...stop, kind: 'needs_newer_code' }] }, 'needs_newer_code'],
      [{ state: 'paused' }, 'projection_paused'],
    ] as const) {
      standing = factsOf(Sample, facts);
      expect((await get(`/views/sample?wait=30000&after=${token('thing', epoch, [[3, 4]])}`)).status).toBe(
        200,
      );
      const answer = await get(`/views/sample?wait=30000&after=${token('thing', epoch, [[3, 5]])}`);
      expect(refused(answer)).toEqual([503, code, undefined]);
    }
    standing = undefined;
  });

  it('waits for shards that do not stand still, and for what comes before where one does', async () => {
    const epoch = await sample.epochOf('thing');
    await sample.checkpoint(3, 4);
    standing = factsOf(Sample, {
      stops: [{ source: 'thing', shard: 3, kind: 'halted', reason: 'why', seq: 7 }],
    });
    for (const pos of [
      [3, 5],
      [2, 1],
    ] as const) {
      const answer = await get(`/views/sample?wait=0&after=${token('thing', epoch, [pos])}`);
      expect(refused(answer)).toEqual([503, 'projection_behind', undefined]);
    }
    standing = undefined;
  });

  it('is 410 for a token of another epoch', async () => {
    const old = token('thing', 'old', [[0, 1]]);
    expect(refused(await get(`/views/sample?wait=30000&after=${old}`))).toEqual([
      410,
      'position_expired',
      undefined,
    ]);
  });

  it('is 400 for what is no token', async () => {
    const { headers } = await get('/views/sample');
    const cursor = encodeURIComponent(String(headers['tidemark-cursor']));
    const good = token('thing', 'e', [[0, 1]]);
    for (const after of ['', 'x', cursor, `${good}x`, good.slice(1)]) {
      for (const url of ['/views/sample', '/views/sample/ann']) {
        const answer = await get(`${url}?after=${after}`);
        expect([after, refused(answer)]).toEqual([after, [400, 'invalid_token', ['/after']]]);
      }
    }
  });

  it('ends when the client goes away', async () => {
    const epoch = await sample.epochOf('thing');
    const address = server.server.address();
    if (typeof address !== 'object' || address === null) throw new Error('not listening');
    const leaving = new AbortController();
    const url = `http://127.0.0.1:${address.port}/views/sample?wait=30000&after=${token('thing', epoch, [[2, 999]])}`;
    const request = fetch(url, { signal: leaving.signal }).catch((error: Error) => error.name);
    await expect.poll(() => waiters.waiting).toBe(1);
    leaving.abort();
    expect(await request).toBe('AbortError');
    await expect.poll(() => waiters.waiting).toBe(0);
  });
});

describe('another epoch of the change log', () => {
  it('ends pages with 410 and stands in tags and cursors', async () => {
    const before = await get('/views/sample?limit=1');
    const tag = (await get('/views/sample/ann')).headers['etag'];
    await sample.renew('sample.v1');
    const next = encodeURIComponent(String(before.body()['next']));
    expect(refused(await get(`/views/sample?limit=1&page=${next}`))).toEqual([
      410,
      'position_expired',
      undefined,
    ]);
    const after = await get('/views/sample/ann', { 'if-none-match': String(tag) });
    expect([after.status, after.headers['etag'] === tag]).toEqual([200, false]);
    expect(after.cursor?.epoch).toBe(await sample.epochOf('sample.v1'));
  });
});
