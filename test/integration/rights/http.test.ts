/** Rights over HTTP, on a whole application: what is whose, and what those learn whose it is not. Tokens are planted, and looked for. */
import { aggregate, defineApp, jwt, projection, query } from 'tidemark';
import { ProblemError, testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../../../src/platform/logger.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { forged, SECRET, signed, soon } from '../../support/jwt.js';

const Note = aggregate('note', {
  state: z.object({ owner: z.string(), text: z.string() }),
  initial: { owner: '', text: '' },
  events: {
    Written: z.object({ owner: z.string(), text: z.string() }),
    Handed: z.object({ to: z.string() }),
  },
  commands: {
    write: z.strictObject({ text: z.string() }),
    hand: z.strictObject({ to: z.string() }),
    burn: z.strictObject({}),
  },
})
  .evolve({
    Written: (_state, { data }) => data,
    Handed: (state, { data }) => ({ ...state, owner: data.to }),
  })
  .context({ burn: () => void contexts.push('burn') })
  .decide({
    write: (state, { text }, { emit, streamId }) =>
      emit('Written', { owner: state.owner || (streamId.split('-')[0] ?? ''), text }),
    hand: (_state, { to }, { emit }) => emit('Handed', { to }),
    burn: () => [],
  });
const contexts: string[] = [];

const Notes = projection('notes', {
  version: 1,
  row: z.object({ id: z.string(), owner: z.string(), text: z.string(), parts: z.array(z.string()) }),
  key: 'id',
  indexes: ['text'],
  channels: ['owner', ['owner', 'text']],
}).on(Note, {
  fold: {
    Written: (_row, { data }) => {
      if (data.text === 'poison') throw new Error('a row of it is parked');
      return { ...data, parts: [] };
    },
    Handed: (row, { data }) => row && { ...row, owner: data.to },
  },
});
const Hidden = projection('hidden', {
  version: 1,
  row: z.object({ id: z.string(), text: z.string() }),
  key: 'id',
}).on(Note, { fold: { Written: (_row, { data }) => ({ text: data.text }) } });

const mine = query('mine', {
  input: z.strictObject({ of: z.string().optional() }),
  output: z.object({ owner: z.string(), count: z.int() }),
  reads: [Notes],
}).handle(async ({ db, principal }) => {
  const rows = await db.selectFrom('notes').where('owner', '=', principal.id).select('id').execute();
  return { owner: principal.id, count: rows.length };
});

const claims = z.object({ role: z.string().default(''), scope: z.unknown().optional() });
const authenticate = jwt({ secret: SECRET, claims });
const app = defineApp({
  name: 'notes',
  aggregates: [Note],
  projections: [Notes, Hidden],
  queries: [mine],
  auth: {
    authenticate,
    cookie: 'session',
    commands: {
      note: {
        write: ({ principal, streamId, state }) =>
          state.owner === '' ? streamId.startsWith(`${principal.id}-`) : state.owner === principal.id,
        '*': ({ principal, state }) => state.owner === principal.id,
      },
    },
    queries: { mine: ({ principal, input }) => input.of === undefined || input.of === principal.id },
    views: {
      notes: ({ principal }) => {
        if (principal.claims.role === 'admin') return true;
        // As JavaScript would have it: a claim that is not there, or is something else.
        if (principal.claims.role === 'broken') return principal.claims.scope as { owner: string };
        return { owner: principal.id };
      },
    },
    streams: { note: ({ principal, state }) => state.owner === principal.id },
    operate: ({ principal }) => principal.claims.role === 'admin',
  },
});

let pg: FreshDatabase;
let running: TestApp;
const log: string[] = [];
const seen: string[] = [];
const planted: string[] = [];

async function token(id: string, more: object = {}): Promise<string> {
  const made = await signed({ sub: id, ...more });
  planted.push(made);
  return made;
}

async function call(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<{ status: number; headers: Headers; json: Record<string, unknown>; text: string }> {
  const response = await fetch(running.urls.http + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  seen.push(text, ...[...response.headers].flat());
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : {} };
}
const bearer = async (id: string, more: object = {}): Promise<Record<string, string>> => ({
  authorization: `Bearer ${await token(id, more)}`,
});
/** Status and code, and whatever else the answer tells apart, without what differs each time. */
async function told(path: string, headers: Record<string, string>): Promise<unknown> {
  const { status, headers: got, json } = await call('GET', path, headers);
  const kept = [...got].filter(
    ([name]) => !['date', 'x-request-id', 'tidemark-cursor', 'connection', 'keep-alive'].includes(name),
  );
  return { status, json, kept };
}
const writes = (id: string, of: string, text = 'hello'): Promise<unknown> =>
  running.as({ id: of }).execute(Note, id, 'write', { text });
const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ProblemError ? error.code : String(error)),
  );

beforeAll(async () => {
  pg = await freshDatabase();
  const logger = createLogger({ level: 'trace', destination: { write: (line) => void log.push(line) } });
  running = await testApp(app, { databaseUrl: pg.url, logger });
  for (const id of ['ann-1', 'ann-2', 'ann-3']) await writes(id, 'ann');
  await writes('bob-1', 'bob');
  await running.caughtUp();
});
afterAll(async () => {
  await running.close();
  await pg.drop();
});

describe('who calls', () => {
  const paths = [
    ['GET', '/views/notes'],
    ['HEAD', '/views/notes'],
    ['GET', '/views/notes/ann-1'],
    ['GET', '/queries/mine'],
    ['POST', '/queries/mine'],
    ['GET', '/streams/note/ann-1'],
    ['GET', '/streams/note/ann-1/state'],
    ['POST', '/commands/note/ann-1/write'],
    ['GET', '/ops/projections'],
    ['POST', '/ops/projections/notes/pause'],
    ['GET', '/views/no_such_view'],
    ['POST', '/commands/no_such/x/y'],
  ] as const;

  it.each(paths)('%s %s: 401 without a token', async (method, path) => {
    const { status, headers, json } = await call(method, path);
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    if (method !== 'HEAD') expect(json['code']).toBe('unauthenticated');
  });

  it('is in Authorization, whatever the case of Bearer, or in the cookie', async () => {
    const good = await token('ann');
    for (const scheme of ['Bearer', 'bearer', 'BEARER'])
      expect((await call('GET', '/views/notes', { authorization: `${scheme} ${good}` })).status).toBe(200);
    expect((await call('GET', '/views/notes', { cookie: `a=b; session=${good}` })).status).toBe(200);
    expect((await call('GET', '/views/notes', { cookie: `other=${good}` })).status).toBe(401);
    // Never in the URL.
    for (const name of ['token', 'access_token', 'session', 'authorization'])
      expect((await call('GET', `/queries/mine?${name}=${good}`)).status).toBe(401);
    // A good cookie does not mend a bad header.
    const both = { authorization: 'Bearer bad', cookie: `session=${good}` };
    expect((await call('GET', '/views/notes', both)).status).toBe(401);
  });

  it('a token that is not valid, or over: 401, and why', async () => {
    const bad = [
      await signed({}, { key: new Uint8Array(32) }),
      forged({ alg: 'none' }, { sub: 'ann' }),
      'x.y.z',
    ];
    planted.push(...bad.filter((one) => one.length > 10));
    for (const one of bad) {
      const { status, headers, json } = await call('GET', '/views/notes', { authorization: `Bearer ${one}` });
      expect([status, json['code']]).toEqual([401, 'unauthenticated']);
      expect(headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/);
    }
    const over = await call('GET', '/views/notes', await bearer('ann', { exp: soon(-60) }));
    expect([over.status, over.json['code']]).toEqual([401, 'token_expired']);
    expect(over.headers.get('www-authenticate')).toContain('expired');
  });

  it('health, metrics and the description are anybody’s; preflights need no token', async () => {
    for (const path of ['/livez', '/readyz', '/metrics', '/openapi.json'])
      expect((await call('GET', path)).status).toBe(200);
    const preflight = {
      origin: 'http://localhost:5173',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'authorization',
    };
    const { status, headers } = await call('OPTIONS', '/views/notes', preflight);
    expect([status, headers.get('access-control-allow-credentials')]).toEqual([204, 'true']);
    expect(headers.get('access-control-allow-headers')).toContain('Authorization');
  });

  it('a cookie is no use to a page of another site', async () => {
    const cookie = `session=${await token('ann')}`;
    const evil = await call(
      'POST',
      '/commands/note/ann-1/write',
      { cookie, origin: 'https://evil.example' },
      { text: 'x' },
    );
    expect([evil.status, evil.json['code']]).toEqual([403, 'forbidden_origin']);
    expect(evil.headers.get('access-control-allow-origin')).toBeNull();
    expect(evil.headers.get('access-control-allow-credentials')).toBeNull();
  });
});

describe('views', () => {
  it('a list has one’s own rows, with a cursor where a subscription could follow it', async () => {
    const ann = await bearer('ann');
    const { json, headers } = await call('GET', '/views/notes?sort=-id', ann);
    expect(json['items']).toMatchObject([{ id: 'ann-3' }, { id: 'ann-2' }, { id: 'ann-1' }]);
    expect(headers.get('cache-control')).toBe('private, no-cache');
    expect(headers.get('tidemark-cursor')).not.toBeNull();
    const others = await call('GET', '/views/notes?owner=bob', ann);
    expect(others.json).toEqual({ items: [], next: null });
    expect(others.headers.get('tidemark-cursor')).toBeNull();
    // What would be the whole view of others is a channel of hers.
    const [body = ''] = (headers.get('tidemark-cursor') ?? '').split('.');
    expect(JSON.parse(Buffer.from(body, 'base64url').toString()).bind).toEqual({
      view: 'notes',
      scope: expect.any(String) as string,
    });
  });

  it('who may see all sees all', async () => {
    const { json } = await call('GET', '/views/notes?limit=10', await bearer('root', { role: 'admin' }));
    expect(json['items']).toHaveLength(4);
  });

  it('a row of somebody else is as one that is not there, tags and positions too', async () => {
    const ann = await bearer('ann');
    const own = await call('GET', '/views/notes/ann-1', ann);
    expect([own.status, own.json]).toMatchObject([200, { owner: 'ann' }]);
    const root = await bearer('root', { role: 'admin' });
    const etag = (await call('GET', '/views/notes/bob-1', root)).headers.get('etag') ?? '';
    expect(etag).not.toBe('');
    const missing = JSON.stringify(await told('/views/notes/nobody-1', ann));
    for (const tag of [undefined, etag, '*', '"r0-1"', `W/${etag}`]) {
      const more: Record<string, string> = tag === undefined ? {} : { 'if-none-match': tag };
      expect(JSON.stringify(await told('/views/notes/bob-1', { ...ann, ...more }))).toBe(missing);
    }
    const head = await call('HEAD', '/views/notes/bob-1', { ...ann, 'if-none-match': etag });
    expect([head.status, head.headers.get('etag')]).toEqual([404, null]);
    expect(
      (await call('GET', '/views/notes/ann-1', { ...ann, 'if-none-match': own.headers.get('etag') ?? '' }))
        .status,
    ).toBe(304);
  });

  it('that the key of somebody else is parked is not told either', async () => {
    await writes('bob-9', 'bob', 'poison');
    const ann = await bearer('ann');
    await running.as({ id: 'root', claims: { role: 'admin' } }).caughtUp();
    const root = await bearer('root', { role: 'admin' });
    expect((await call('GET', '/views/notes/bob-9', root)).headers.get('tidemark-parked')).toBe('true');
    expect(await told('/views/notes/bob-9', ann)).toEqual(await told('/views/notes/nobody-9', ann));
  });

  it('a page of one is no page of another, and not of one who sees more', async () => {
    const [ann, bob, root] = [
      await bearer('ann'),
      await bearer('bob'),
      await bearer('root', { role: 'admin' }),
    ];
    const next = String((await call('GET', '/views/notes?limit=1', ann)).json['next']);
    const page = `/views/notes?limit=1&page=${encodeURIComponent(next)}`;
    expect((await call('GET', page, ann)).json['items']).toMatchObject([{ id: 'ann-2' }]);
    for (const other of [bob, root])
      expect(await call('GET', page, other)).toMatchObject({ status: 400, json: { code: 'invalid_cursor' } });
  });

  it('without a rule: 403, also for who may see all of another; an unknown field tells nothing of rows', async () => {
    const root = await bearer('root', { role: 'admin' });
    for (const path of ['/views/hidden', '/views/hidden/ann-1', '/views/hidden?nosuch=1'])
      expect(await call('GET', path, root)).toMatchObject({ status: 403, json: { code: 'forbidden' } });
  });

  it.each([
    ['a claim that is not there', undefined],
    ['nothing to hold still', {}],
    ['a list', { owner: ['ann', 'bob'] }],
    ['no column', { nobody: 'x' }],
    ['a column without a filter', { parts: 'x' }],
    ['an operator', { owner: { not: 'x' } }],
    ['null where there is none', { owner: null }],
  ])('a scope that is none gives nothing away: %s', async (_what, scope) => {
    const headers = await bearer('ann', { role: 'broken', scope });
    for (const path of ['/views/notes', '/views/notes/ann-1']) {
      const { status, json, text } = await call('GET', path, headers);
      expect([status, json['code']]).toEqual([500, 'rule_failed']);
      expect(text).not.toContain('ann-1');
    }
    expect(log.some((line) => line.includes('rule_failed'))).toBe(true);
  });

  it('waiting for a token of somebody else’s command shows nothing of it', async () => {
    const { token: after } = await running
      .as({ id: 'bob' })
      .execute(Note, 'bob-2', 'write', { text: 'secret' });
    const path = `/views/notes?after=${encodeURIComponent(after)}&wait=5000`;
    const { json } = await call('GET', path, await bearer('ann'));
    expect(JSON.stringify(json)).not.toContain('bob');
  });

  it('a row that is handed over changes hands', async () => {
    await writes('ann-4', 'ann');
    const [ann, bob] = [running.as({ id: 'ann' }), running.as({ id: 'bob' })];
    expect([await ann.row(Notes, 'ann-4'), await bob.row(Notes, 'ann-4')]).toMatchObject([
      { owner: 'ann' },
      null,
    ]);
    await ann.execute(Note, 'ann-4', 'hand', { to: 'bob' });
    expect([await ann.row(Notes, 'ann-4'), await bob.row(Notes, 'ann-4')]).toMatchObject([
      null,
      { owner: 'bob' },
    ]);
  });
});

describe('commands', () => {
  it('are decided by the state: whose it is, and then what may be done', async () => {
    const [ann, eve] = [running.as({ id: 'ann' }), running.as({ id: 'eve' })];
    expect(await codeOf(ann.execute(Note, 'ann-1', 'write', { text: 'again' }))).toBe('done');
    for (const command of ['write', 'hand', 'burn'] as const) {
      const payload = { write: { text: 'x' }, hand: { to: 'eve' }, burn: {} }[command];
      expect(await codeOf(eve.execute(Note, 'ann-1', command, payload as never))).toBe('forbidden');
    }
    // Nobody fetches prices for who may not order.
    expect(contexts).toEqual([]);
    expect(await codeOf(ann.execute(Note, 'ann-1', 'burn', {}))).toBe('done');
    expect(contexts).toEqual(['burn']);
    const { events } = await ann.execute(Note, 'ann-9', 'write', { text: 'new' });
    expect(events).toHaveLength(1);
  });

  it('the actor is who acted', async () => {
    await running.as({ id: 'ann', claims: {} }).execute(Note, 'ann-1', 'write', { text: 'by whom?' });
    const { json } = await call('GET', '/streams/note/ann-1?from=1&limit=1000', await bearer('ann'));
    const items = json['items'] as readonly { metadata: { actor: string } }[];
    expect(new Set(items.map(({ metadata }) => metadata.actor))).toEqual(new Set(['ann']));
  });

  it('a stranger learns nothing of a stream: not its version, nor whether it is there', async () => {
    const eve = await bearer('eve');
    const answers = new Set<string>();
    for (const id of ['ann-1', 'zed-1']) {
      for (const more of [
        {},
        { 'if-match': '"s1"' },
        { 'if-match': '"s999"' },
        { 'if-match': '*' },
        { 'if-none-match': '*' },
      ]) {
        const { status, json } = await call(
          'POST',
          `/commands/note/${id}/write`,
          { ...eve, ...more },
          { text: 'x' },
        );
        answers.add(JSON.stringify([status, json]));
      }
      for (const path of ['', '?from=1000', '/state', '/state?atVersion=0', '/state?atVersion=999'])
        expect(await call('GET', `/streams/note/${id}${path}`, eve)).toMatchObject({
          status: 403,
          json: { code: 'forbidden' },
        });
    }
    expect([...answers]).toHaveLength(1);
    expect([...answers][0]).toContain('"forbidden"');
  });

  it('who would have it begin is told no more of one that has begun', async () => {
    // Past the commands, so that its state is in no cache: hers by its name, and another's by now. The rule would take it for
    // one that has not begun.
    await running.append(Note, 'eve-2', [{ type: 'Written', data: { owner: 'ann', text: 'x' } }]);
    const write = async (id: string): Promise<unknown> => {
      const headers = { ...(await bearer(id)), 'if-none-match': '*' };
      const { status, json } = await call('POST', '/commands/note/eve-2/write', headers, { text: 'x' });
      return [status, json['code'], json['version']];
    };
    expect(await write('eve')).toEqual([403, 'forbidden', undefined]);
    expect(await write('ann')).toEqual([412, 'precondition_failed', 1]);
  });

  it('an idempotency key is its actor’s own: a repeat has its answer, also when it could not be done again', async () => {
    await writes('ann-5', 'ann');
    const key = { idempotencyKey: 'same' };
    const first = await running.as({ id: 'ann' }).execute(Note, 'ann-5', 'hand', { to: 'bob' }, key);
    expect(await running.as({ id: 'ann' }).execute(Note, 'ann-5', 'hand', { to: 'bob' }, key)).toEqual(first);
    expect(await codeOf(running.as({ id: 'ann' }).execute(Note, 'ann-5', 'hand', { to: 'bob' }))).toBe(
      'forbidden',
    );
    expect(await codeOf(running.as({ id: 'eve' }).execute(Note, 'ann-5', 'hand', { to: 'bob' }, key))).toBe(
      'forbidden',
    );
    const others = await running.as({ id: 'bob' }).execute(Note, 'ann-5', 'hand', { to: 'bob' }, key);
    expect(others.version).toBe(first.version + 1);
  });
});

describe('queries', () => {
  it('know who asks, and are asked only what that one may', async () => {
    const bob = running.as({ id: 'bob' });
    expect(await bob.query(mine, {})).toMatchObject({ owner: 'bob' });
    expect(await codeOf(bob.query(mine, { of: 'ann' }))).toBe('forbidden');
    expect(await call('GET', '/queries/mine?of=ann', await bearer('bob'))).toMatchObject({ status: 403 });
  });
});

describe('operators', () => {
  it('have a right of their own, on this machine too', async () => {
    expect(await call('GET', '/ops/projections', await bearer('ann'))).toMatchObject({
      status: 403,
      json: { code: 'forbidden' },
    });
    const root = await bearer('root', { role: 'admin' });
    expect((await call('GET', '/ops/projections', root)).status).toBe(200);
    // Not only from this machine: through a proxy as well.
    expect((await call('GET', '/ops/projections', { ...root, 'x-forwarded-for': '10.0.0.1' })).status).toBe(
      200,
    );
    const form = {
      cookie: `session=${await token('root', { role: 'admin' })}`,
      'content-type': 'text/plain',
    };
    expect((await call('POST', '/ops/projections/notes/pause', form)).status).toBe(415);
  });
});

it('is described: how to show who one is, and what is answered else', async () => {
  const { json } = await call('GET', '/openapi.json');
  const { components, security, paths } = json as {
    components: { securitySchemes: object };
    security: object[];
    paths: Record<string, Record<string, { responses: Record<string, unknown>; security?: object[] }>>;
  };
  expect(components.securitySchemes).toMatchObject({
    bearer: { type: 'http', scheme: 'bearer' },
    cookie: { type: 'apiKey', in: 'cookie', name: 'session' },
  });
  expect(security).toEqual([{ bearer: [] }, { cookie: [] }]);
  for (const [path, methods] of Object.entries(paths)) {
    for (const one of Object.values(methods)) {
      const open = ['/livez', '/readyz', '/metrics'].includes(path);
      expect([path, one.security, '401' in one.responses]).toEqual([path, open ? [] : undefined, !open]);
    }
  }
});

it('no token stands in a log line, a header or an answer', () => {
  expect(planted.length).toBeGreaterThan(20);
  const everything = [...log, ...seen].join('\n');
  // Signatures alone are as good as none: the claims, which begin alike, are looked for as a whole.
  expect(planted.filter((one) => everything.includes(one))).toEqual([]);
  const tags = planted.map((one) => one.split('.')[2] ?? '').filter((tag) => tag !== '');
  expect(tags.filter((tag) => everything.includes(tag))).toEqual([]);
  expect(everything).not.toContain(SECRET);
});
