/** The routes of commands and streams on the real server, store and orders: what outside clients may rely on. */
import type { InjectOptions, LightMyRequestResponse as Response } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { createHttpServer } from '../../../src/app/http/server.js';
import { registerCommandRoutes } from '../../../src/commands/http.js';
import { registerStreamRoutes } from '../../../src/commands/streams-http.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { hostPolicy, originPolicy } from '../../../src/platform/origins.js';
import { startCommands, type CommandProcess } from '../../support/commands.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { rightsOff } from '../../support/rights.js';

let pg: FreshDatabase;
let commands: CommandProcess;
const server = createHttpServer({
  logger: silentLogger,
  access: { origins: originPolicy(), hosts: hostPolicy('127.0.0.1') },
});
const PLACED = { customerId: 'c-1', lines: [{ sku: 's', quantity: 2, unitPriceCents: 5 }] };

beforeAll(async () => {
  pg = await freshDatabase();
  commands = await startCommands(pg.url, orders);
  registerCommandRoutes(server, { ...rightsOff, app: orders, bus: commands.bus });
  registerStreamRoutes(server, { ...rightsOff, app: orders, store: commands.store });
  await server.ready();
});

afterAll(async () => {
  await server.close();
  await commands?.stop();
  await pg?.drop();
});

const call = (options: InjectOptions): Promise<Response> =>
  server.inject({ ...options, headers: { host: 'localhost', ...options.headers } });
const get = (url: string): Promise<Response> => call({ method: 'GET', url });
const post = (path: string, payload?: object, headers: Record<string, string> = {}): Promise<Response> =>
  call({ method: 'POST', url: `/commands/${path}`, headers, ...(payload === undefined ? {} : { payload }) });
const place = (id: string, headers?: Record<string, string>): Promise<Response> =>
  post(`order/${encodeURIComponent(id)}/place`, PLACED, headers);

const outcome = (answer: Response): [number, unknown] => [
  answer.statusCode,
  answer.json<{ code: unknown }>().code,
];
const pathsOf = (answer: Response): string[] =>
  answer.json<{ errors: { path: string }[] }>().errors.map(({ path }) => path);

describe('POST /commands/{aggregate}/{id}/{command}', () => {
  it('answers with what was written, its version as ETag, and a token', async () => {
    const answer = await place('o-1');
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['etag']).toBe('"s1"');
    const body = answer.json<{ events: { eventId: string }[]; token: string }>();
    expect(body).toEqual({
      streamId: 'o-1',
      version: 1,
      events: [{ type: 'OrderPlaced', version: 1, eventId: body.events[0]?.eventId }],
      token: body.token,
    });
    expect(body.events[0]?.eventId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(body.token).toMatch(/^[A-Za-z0-9_.-]+$/);
  });

  it('an empty body is {}', async () => {
    await place('o-empty');
    await post('order/o-empty/pay', { paymentId: 'p' });
    await post('order/o-empty/ship', { carrier: 'c', trackingNumber: 't' });
    const answer = await post('order/o-empty/deliver', undefined, { 'content-type': 'application/json' });
    expect(answer.statusCode).toBe(200);
    expect(outcome(await post('order/o-empty/deliver'))).toEqual([409, 'order_already_delivered']);
  });

  it('rejections have the domain’s code, and 404 where it says so', async () => {
    const missing = await post('order/none/pay', { paymentId: 'p' });
    expect(outcome(missing)).toEqual([404, 'order_not_found']);
    expect(missing.headers['content-type']).toContain('application/problem+json');
    await place('twice');
    expect(outcome(await place('twice'))).toEqual([409, 'order_already_placed']);
  });

  it('names that are not there list those that are', async () => {
    const aggregate = await post('ordr/o-1/place', PLACED);
    expect(outcome(aggregate)).toEqual([404, 'unknown_aggregate']);
    expect(aggregate.json()).toMatchObject({ known: ['order'] });
    const command = await post('order/o-1/hasOwnProperty', PLACED);
    expect(outcome(command)).toEqual([404, 'unknown_command']);
    expect(command.json()).toMatchObject({ known: ['place', 'pay', 'ship', 'deliver', 'cancel'] });
  });

  it('says with JSON Pointers what does not fit, and writes nothing', async () => {
    const answer = await post('order/o-bad/place', {
      customerId: ' ',
      lines: [{ sku: 'a\u0000', quantity: 0, unitPriceCents: 5, 'a/b': 1 }],
    });
    expect(outcome(answer)).toEqual([400, 'invalid_payload']);
    expect(pathsOf(answer)).toEqual(['/lines/0/sku']);
    const shape = await post('order/o-bad/place', {
      customerId: ' ',
      lines: [{ sku: 'a', quantity: 0, unitPriceCents: 1e9, 'a/b': 1 }],
      more: 1,
    });
    expect(pathsOf(shape).sort()).toEqual(
      ['/customerId', '/lines/0/a~1b', '/lines/0/quantity', '/lines/0/unitPriceCents', '/more'].sort(),
    );
    for (const payload of [[], { lines: null }]) {
      expect(outcome(await post('order/o-bad/place', payload))).toEqual([400, 'invalid_payload']);
    }
    expect(outcome(await get('/streams/order/o-bad'))).toEqual([404, 'stream_not_found']);
  });

  it('takes any id that follows the rule', async () => {
    const ids = [
      'ä/ö?#%25',
      '%2F',
      '100%',
      '...',
      ' a b ',
      '😀'.repeat(200),
      '\u202eright-to-left',
      '{"json":1}',
    ];
    for (const id of ids) {
      expect((await place(id)).json()).toMatchObject({ streamId: id, version: 1 });
      const history = await get(`/streams/order/${encodeURIComponent(id)}`);
      expect(history.json<{ items: unknown[] }>().items).toHaveLength(1);
    }
  });

  it('refuses any other', async () => {
    const long = ['x'.repeat(201), '😀'.repeat(201), `${'é'.repeat(200)}x`];
    for (const id of [' ', '\u0000', 'a\nb', '\u007f', '\u0080', ...long])
      expect(outcome(await place(id))).toEqual([400, 'invalid_stream_id']);
  });

  it('refuses ids that are not UTF-8', async () => {
    expect(outcome(await post('order/%FF/place', PLACED))).toEqual([400, 'invalid_url']);
    expect(outcome(await post('order/%ED%A0%80/place', PLACED))).toEqual([400, 'invalid_url']);
  });

  it('checks its headers', async () => {
    for (const [name, value] of [
      ['idempotency-key', 'x'.repeat(201)],
      ['if-match', '"1"'],
      ['if-match', 'W/"s1"'],
      ['if-none-match', '"s1"'],
    ] as const) {
      const answer = await place('o-head', { [name]: value });
      expect(outcome(answer)).toEqual([400, 'invalid_header']);
      expect(pathsOf(answer)).toEqual([`/${name}`]);
    }
    expect(outcome(await place('o-head', { 'if-match': '*', 'if-none-match': '*' }))[1]).toBe(
      'invalid_header',
    );
  });

  it('keeps preconditions', async () => {
    expect(outcome(await place('o-pre', { 'if-match': '"s1"' }))).toEqual([412, 'precondition_failed']);
    expect((await place('o-pre', { 'if-none-match': '*' })).statusCode).toBe(200);
    const again = await place('o-pre', { 'if-none-match': '*' });
    expect(outcome(again)).toEqual([412, 'precondition_failed']);
    expect(again.json()).toMatchObject({ version: 1 });
    const paid = await post('order/o-pre/pay', { paymentId: 'p' }, { 'if-match': '"s1"' });
    expect(paid.headers['etag']).toBe('"s2"');
  });

  it('keeps idempotency keys', async () => {
    const first = await place('o-key', { 'idempotency-key': 'key 1' });
    const repeat = await place('o-key', { 'idempotency-key': 'key 1' });
    expect(repeat.json()).toEqual(first.json());
    expect(repeat.headers['etag']).toBe('"s1"');
    const other = await post(
      'order/o-key/place',
      { ...PLACED, customerId: 'x' },
      { 'idempotency-key': 'key 1' },
    );
    expect(outcome(other)).toEqual([422, 'idempotency_key_reused']);
  });

  it('carries the trace of a request', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await place('o-trace', { traceparent });
    await place('o-untraced', { traceparent: 'nonsense' });
    const metadataOf = async (id: string) =>
      (await get(`/streams/order/${id}`)).json<{ items: { metadata: object }[] }>().items[0]?.metadata;
    expect(await metadataOf('o-trace')).toMatchObject({ traceparent, actor: 'anonymous' });
    expect(await metadataOf('o-untraced')).not.toHaveProperty('traceparent');
    const answer = await place('o-correlated');
    expect(await metadataOf('o-correlated')).toMatchObject({ correlationId: answer.headers['x-request-id'] });
  });
});

describe('GET /streams/{aggregate}/{id}', () => {
  beforeAll(async () => {
    await place('s-1');
    await post('order/s-1/pay', { paymentId: 'p' });
    await post('order/s-1/ship', { carrier: 'c', trackingNumber: 't' });
  });

  it('gives the events as they are stored, page by page', async () => {
    const answer = await get('/streams/order/s-1?limit=2');
    expect(answer.headers['content-type']).toContain('application/json');
    const { items, next } = answer.json<{ items: Record<string, unknown>[]; next: number | null }>();
    expect(next).toBe(3);
    expect(Object.keys(items[0] ?? {})).toEqual([
      'eventId',
      'seq',
      'shard',
      'version',
      'type',
      'schemaVersion',
      'data',
      'tags',
      'metadata',
      'recordedAt',
    ]);
    expect(items[0]).toMatchObject({
      version: 1,
      type: 'OrderPlaced',
      schemaVersion: 1,
      tags: { customerId: 'c-1' },
    });
    expect(items[0]?.['recordedAt']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const rest = await get('/streams/order/s-1?from=3&limit=2');
    expect(rest.json()).toMatchObject({ items: [{ version: 3, type: 'OrderShipped' }], next: null });
    expect((await get('/streams/order/s-1?from=9')).json()).toEqual({ items: [], next: null });
  });

  it('refuses what is not there and what it does not know', async () => {
    expect(outcome(await get('/streams/order/never'))).toEqual([404, 'stream_not_found']);
    expect(outcome(await get('/streams/order/never?from=2'))).toEqual([404, 'stream_not_found']);
    expect(outcome(await get('/streams/orders/s-1'))).toEqual([404, 'unknown_aggregate']);
    expect(outcome(await get('/streams/order/%20'))).toEqual([400, 'invalid_stream_id']);
    for (const [query, path] of [
      ['limit=0', '/limit'],
      ['limit=1001', '/limit'],
      ['from=x', '/from'],
      ['from=1&from=2', '/from'],
      ['after=x', '/after'],
      ['__proto__=x', '/__proto__'],
    ]) {
      const answer = await get(`/streams/order/s-1?${query}`);
      expect(outcome(answer)).toEqual([400, 'invalid_parameter']);
      expect(pathsOf(answer)).toEqual([path]);
    }
  });

  it('gives the state, now and as it was', async () => {
    const now = await get('/streams/order/s-1/state');
    expect(now.json()).toEqual({
      streamId: 's-1',
      version: 3,
      state: { status: 'shipped', customerId: 'c-1', totalCents: 10 },
    });
    expect(now.headers['etag']).toBe('"s3"');
    const then = await get('/streams/order/s-1/state?atVersion=1');
    expect(then.json()).toMatchObject({ version: 1, state: { status: 'placed' } });
    expect(then.headers['etag']).toBeUndefined();
    expect((await get('/streams/order/s-1/state?atVersion=0')).json()).toMatchObject({
      version: 0,
      state: { status: 'none' },
    });
    const late = await get(`/streams/order/s-1/state?atTime=${new Date(Date.now() + 60_000).toISOString()}`);
    expect(late.json()).toMatchObject({ version: 3 });
    const early = await get('/streams/order/s-1/state?atTime=2020-01-01T00:00:00+02:00');
    expect(early.json()).toMatchObject({ version: 0 });
  });

  it('refuses a version or time that is not one', async () => {
    const past = await get('/streams/order/s-1/state?atVersion=4');
    expect(outcome(past)).toEqual([404, 'version_not_found']);
    expect(past.json()).toMatchObject({ version: 3 });
    expect(outcome(await get('/streams/order/never/state'))).toEqual([404, 'stream_not_found']);
    for (const query of [
      'atVersion=-1',
      'atTime=2020-01-01',
      'atVersion=1&atTime=2020-01-01T00:00:00Z',
      'version=1',
    ])
      expect(outcome(await get(`/streams/order/s-1/state?${query}`))).toEqual([400, 'invalid_parameter']);
  });
});
