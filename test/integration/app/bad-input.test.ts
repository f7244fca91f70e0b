/**
 * Everything that a client can get wrong, sent to a whole process: each gets its problem or `err` frame, nothing is
 * written, and the process and its neighbours go on.
 */
import { aggregate, defineApp } from 'tidemark';
import pg from 'pg';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import orders from '../../../examples/orders/app.js';
import { loadConfig } from '../../../src/app/config.js';
import type { Readiness } from '../../../src/app/http/operations-http.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { createLogger } from '../../../src/platform/logger.js';
import { SUBPROTOCOL } from '../../../src/protocol/frames.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { request, type RawAnswer } from '../../support/raw-http.js';

/** What it emits is as large as it was told: larger than an event may be. */
const Blob = aggregate('blob', {
  state: z.object({}),
  initial: {},
  events: { Stored: z.object({ text: z.string() }) },
  commands: { store: z.object({ bytes: z.int() }) },
})
  .evolve({ Stored: (state) => state })
  .decide({ store: (_state, { bytes }, { emit }) => emit('Stored', { text: 'x'.repeat(bytes) }) });

const app = defineApp({
  auth: 'none',
  name: 'battery',
  aggregates: [...orders.aggregates, Blob],
  projections: orders.projections,
  queries: orders.queries,
});

const LINE = { sku: 'tea', quantity: 1, unitPriceCents: 100 };
const GOOD = { customerId: 'c-1', lines: [LINE] };
const errors: string[] = [];
let postgres: FreshDatabase;
let runtime: Runtime;
let port = 0;

beforeAll(async () => {
  postgres = await freshDatabase();
  const env = { DATABASE_URL: postgres.url, PORT: '0', REALTIME_PORT: '0' };
  const logger = createLogger({ level: 'error', destination: { write: (line) => void errors.push(line) } });
  runtime = createRuntime(app, loadConfig(env), { logger, checkQueryOutput: true });
  await runtime.start();
  port = Number(new URL(runtime.urls.http).port);
});

afterAll(async () => {
  await runtime.stop();
  await postgres.drop();
});

const post = (path: string, body: unknown, headers: readonly string[] = []): Promise<RawAnswer> =>
  request(port, 'POST', path, {
    headers: ['Content-Type: application/json', ...headers],
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const get = (path: string): Promise<RawAnswer> => request(port, 'GET', path);

async function eventCount(): Promise<number> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const { rows } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM tidemark.events');
  await client.end();
  return rows[0]?.n ?? -1;
}

interface Refusal {
  readonly code: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly known?: readonly string[];
}

function refusal(answer: RawAnswer, status: number): Refusal {
  expect(answer.headers['content-type'], answer.body).toBe('application/problem+json');
  expect(answer.status, answer.body).toBe(status);
  const told = JSON.parse(answer.body) as Refusal;
  // What has a place in the input is told with the place; a broken URL has none.
  if (status === 400 && told.code !== 'invalid_url')
    expect(told.errors?.length, answer.body).toBeGreaterThan(0);
  if (status === 404) expect(told.known?.length, answer.body).toBeGreaterThan(0);
  return told;
}

const surrogate = '{"customerId":"\\ud800","lines":[{"sku":"tea","quantity":1,"unitPriceCents":1}]}';
const lines = (line: unknown): unknown => ({ ...GOOD, lines: [line] });

describe('payloads', () => {
  it.each<[string, unknown, string | undefined]>([
    ['no field', {}, '/customerId'],
    ['an array', [], ''],
    ['a text', '"text"', ''],
    ['null', 'null', ''],
    ['an unknown field', { ...GOOD, coupon: 1 }, '/coupon'],
    ['an unknown field deep in it', lines({ ...LINE, colour: 'red' }), '/lines/0/colour'],
    ['a number for a text', { ...GOOD, customerId: 7 }, '/customerId'],
    ['an empty customer', { ...GOOD, customerId: '' }, '/customerId'],
    ['a blank customer', { ...GOOD, customerId: ' \u3000' }, '/customerId'],
    ['a customer of 201 code points', { ...GOOD, customerId: '😀'.repeat(201) }, '/customerId'],
    ['a control character', { ...GOOD, customerId: 'a\u0007b' }, '/customerId'],
    ['NUL', { ...GOOD, customerId: 'a\u0000b' }, '/customerId'],
    ['an unpaired surrogate', surrogate, '/customerId'],
    ['NUL in a field name', { ...GOOD, 'a\u0000b': 1 }, undefined],
    ['no lines', { ...GOOD, lines: [] }, '/lines'],
    ['101 lines', { ...GOOD, lines: Array(101).fill(LINE) }, '/lines'],
    ['quantity 0', lines({ ...LINE, quantity: 0 }), '/lines/0/quantity'],
    ['quantity 1,001', lines({ ...LINE, quantity: 1_001 }), '/lines/0/quantity'],
    ['half a piece', lines({ ...LINE, quantity: 0.5 }), '/lines/0/quantity'],
    ['a negative price', lines({ ...LINE, unitPriceCents: -1 }), '/lines/0/unitPriceCents'],
    ['a price beyond the limit', lines({ ...LINE, unitPriceCents: 10_000_001 }), '/lines/0/unitPriceCents'],
    ['a number beyond 2^53', lines({ ...LINE, unitPriceCents: 2 ** 53 }), '/lines/0/unitPriceCents'],
    [
      'a number that is infinite',
      JSON.stringify(lines(LINE)).replace('100', '1e999'),
      '/lines/0/unitPriceCents',
    ],
    ['a number as text', lines({ ...LINE, quantity: '1' }), '/lines/0/quantity'],
    [
      'nesting without end',
      `{"customerId":${'['.repeat(10_000)}${']'.repeat(10_000)},"lines":[]}`,
      undefined,
    ],
  ])('%s', async (_what, payload, path) => {
    const { code, errors: faults } = refusal(await post('/commands/order/bad-1/place', payload), 400);
    expect(code).toBe('invalid_payload');
    if (path !== undefined) expect(faults?.map((fault) => fault.path)).toContain(path);
  });

  it('what is no JSON, poisons prototypes, or is too large', async () => {
    expect(refusal(await post('/commands/order/bad-1/place', '{"customerId":'), 400).code).toBe(
      'invalid_json',
    );
    const poison = '{"customerId":"c","lines":[],"__proto__":{"admin":true}}';
    expect(refusal(await post('/commands/order/bad-1/place', poison), 400).code).toBe('invalid_json');
    const large = { ...GOOD, note: 'x'.repeat(1024 * 1024) };
    expect(refusal(await post('/commands/order/bad-1/place', large), 413).code).toBe('payload_too_large');
    expect(refusal(await post('/commands/blob/bad-1/store', { bytes: 600_000 }), 413).code).toBe(
      'event_too_large',
    );
  });
});

describe('names, ids and methods', () => {
  it('an unknown name is told with those there are', async () => {
    const cases: [Promise<RawAnswer>, string, string][] = [
      [post('/commands/ordr/x/place', GOOD), 'unknown_aggregate', 'order'],
      [post('/commands/order/x/plaice', GOOD), 'unknown_command', 'place'],
      [get('/views/order_sumary'), 'unknown_view', 'order_summary'],
      [get('/views/order_sumary/x'), 'unknown_view', 'order_summary'],
      [get('/queries/customer_order'), 'unknown_query', 'customer_orders'],
      [get('/streams/ordr/x'), 'unknown_aggregate', 'order'],
      [get('/views/__proto__'), 'unknown_view', 'order_summary'],
      [post('/commands/order/x/constructor', GOOD), 'unknown_command', 'place'],
      [get('/queries/toString'), 'unknown_query', 'customer_orders'],
    ];
    for (const [answer, code, known] of cases) {
      const problem = refusal(await answer, 404);
      expect(problem.code).toBe(code);
      expect(JSON.stringify(problem)).toContain(known);
    }
  });

  it('fields that a view does not filter or sort by', async () => {
    for (const query of ['totalCents=1', 'nothing=1', 'sort=totalCents', 'sort=-nothing', '__proto__=1']) {
      const problem = refusal(await get(`/views/order_summary?${query}`), 400);
      expect(problem.code, query).toBe('unknown_field');
      expect(JSON.stringify(problem)).toContain('customerId');
    }
  });

  it.each([
    ['blank', '%20'],
    ['201 code points', encodeURIComponent('😀'.repeat(201))],
    ['a control character', 'a%07b'],
    ['NUL', 'a%00b'],
    ['a C1 control', 'a%C2%80b'],
  ])('a stream id or key that is %s', async (_what, id) => {
    for (const answer of [
      post(`/commands/order/${id}/place`, GOOD),
      get(`/streams/order/${id}`),
      get(`/streams/order/${id}/state`),
    ]) {
      expect(refusal(await answer, 400).code).toBe('invalid_stream_id');
    }
    expect(refusal(await get(`/views/order_summary/${id}`), 400).code).toBe('invalid_key');
  });

  it('a stream id that is no UTF-8, or an unpaired surrogate', async () => {
    for (const id of ['%ED%A0%80', '%ff', '%', '%u0041']) {
      expect(refusal(await post(`/commands/order/${id}/place`, GOOD), 400).code).toBe('invalid_url');
    }
  });

  it('a method that a path lacks is told with those it has', async () => {
    for (const [method, path, allow] of [
      ['GET', '/commands/order/x/place', 'OPTIONS, POST'],
      ['DELETE', '/views/order_summary/x', 'GET, HEAD, OPTIONS'],
      ['PATCH', '/queries/customer_orders', 'GET, HEAD, OPTIONS, POST'],
      ['TRACE', '/streams/order/x', 'GET, HEAD, OPTIONS'],
      ['PUT', '/readyz', 'GET, HEAD, OPTIONS'],
    ] as const) {
      const answer = await request(port, method, path);
      expect(refusal(answer, 405).code).toBe('method_not_allowed');
      expect(answer.headers['allow']).toBe(allow);
    }
  });
});

describe('parameters and headers', () => {
  it.each([
    ['/views/order_summary?limit=0', 'invalid_parameter'],
    ['/views/order_summary?limit=1001', 'invalid_parameter'],
    ['/views/order_summary?limit=ten', 'invalid_parameter'],
    ['/views/order_summary?limit=1&limit=2', 'invalid_parameter'],
    ['/views/order_summary?customerId=a%00b', 'invalid_parameter'],
    ['/views/order_summary?sort=', 'invalid_parameter'],
    ['/views/order_summary?wait=30001', 'invalid_parameter'],
    ['/views/order_summary?page=nonsense', 'invalid_cursor'],
    ['/views/order_summary?after=nonsense', 'invalid_token'],
    ['/views/order_summary/x?after=eyJhIjoxfQ.AAAAAAAAAAAAAAAAAAAAAA', 'invalid_token'],
    ['/queries/customer_orders?customerId=c&after=nonsense', 'invalid_token'],
    ['/queries/customer_orders?customerId=c&limit=-1', 'invalid_parameter'],
    ['/queries/customer_orders', 'invalid_parameter'],
    ['/streams/order/x?from=0', 'invalid_parameter'],
    ['/streams/order/x?limit=99999999999', 'invalid_parameter'],
    ['/streams/order/x/state?atVersion=1&atTime=2026-01-01T00:00:00Z', 'invalid_parameter'],
    ['/streams/order/x/state?atTime=yesterday', 'invalid_parameter'],
  ])('%s', async (path, code) => {
    expect(refusal(await get(path), 400).code).toBe(code);
  });

  it('the wrong kind of position', async () => {
    const placed = await post('/commands/order/kinds/place', GOOD);
    const { token } = JSON.parse(placed.body) as { token: string };
    const cursor = (await get('/views/order_summary')).headers['tidemark-cursor'] ?? '';
    expect(cursor).not.toBe('');
    expect(refusal(await get(`/views/order_summary?after=${cursor}`), 400).code).toBe('invalid_token');
    expect(refusal(await get(`/views/order_summary?page=${token}`), 400).code).toBe('invalid_cursor');
    const tampered = (token.startsWith('e') ? 'f' : 'e') + token.slice(1);
    expect(refusal(await get(`/views/order_summary?after=${tampered}`), 400).code).toBe('invalid_token');
  });

  it.each([
    ['Idempotency-Key: ', 400],
    [`Idempotency-Key: ${'k'.repeat(201)}`, 400],
    ['Idempotency-Key: \u00e9', 400],
    ['If-Match: 3', 400],
    ['If-Match: "s-1"', 400],
    ['If-Match: "s99999999999999999999"', 400],
    ['If-None-Match: "s1"', 400],
  ])('%s', async (header, status) => {
    const answer = await post('/commands/order/bad-2/place', GOOD, [header]);
    expect(refusal(answer, status).code).toBe('invalid_header');
  });
});

describe('frames', () => {
  async function socket(): Promise<{
    ws: WebSocket;
    next(): Promise<Record<string, unknown>>;
    closed: Promise<number>;
  }> {
    const ws = new WebSocket(runtime.urls.realtime ?? '', SUBPROTOCOL);
    const waiting: ((frame: Record<string, unknown>) => void)[] = [];
    const come: Record<string, unknown>[] = [];
    ws.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Record<string, unknown>;
      const first = waiting.shift();
      if (first) first(frame);
      else come.push(frame);
    });
    const closed = new Promise<number>((resolve) => ws.on('close', resolve));
    const next = (): Promise<Record<string, unknown>> => {
      const frame = come.shift();
      return frame ? Promise.resolve(frame) : new Promise((resolve) => waiting.push(resolve));
    };
    expect(await next()).toMatchObject({ t: 'welcome' });
    return { ws, next, closed };
  }

  it('each bad frame gets its code, and the socket goes on', async () => {
    const { ws, next } = await socket();
    const frames: [string | Buffer, string][] = [
      [Buffer.from([1, 2, 3]), 'binary_frame'],
      ['not json', 'bad_frame'],
      ['[]', 'bad_frame'],
      ['null', 'bad_frame'],
      ['{"t":"sub","id":"a","view":"order_summary","__proto__":{"x":1}}', 'bad_frame'],
      ['{"t":"shout"}', 'unknown_frame'],
      ['{"t":"toString"}', 'unknown_frame'],
      ['{"t":"sub","id":"a","view":"nowhere"}', 'unknown_view'],
      ['{"t":"sub","id":"a","view":"order_summary","key":" "}', 'invalid_key'],
      ['{"t":"sub","id":"a","view":"order_summary","where":{"status":"paid"}}', 'invalid_filter'],
      ['{"t":"sub","id":"a","view":"order_summary","where":{"customerId":7}}', 'invalid_filter'],
      ['{"t":"sub","id":"a","view":"order_summary","from":"nonsense"}', 'invalid_cursor'],
      ['{"t":"unsub","id":"never"}', 'unknown_id'],
      ['{"t":"auth","token":"x"}', 'auth_off'],
      [JSON.stringify({ t: 'ping', padding: 'x'.repeat(17 * 1024) }), 'frame_too_large'],
    ];
    for (const [frame, code] of frames) {
      ws.send(frame);
      expect(await next(), String(frame).slice(0, 80)).toMatchObject({ t: 'err', code });
    }
    ws.send('{"t":"ping"}');
    expect(await next()).toMatchObject({ t: 'pong' });
    ws.close();
  });

  it('a frame far over the limit closes its socket, and no other', async () => {
    const [bad, good] = [await socket(), await socket()];
    bad.ws.on('error', () => undefined);
    bad.ws.send('x'.repeat(80 * 1024));
    expect(await bad.closed).toBe(4500);
    good.ws.send('{"t":"ping"}');
    expect(await good.next()).toMatchObject({ t: 'pong' });
    good.ws.close();
  });
});

describe('after all of it', () => {
  it('only what was valid was written, no projection halted, nothing failed inside, and orders are taken', async () => {
    expect(await eventCount()).toBe(1); // the order of "the wrong kind of position"
    const most = Array(100).fill({ sku: '😀'.repeat(200), quantity: 1_000, unitPriceCents: 10_000_000 });
    const largest = await post(`/commands/order/${encodeURIComponent('😀'.repeat(200))}/place`, {
      customerId: '￿'.repeat(200),
      lines: most,
    });
    expect(largest.status).toBe(200);
    const { token } = JSON.parse(largest.body) as { token: string };
    const row = await get(
      `/views/customer_totals/${encodeURIComponent('￿'.repeat(200))}?after=${token}&wait=30000`,
    );
    expect(JSON.parse(row.body)).toMatchObject({ orderCount: 1, totalCents: 1e12 });
    const report = JSON.parse((await get('/readyz')).body) as Readiness;
    expect([report.ready, report.reasons]).toEqual([true, []]);
    expect(errors).toEqual([]);
  });
});
