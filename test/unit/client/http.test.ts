/** Calls over HTTP: what is tried again and with what, how long, and what an answer that is none becomes. */
import { createClient, type ClientOptions, type TokenRequest } from 'tidemark/client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { scriptedHttp } from '../../support/client/scripted-http.js';
import { script } from '../../support/client/scripted-socket.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function start(options: ClientOptions = {}) {
  const http = scriptedHttp();
  const client = createClient({
    url: 'http://shop.test/base/',
    fetch: http.fetch,
    backoff: { minMs: 100, maxMs: 1_000 },
    attempts: 4,
    timeoutMs: 10_000,
    ...options,
  });
  return { http, client };
}
const problem = (status: number, code: string) => ({ status, code, title: 't', detail: 'd', type: 'x' });
const done = { streamId: 's', version: 1, events: [], token: 't' };
/** What a promise came to; a rejection is awaited from the start, or Node takes it for forgotten. */
function outcome(promise: Promise<unknown>) {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

test('a command is sent again with the key that it had, until it is answered', async () => {
  const { http, client } = start();
  const sent = outcome(client.command('order', 'a/b c', 'place', { n: 1 }, { expectedVersion: 2 }));
  const first = await http.next();
  expect(first).toMatchObject({
    method: 'POST',
    url: '/base/commands/order/a%2Fb%20c/place',
    body: { n: 1 },
  });
  expect(first.headers.get('if-match')).toBe('"s2"');
  const key = first.headers.get('idempotency-key');
  expect(key).toMatch(/^[0-9a-f]{32}$/);
  first.fail();
  await vi.advanceTimersByTimeAsync(150);
  const second = await http.next();
  second.answer(503, problem(503, 'outcome_unknown'), { 'retry-after': '2' });
  await vi.advanceTimersByTimeAsync(1_999);
  expect(http.calls).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(401);
  const third = await http.next();
  third.answer(409, problem(409, 'stream_conflict'));
  await vi.advanceTimersByTimeAsync(600);
  const fourth = await http.next();
  fourth.answer(200, done);
  expect(await sent).toEqual({ value: done });
  const keys = http.calls.map(({ headers }) => headers.get('idempotency-key'));
  expect(new Set(keys)).toEqual(new Set([key]));
  void outcome(client.command('order', 'a', 'place', {}));
  expect((await http.next()).headers.get('idempotency-key')).not.toBe(key);
});

test.each([
  [0, 'if-none-match', '*'],
  ['*', 'if-match', '*'],
  [7, 'if-match', '"s7"'],
] as const)('expected version %j', async (expectedVersion, header, value) => {
  const { http, client } = start();
  void outcome(client.command('order', 'a', 'place', {}, { expectedVersion, idempotencyKey: 'mine' }));
  const { headers } = await http.next();
  expect(headers.get(header)).toBe(value);
  expect(headers.get('idempotency-key')).toBe('mine');
});

describe('what is tried again', () => {
  test.each([
    [408, 'request_timeout'],
    [429, 'too_many_requests'],
    [503, 'overloaded'],
    [503, 'projection_behind'],
  ])('%i %s is, so often and no more', async (status, code) => {
    const { http, client } = start();
    const read = outcome(client.view('items', 'a'));
    for (let n = 0; n < 4; n++) {
      (await http.next()).answer(status, problem(status, code));
      await vi.advanceTimersByTimeAsync(1_500);
    }
    expect(await read).toMatchObject({ error: { code, status, problem: { detail: 'd' } } });
    expect(http.calls).toHaveLength(4);
  });

  test.each([
    [400, 'invalid_parameter'],
    [403, 'forbidden'],
    [409, 'order_already_paid'],
    [410, 'position_expired'],
    [412, 'precondition_failed'],
    [422, 'idempotency_key_reused'],
    [500, 'internal_error'],
    [503, 'projection_halted'],
    [503, 'projection_paused'],
    [503, 'row_parked'],
  ])('%i %s is not', async (status, code) => {
    const { http, client } = start();
    const read = outcome(client.query('q', {}));
    (await http.next()).answer(status, problem(status, code));
    expect(await read).toMatchObject({ error: { name: 'ClientError', code, status } });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(http.calls).toHaveLength(1);
  });

  test('what a proxy answers is no answer, and tried again where it may pass', async () => {
    const { http, client } = start({ attempts: 2 });
    const read = outcome(client.view('items'));
    (await http.next()).answer(502, '<html>Bad Gateway</html>');
    await vi.advanceTimersByTimeAsync(200);
    (await http.next()).answer(200, '<html>Welcome</html>');
    expect(await read).toMatchObject({ error: { code: 'bad_answer', status: 200 } });
  });
});

test('no answer: it is given up, and tried again; a caller who gives up is told at once', async () => {
  const { http, client } = start({ attempts: 2 });
  const read = outcome(client.view('items', 'a'));
  const first = await http.next();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(first.signal?.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  await http.next();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await read).toMatchObject({ error: { code: 'timeout' } });

  const control = new AbortController();
  const given = outcome(client.view('items', 'a', { signal: control.signal }));
  (await http.next()).fail();
  await vi.advanceTimersByTimeAsync(10);
  control.abort();
  expect(await given).toMatchObject({ error: { code: 'aborted' } });
  const before = http.calls.length;
  expect(await outcome(client.view('items', 'a', { signal: control.signal }))).toMatchObject({
    error: { code: 'aborted' },
  });
  const open = outcome(client.view('items', 'a'));
  await http.next();
  client.close();
  expect(await open).toMatchObject({ error: { code: 'closed' } });
  expect(await outcome(client.view('items', 'a'))).toMatchObject({ error: { code: 'closed' } });
  expect(http.calls).toHaveLength(before + 1);
  expect(vi.getTimerCount()).toBe(0);
});

test('a token goes with each call; one that is refused is asked for anew, once', async () => {
  const asked: TokenRequest[] = [];
  const token = async (request: TokenRequest): Promise<string | null> => {
    asked.push(request);
    return request.refresh ? 'new' : 'old';
  };
  const { http, client } = start({ token });
  const read = outcome(client.view('items', 'a'));
  const first = await http.next();
  expect(first.headers.get('authorization')).toBe('Bearer old');
  first.answer(401, problem(401, 'token_expired'));
  const second = await http.next();
  expect(second.headers.get('authorization')).toBe('Bearer new');
  second.answer(401, problem(401, 'unauthenticated'));
  expect(await read).toMatchObject({ error: { code: 'unauthenticated', status: 401 } });
  expect(asked).toEqual([{ refresh: false }, { refresh: true }]);

  const failing = start({ token: () => Promise.reject(new Error('secret of the login')) });
  const failed = await outcome(failing.client.view('items', 'a'));
  expect(failed).toMatchObject({ error: { code: 'token_failed' } });
  expect(JSON.stringify(failed)).not.toContain('secret');
  expect(failing.http.calls).toHaveLength(0);
});

test('a fresh token that is refused over HTTP ends the live views, too; one of the caller before does not', async () => {
  const server = script();
  const { http, client } = start({ token: () => 'same', WebSocket: server.WebSocket });
  const store = client.live('items');
  await vi.advanceTimersByTimeAsync(0);
  const socket = server.socket().accept();
  socket.say({ t: 'snap', id: socket.sub.id, rows: [['a', 1, { id: 'a' }]], more: false });
  socket.say({ t: 'live', id: socket.sub.id, ch: 1, epoch: 'e', pos: [[0, 1]] });
  expect(store.status).toBe('live');
  async function refused(between: () => void): Promise<void> {
    const read = outcome(client.view('items', 'a'));
    (await http.next()).answer(401, problem(401, 'token_expired'));
    const second = await http.next();
    between();
    second.answer(401, problem(401, 'token_expired'));
    expect(await read).toMatchObject({ error: { code: 'token_expired', status: 401 } });
  }
  await refused(() => client.renew());
  expect(store.status).toBe('connecting');
  await refused(() => undefined);
  expect(store).toMatchObject({ status: 'closed', error: { code: 'unauthenticated', status: 401 } });
  expect(store.rows).toEqual([]);
  client.close();
});

test('eight tries unless told otherwise', async () => {
  const http = scriptedHttp();
  const client = createClient({ url: 'http://shop.test', fetch: http.fetch });
  const read = outcome(client.view('items', 'a'));
  for (let n = 0; n < 8; n++) {
    (await http.next()).fail();
    await vi.advanceTimersByTimeAsync(25_000);
  }
  expect(await read).toMatchObject({ error: { code: 'network_error' } });
  expect(http.calls).toHaveLength(8);
  client.close();
});

test('reads: the query says what is asked, and tokens as often as there are any', async () => {
  const { http, client } = start();
  void outcome(
    client.view('items', {
      where: { a: null, b: false, c: 1.5, d: 'x y' },
      sort: ['-b', 'c'],
      limit: 5,
      page: 'p',
      after: ['t1', 't2'],
      wait: 100,
    }),
  );
  const { url } = await http.next();
  expect(url).toBe(
    '/base/views/items?a=&b=false&c=1.5&d=x+y&sort=-b%2Cc&limit=5&page=p&after=t1&after=t2&wait=100',
  );
  void outcome(client.query('q', { x: 1 }, { after: 't3' }));
  expect(await http.next()).toMatchObject({
    method: 'POST',
    url: '/base/queries/q?after=t3',
    body: { x: 1 },
  });
  const read = outcome(client.view('items', 'a b'));
  (await http.next('/base/views/items/a%20b')).answer(404, problem(404, 'row_not_found'));
  expect(await read).toEqual({ value: null });
});

test('nobody is kept waiting for an hour, as a proxy may ask: when to come again stands in the error', async () => {
  const { http, client } = start();
  const read = outcome(client.view('items', 'a'));
  (await http.next()).answer(503, problem(503, 'draining'), { 'retry-after': '3600' });
  expect(await read).toMatchObject({ error: { code: 'draining', retryAfterMs: 3_600_000 } });
  expect(http.calls).toHaveLength(1);
});

test('what cannot be sent at all is said at once, and not taken for the network', async () => {
  const { http, client } = start();
  expect(await outcome(client.view('items', 'half \ud83d'))).toMatchObject({
    error: { code: 'unsendable_id' },
  });
  expect(await outcome(client.command('item', 'a', 'add', { n: 1n }))).toMatchObject({
    error: { name: 'TypeError' },
  });
  expect(http.calls).toHaveLength(0);
});
