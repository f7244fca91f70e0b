/** The HTTP server alone, over bare sockets: whatever is sent, the answer has one shape and the server goes on. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHttpServer, type HttpAnswer } from '../../../src/app/http/server.js';
import { DomainError } from '../../../src/domain/errors.js';
import { TidemarkError } from '../../../src/platform/errors.js';
import { createLogger } from '../../../src/platform/logger.js';
import { hostPolicy, originPolicy } from '../../../src/platform/origins.js';
import { isProblemCode, PROBLEMS } from '../../../src/protocol/problems.js';
import { request, sendRaw, type RawAnswer } from '../../support/raw-http.js';

const JSON_BODY = ['Content-Type: application/json'];
const MIB = 1024 * 1024;
const log: string[] = [];
const answers: HttpAnswer[] = [];
let port = 0;

const server = createHttpServer({
  logger: createLogger({ level: 'info', destination: { write: (line) => void log.push(line) } }),
  access: { origins: originPolicy(['loopback', 'https://shop.example']), hosts: hostPolicy('127.0.0.1') },
  observe: (answer) => answers.push(answer),
});

/** Each thing that can be thrown, by the name of its route. */
const THROWN: Record<string, () => unknown> = {
  plain: () => new Error('planted-secret in a plain error'),
  text: () => 'planted-secret as a text',
  unknown_code: () => new TidemarkError('shard_count_changed', 'planted-secret under a code of no catalogue'),
  coded: () =>
    new TidemarkError('invalid_payload', 'the fields', { faults: [{ path: '/a', message: 'expected b' }] }),
  busy: () => new TidemarkError('too_many_requests', 'later', { retryAfter: 2.2 }),
  extra: () => new TidemarkError('unknown_view', 'no', { extra: { known: ['a'], status: 200, code: 'x' } }),
  conflict: () => new TidemarkError('order_already_paid', 'paid', { rejection: 'conflict' }),
  missing: () => new TidemarkError('order_not_found', 'none', { rejection: 'not_found' }),
  invalid: () => new TidemarkError('total_overflows', 'too much', { rejection: 'invalid' }),
  newer: () => new DomainError('needs_newer_code', 'event 7'),
  unreadable: () => new DomainError('event_unreadable', 'planted-secret'),
  database: () => Object.assign(new Error('connect ECONNREFUSED planted-secret'), { code: 'ECONNREFUSED' }),
  timeout: () =>
    Object.assign(new Error('planted-secret'), { code: '57014', severity: 'ERROR', detail: 'planted-row' }),
};

beforeAll(async () => {
  server.get('/things/:id', async (incoming) => ({ params: incoming.params, query: incoming.query }));
  server.post('/things/:id', async (incoming) => ({ body: incoming.body }));
  server.get<{ Params: { name: string } }>('/throw/:name', async (incoming) => {
    throw THROWN[incoming.params.name]?.();
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const address = server.server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  port = address.port;
});

afterAll(() => server.close());

const get = (target: string, headers: readonly string[] = []): Promise<RawAnswer> =>
  request(port, 'GET', target, { headers });
const post = (body: string | Buffer, headers: readonly string[] = JSON_BODY): Promise<RawAnswer> =>
  request(port, 'POST', '/things/1', { headers, body });

/** Checks the shape of a problem and gives it back. */
function problem(answer: RawAnswer): Record<string, unknown> & { code: string } {
  expect(answer.headers['content-type']).toBe('application/problem+json');
  const body = JSON.parse(answer.body) as Record<string, unknown> & { code: string };
  expect(body).toMatchObject({
    type: `urn:tidemark:problem:${body.code}`,
    title: expect.any(String),
    status: answer.status,
    detail: expect.any(String),
    code: expect.stringMatching(/^[a-z][a-z0-9_]*$/),
  });
  if (isProblemCode(body.code)) expect(answer.status).toBe(PROBLEMS[body.code].status);
  return body;
}

describe('methods', () => {
  it.each(['DELETE', 'PUT', 'PATCH', 'TRACE', 'PROPFIND', 'QUERY', 'LINK', 'BREW'])(
    '%s on a path that lacks it is 405 with what it has',
    async (method) => {
      const answer = await request(port, method, '/things/1');
      expect(problem(answer).code).toBe('method_not_allowed');
      expect(answer.headers['allow']).toBe('GET, HEAD, OPTIONS, POST');
    },
  );

  it('a path without the method is 405 also when its body is no JSON', async () => {
    const answer = await request(port, 'PUT', '/things/1', {
      headers: ['Content-Type: text/plain'],
      body: 'x',
    });
    expect(problem(answer).code).toBe('method_not_allowed');
  });

  it.each(['GET', 'DELETE', 'BREW'])('%s on a path that is not there is 404', async (method) => {
    expect(problem(await request(port, method, '/nowhere')).code).toBe('route_not_found');
  });

  it('CONNECT is 405', async () => {
    const answer = await request(port, 'CONNECT', 'example.com:443');
    expect(problem(answer).code).toBe('method_not_allowed');
    expect(answer.headers['allow']).toContain('GET');
  });

  it('OPTIONS tells the methods, HEAD answers without a body', async () => {
    const options = await request(port, 'OPTIONS', '/things/1');
    expect([options.status, options.headers['allow']]).toEqual([204, 'GET, HEAD, OPTIONS, POST']);
    const everything = await request(port, 'OPTIONS', '*');
    expect([everything.status, everything.headers['allow']]).toEqual([204, 'GET, HEAD, OPTIONS, POST']);
    const head = await request(port, 'HEAD', '/things/1');
    expect([head.status, head.body]).toEqual([200, '']);
  });
});

describe('bodies', () => {
  it('an absent or empty body is {}', async () => {
    for (const answer of [
      await request(port, 'POST', '/things/1'),
      await post(''),
      await request(port, 'POST', '/things/1', { headers: JSON_BODY }),
      // What `curl -d ''`, and `fetch` with an empty text as its body, send.
      await post('', ['Content-Type: application/x-www-form-urlencoded']),
      await post('', ['Content-Type: text/plain;charset=UTF-8']),
      await sendRaw(
        port,
        'POST /things/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
    ]) {
      expect(JSON.parse(answer.body)).toEqual({ body: {} });
    }
  });

  it('a byte order mark is passed over, UTF-8 may be named', async () => {
    expect(JSON.parse((await post('\uFEFF{"a":"é"}')).body)).toEqual({ body: { a: 'é' } });
    const named = await post('{"a":1}', ['Content-Type: application/json; charset="UTF-8"']);
    expect(JSON.parse(named.body)).toEqual({ body: { a: 1 } });
  });

  it.each([
    '{',
    '{"a":1',
    '{"a":1}}',
    "{'a':1}",
    'undefined',
    '[1,]',
    'NaN',
    '\u0000',
    '   ',
    '"planted-secret',
  ])('refuses %j as JSON without repeating it', async (body) => {
    const answer = await post(body);
    expect(problem(answer).code).toBe('invalid_json');
    expect(answer.body).not.toContain('planted-secret');
  });

  it('refuses bytes that are not UTF-8', async () => {
    expect(problem(await post(Buffer.from([0x22, 0xff, 0xfe, 0x22]))).code).toBe('invalid_json');
    expect(problem(await post(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).code).toBe('invalid_json');
  });

  it.each([
    ['{"a":{"__proto__":{"x":1}}}', '/a/__proto__'],
    ['{"a":[{"\\u005f_proto__":1}]}', '/a/0/__proto__'],
    ['{"a/b":{"constructor":{"prototype":{"x":1}}}}', '/a~1b/constructor'],
  ])('refuses %s and points at the key', async (body, path) => {
    expect(problem(await post(body))).toMatchObject({ code: 'invalid_json', errors: [{ path }] });
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('takes the same words as values', async () => {
    expect((await post('{"a":"__proto__","constructor":"x"}')).status).toBe(200);
  });

  it('a megabyte of brackets harms nobody', async () => {
    expect(problem(await post('['.repeat(MIB))).code).toBe('invalid_json');
    expect(problem(await post(`${'{"__proto__":'.repeat(50_000)}1${'}'.repeat(50_000)}`)).code).toBe(
      'invalid_json',
    );
  });

  it.each([
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['application/json; charset=utf-16'],
    ['application/jsonp'],
    [';;'],
  ])('refuses the media type %s', async (type) => {
    expect(problem(await post('{}', [`Content-Type: ${type}`])).code).toBe('unsupported_media_type');
  });

  it('refuses a body without a media type, and a compressed one', async () => {
    expect(problem(await post('{}', [])).code).toBe('unsupported_media_type');
    expect(problem(await post('{}', [...JSON_BODY, 'Content-Encoding: gzip'])).code).toBe(
      'unsupported_media_type',
    );
  });

  it('takes a body of 1 MiB and refuses one byte more, announced or in chunks', async () => {
    expect((await post(JSON.stringify('a'.repeat(MIB - 2)))).status).toBe(200);
    expect(problem(await post(JSON.stringify('a'.repeat(MIB - 1)))).code).toBe('payload_too_large');
    const head = `POST /things/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${JSON_BODY[0]}\r\n`;
    const announced = await sendRaw(port, `${head}Content-Length: ${MIB + 1}\r\n\r\n`);
    expect(problem(announced).code).toBe('payload_too_large');
    const chunk = `${(MIB + 1).toString(16)}\r\n${' '.repeat(MIB + 1)}\r\n0\r\n\r\n`;
    expect(problem(await sendRaw(port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`)).code).toBe(
      'payload_too_large',
    );
  });
});

describe('URLs', () => {
  it('takes 200 code points of four bytes each', async () => {
    const answer = await get(`/things/${encodeURIComponent('😀'.repeat(200))}`);
    expect(JSON.parse(answer.body)).toMatchObject({ params: { id: '😀'.repeat(200) } });
  });

  it.each([
    '/things/%',
    '/things/%zz',
    '/things/%ff',
    '/things/%ED%A0%80',
    '/things/x?a=%ff',
    '/nowhere?a=%',
    '/things/\u00e9',
  ])('refuses %s', async (target) => expect(problem(await get(target)).code).toBe('invalid_url'));

  it('answers a parameter, a query and a request line that are too long', async () => {
    for (const target of [
      `/things/${'a'.repeat(2_401)}`,
      `/things/x?${'a'.repeat(17_000)}`,
      `/things/x?${'a'.repeat(40_000)}`,
      `/things/x?${'a'.repeat(90_000)}`,
    ]) {
      expect(problem(await get(target)).code).toBe('url_too_long');
    }
  });

  it('takes the absolute form, and keeps Object’s own names out of a query', async () => {
    expect((await get('http://localhost/things/2')).status).toBe(200);
    const answer = await get('/things/x?__proto__=1&constructor=2');
    expect(answer.status).toBe(200);
    expect(({} as Record<string, unknown>)['1']).toBeUndefined();
  });
});

describe('what is hardly HTTP', () => {
  it.each([
    ['nonsense', 'nonsense\r\n\r\n', 'malformed_request'],
    ['another protocol', '\x16\x03\x01\x02\x00\x01\x00', 'malformed_request'],
    ['a header without a colon', 'GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n', 'invalid_header'],
    ['no Host', 'GET /things/1 HTTP/1.1\r\nConnection: close\r\n\r\n', 'invalid_header'],
    [
      'two lengths',
      'POST /things/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'invalid_header',
    ],
    [
      'a chunk without a size',
      'POST /things/1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'malformed_request',
    ],
  ])('%s', async (_name, bytes, code) => {
    expect(problem(await sendRaw(port, bytes)).code).toBe(code);
  });

  it('an expectation that nobody knows is passed over', async () => {
    const answer = await post('{"a":1}', [...JSON_BODY, 'Expect: the-unexpected']);
    expect([answer.status, answer.body]).toEqual([200, '{"body":{"a":1}}']);
    const missing = await request(port, 'GET', '/nowhere', { headers: ['Expect: the-unexpected'] });
    expect(problem(missing).code).toBe('route_not_found');
  });

  it('headers that are too large', async () => {
    expect(problem(await get('/things/1', [`X-Long: ${'a'.repeat(90_000)}`])).code).toBe(
      'header_fields_too_large',
    );
  });

  it('a client that leaves in the middle of its body is not an error of ours', async () => {
    const connected = once(server.server, 'connection');
    const socket = connect(port, '127.0.0.1');
    const [theirs] = (await connected) as [Socket];
    const head = 'POST /things/1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    const handed = once(server.server, 'request');
    socket.write(`${head}Content-Length: 10\r\n\r\n{"a"`);
    await handed;
    const closed = once(theirs, 'close');
    socket.destroy();
    await closed;
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.filter((line) => line.includes('aborted'))).toEqual([]);
  });
});

describe('Origin and Host', () => {
  it('lets listed origins in and exposes the headers that clients need', async () => {
    for (const origin of ['http://localhost:5173', 'https://shop.example']) {
      const { headers, status } = await get('/things/1', [`Origin: ${origin}`]);
      expect([status, headers['access-control-allow-origin'], headers['vary']]).toEqual([
        200,
        origin,
        'Origin',
      ]);
      for (const name of ['ETag', 'Tidemark-Cursor', 'Retry-After', 'Tidemark-Parked']) {
        expect(headers['access-control-expose-headers']).toContain(name);
      }
    }
  });

  it('refuses other origins, whatever the path', async () => {
    for (const origin of ['https://evil.example', 'null']) {
      for (const target of ['/things/1', '/nowhere']) {
        const answer = await get(target, [`Origin: ${origin}`]);
        expect(problem(answer)).toMatchObject({
          code: 'forbidden_origin',
          detail: expect.stringMatching(new RegExp(`"${origin}".*TIDEMARK_ORIGINS`)),
        });
        expect(answer.headers['access-control-allow-origin']).toBeUndefined();
      }
    }
    const long = String(
      problem(await get('/things/1', [`Origin: https://${'\u00e4'.repeat(5_000)}`]))['detail'],
    );
    expect(long).toMatch(/^[\x20-\x7e]*…[\x20-\x7e]*$/);
    expect(long.length).toBeLessThan(250);
  });

  it('answers a preflight', async () => {
    const { status, headers } = await request(port, 'OPTIONS', '/things/1', {
      headers: ['Origin: http://localhost:5173', 'Access-Control-Request-Method: POST'],
    });
    expect(status).toBe(204);
    expect(headers['access-control-allow-methods']).toBe('GET, HEAD, OPTIONS, POST');
    for (const name of ['Idempotency-Key', 'If-Match', 'If-None-Match', 'Content-Type', 'traceparent']) {
      expect(headers['access-control-allow-headers']).toContain(name);
    }
    const foreign = await request(port, 'OPTIONS', '/things/1', {
      headers: ['Origin: https://evil.example', 'Access-Control-Request-Method: POST'],
    });
    expect(problem(foreign).code).toBe('forbidden_origin');
  });

  it('pages can read errors too', async () => {
    for (const target of ['/nowhere', '/things/%', '/throw/plain']) {
      const { headers } = await get(target, ['Origin: http://localhost:5173']);
      expect(headers['access-control-allow-origin'], target).toBe('http://localhost:5173');
    }
  });

  it('refuses a Host that a rebound name would send', async () => {
    const evil = await request(port, 'GET', '/things/1', { host: 'evil.example' });
    expect(problem(evil)).toMatchObject({
      code: 'forbidden_host',
      detail: expect.stringMatching(/"evil\.example".*TIDEMARK_HOSTS/),
    });
    expect((await request(port, 'GET', '/things/1', { host: '[::1]:3000' })).status).toBe(200);
  });
});

describe('what rooms throw', () => {
  it.each([
    ['plain', 500, 'internal_error'],
    ['text', 500, 'internal_error'],
    ['unknown_code', 500, 'internal_error'],
    ['coded', 400, 'invalid_payload'],
    ['busy', 429, 'too_many_requests'],
    ['conflict', 409, 'order_already_paid'],
    ['missing', 404, 'order_not_found'],
    ['invalid', 422, 'total_overflows'],
    ['newer', 503, 'needs_newer_code'],
    ['unreadable', 500, 'event_unreadable'],
    ['database', 503, 'database_unavailable'],
    ['timeout', 503, 'query_timeout'],
  ])('%s is %i %s, and tells no secret', async (name, status, code) => {
    const answer = await get(`/throw/${name}`);
    expect([answer.status, problem(answer).code]).toEqual([status, code]);
    expect(answer.body).not.toContain('planted');
    expect(answer.body).not.toContain('at ');
    if (status === 503 || status === 429) expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('passes faults and extras on, but never over the fixed members', async () => {
    expect(problem(await get('/throw/coded'))['errors']).toEqual([{ path: '/a', message: 'expected b' }]);
    expect(problem(await get('/throw/extra'))).toMatchObject({
      code: 'unknown_view',
      status: 404,
      known: ['a'],
    });
    expect((await get('/throw/busy')).headers['retry-after']).toBe('3');
  });

  it('logs the cause of a 500 under the request id of the answer, without the driver’s data', async () => {
    const answer = await get('/throw/plain');
    const id = problem(answer)['requestId'];
    expect(id).toBe(answer.headers['x-request-id']);
    const line = log.find((text) => text.includes(String(id)));
    expect(line).toContain('a plain error');
    await get('/throw/timeout');
    expect(log.join('')).not.toContain('planted-row');
  });

  it('tells each answer by the pattern of its route', async () => {
    answers.length = 0;
    await get('/things/1');
    await get('/throw/busy');
    await get('/nowhere');
    await expect
      .poll(() => answers.map(({ route, status }) => `${route} ${status}`))
      .toEqual(['/things/:id 200', '/throw/:name 429', 'unmatched 404']);
  });
});
