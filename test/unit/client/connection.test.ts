/** The client’s connection: when it comes back and when not, what a token is asked for, and what a server’s no means. */
import { createClient, type ClientOptions, type TokenRequest } from 'tidemark/client';
import { expect, test, vi } from 'vitest';
import { script } from '../../support/client/scripted-socket.js';
import { useClients } from '../../support/client/use-clients.js';

const noted = useClients();

const BACKOFF = { minMs: 100, maxMs: 1_000 };
function start(options: ClientOptions = {}) {
  const server = script();
  const client = createClient({
    url: 'https://shop.test/api/',
    WebSocket: server.WebSocket,
    backoff: BACKOFF,
    ...options,
  });
  noted(client);
  return { server, client };
}
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
/** Longer than any wait between two connections. */
const comesBack = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1.5 * BACKOFF.maxMs);

type Socket = ReturnType<ReturnType<typeof script>['socket']>;
/** Brings the last subscription up, with one row. */
function serve(socket: Socket): void {
  const { id, from } = socket.sub;
  if (from === undefined) socket.say({ t: 'snap', id, rows: [['a', 1, { id: 'a' }]], more: false });
  socket.say({ t: 'live', id, ch: 1, epoch: 'e', pos: [[0, 1]] });
}

test('nobody subscribed: there is no connection; without any WebSocket that is told', async () => {
  const { server, client } = start();
  await comesBack();
  expect(server.sockets).toHaveLength(0);
  client.live('items');
  await settled();
  expect(server.socket().url).toBe('wss://shop.test/api/realtime');
  const bare = createClient({ url: 'http://shop.test' });
  noted(bare);
  const store = bare.live('items');
  await settled();
  if (!('WebSocket' in globalThis)) expect(store.error?.code).toBe('no_websocket');
  expect(() => createClient()).toThrowError(expect.objectContaining({ code: 'no_url' }));
});

test('it waits longer from one failure to the next, and starts anew once something is live', async () => {
  const { server, client } = start();
  const store = client.live('items');
  const gaps: number[] = [];
  let last = Date.now();
  for (let n = 0; n < 6; n++) {
    await settled();
    server.socket().drop();
    const { length } = server.sockets;
    while (server.sockets.length === length) await vi.advanceTimersByTimeAsync(10);
    gaps.push(Date.now() - last);
    last = Date.now();
  }
  gaps.forEach((gap, n) => {
    const step = Math.min(BACKOFF.maxMs, BACKOFF.minMs * 2 ** n);
    expect(gap).toBeGreaterThanOrEqual(step / 2);
    expect(gap).toBeLessThanOrEqual(1.5 * step + 10);
  });
  expect(store.status).toBe('connecting');
  serve(server.socket().accept());
  expect(store.status).toBe('live');
  server.socket().drop();
  await vi.advanceTimersByTimeAsync(160);
  expect(server.sockets).toHaveLength(8);
});

test('bye says when to come back', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  serve(socket);
  socket.say({ t: 'bye', code: 4000, reconnectInMs: 7_000 });
  socket.drop(4000);
  expect(store.status).toBe('stale');
  await vi.advanceTimersByTimeAsync(6_999);
  expect(server.sockets).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(server.sockets).toHaveLength(2);
});

test.each([4500, 4501, 4999])('close code %i: it does not come back, until it is told to', async (code) => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  serve(server.socket().accept());
  server.socket().drop(code);
  expect(store).toMatchObject({ status: 'closed', error: { code: 'socket_closed', closeCode: code } });
  expect(store.rows).toHaveLength(1);
  await expect(store.ready()).rejects.toMatchObject({ closeCode: code });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.sockets).toHaveLength(1);
  expect(client.live('others')).toMatchObject({ status: 'closed' });
  client.renew();
  await settled();
  expect(server.socket().accept().subs).toHaveLength(2);
  // Somebody else may be there now.
  expect(store).toMatchObject({ status: 'connecting' });
  expect(store.rows).toEqual([]);
});

test.each([1000, 1001, 1006, 1011, 4000, 4001, 4002, 4005, 4499])(
  'close code %i: it comes back',
  async (code) => {
    const { server, client } = start();
    client.live('items');
    await settled();
    server.socket().accept().drop(code);
    await comesBack();
    expect(server.sockets).toHaveLength(2);
  },
);

test('a silent line is asked, and given up for dead; one that answers is kept', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  serve(socket);
  for (let n = 0; n < 10; n++) {
    await vi.advanceTimersByTimeAsync(15_000);
    socket.say({ t: 'hb', at: 1 });
  }
  expect(socket.sent.some(({ t }) => t === 'ping')).toBe(false);
  await vi.advanceTimersByTimeAsync(46_000);
  expect(socket.sent.at(-1)).toEqual({ t: 'ping' });
  socket.say({ t: 'pong' });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(store.status).toBe('live');
  await vi.advanceTimersByTimeAsync(50_000);
  expect(store.status).not.toBe('live');
  expect(server.sockets.length).toBeGreaterThan(1);
});

test('a connection that never opens is given up', async () => {
  const { server, client } = start();
  client.live('items');
  await vi.advanceTimersByTimeAsync(12_000);
  expect(server.sockets.length).toBeGreaterThan(1);
  expect(server.sockets[0]?.closedWith).toBeUndefined();
});

test('a subscription that can be had later is asked for again; one that cannot is closed', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  socket.say({ t: 'err', id: socket.sub.id, code: 'projection_building', message: 'half' });
  expect(store).toMatchObject({ status: 'connecting', error: { code: 'projection_building' } });
  await comesBack();
  expect(socket.subs).toHaveLength(2);
  socket.say({ t: 'err', id: socket.sub.id, code: 'invalid_filter', message: 'no' });
  expect(store).toMatchObject({ status: 'closed', error: { code: 'invalid_filter' } });
  await comesBack();
  expect(socket.subs).toHaveLength(2);
});

test('rows are dropped where they are no longer the caller’s', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  serve(socket);
  socket.say({ t: 'reset', id: socket.sub.id, reason: 'rights_changed' });
  expect(store).toMatchObject({ status: 'connecting', rows: [] });
  socket.say({ t: 'snap', id: socket.sub.id, rows: [['b', 1, { id: 'b' }]], more: false });
  socket.say({ t: 'live', id: socket.sub.id, ch: 1, epoch: 'e', pos: [[0, 1]] });
  expect(store.status).toBe('live');
  socket.say({ t: 'unsubbed', id: socket.sub.id, reason: 'forbidden', drop: true });
  expect(store).toMatchObject({ status: 'closed', rows: [], error: { code: 'forbidden' } });
});

test('at a resume, too, what is forbidden is dropped', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  serve(server.socket().accept());
  server.socket().drop();
  await comesBack();
  const socket = server.socket().accept();
  socket.say({ t: 'err', id: socket.sub.id, code: 'forbidden', message: 'no' });
  expect(store).toMatchObject({ status: 'closed', rows: [], error: { code: 'forbidden' } });
});

/** A token function that counts what it is asked for. */
function tokens() {
  const asked: TokenRequest[] = [];
  const token = (request: TokenRequest): string => {
    asked.push(request);
    return `token-${asked.length}`;
  };
  return { asked, token };
}

test('the token is the first frame; it is renewed in place before it ends', async () => {
  const { asked, token } = tokens();
  const { server, client } = start({ token });
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  expect(socket.sent.map(({ t }) => t)).toEqual(['auth', 'sub']);
  expect(socket.sent[0]).toEqual({ t: 'auth', token: 'token-1' });
  serve(socket);
  const beats = setInterval(() => socket.say({ t: 'hb', at: 1 }), 15_000);
  socket.say({ t: 'authed', expiresAt: Date.now() + 600_000 });
  await vi.advanceTimersByTimeAsync(500_000);
  expect(asked).toEqual([{ refresh: false }]);
  await vi.advanceTimersByTimeAsync(70_000);
  expect(socket.sent.at(-1)).toEqual({ t: 'auth', token: 'token-2' });
  expect(asked).toEqual([{ refresh: false }, { refresh: true }]);
  expect(store.status).toBe('live');
  // Clocks that disagree: "it ended an hour ago" must not become a storm of tokens.
  socket.say({ t: 'authed', expiresAt: Date.now() - 3_600_000 });
  await vi.advanceTimersByTimeAsync(4_900);
  expect(asked).toHaveLength(2);
  socket.say({ t: 'authed', expiresAt: null });
  await vi.advanceTimersByTimeAsync(90_000);
  expect(asked).toHaveLength(2);
  clearInterval(beats);
});

test('a token that ended: rows are dropped, and had again with a fresh one', async () => {
  const { asked, token } = tokens();
  const { server, client } = start({ token });
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  serve(socket);
  socket.say({ t: 'unsubbed', id: socket.sub.id, reason: 'token_expired', drop: true });
  expect(store).toMatchObject({ status: 'connecting', rows: [], error: { code: 'token_expired' } });
  await comesBack();
  const next = server.socket().accept();
  expect(asked).toEqual([{ refresh: false }, { refresh: true }]);
  expect(next.sub.from).toBeUndefined();
  serve(next);
  expect(store.status).toBe('live');
});

test('a token that is refused: one more try with a fresh one, and then it is over', async () => {
  const { asked, token } = tokens();
  const { server, client } = start({ token });
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  socket.say({ t: 'err', code: 'auth_refused', message: 'no' });
  socket.drop(4502);
  expect(store.status).toBe('connecting');
  await comesBack();
  server.socket().accept().drop(4502);
  expect(asked).toEqual([{ refresh: false }, { refresh: true }]);
  expect(store).toMatchObject({ status: 'closed', error: { closeCode: 4502 } });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.sockets).toHaveLength(2);
});

test('a caller without a token where one is wanted: told at once, over at the second time, and no rows are left', async () => {
  // As after a logout: there was a token before.
  const given = ['token'];
  const { server, client } = start({ token: () => given.shift() ?? null });
  const store = client.live('items');
  await settled();
  serve(server.socket().accept());
  expect(store.rows).toHaveLength(1);
  client.renew();
  await settled();
  const socket = server.socket().accept();
  expect(socket.sent.map(({ t }) => t)).toEqual(['sub']);
  socket.drop(4003);
  expect(store).toMatchObject({ status: 'closed', rows: [], error: { code: 'unauthenticated' } });
  await comesBack();
  expect(server.sockets).toHaveLength(2);
  // Nobody was there to begin with: it is asked for once more.
  const { server: other, client: stranger } = start();
  const theirs = stranger.live('items');
  await settled();
  other.socket().accept().drop(4003);
  expect(theirs).toMatchObject({ status: 'connecting', error: { code: 'unauthenticated', closeCode: 4502 } });
  await comesBack();
  other.socket().accept().drop(4003);
  expect(theirs).toMatchObject({ status: 'closed', error: { code: 'unauthenticated' } });
  await comesBack();
  expect(other.sockets).toHaveLength(2);
  stranger.renew();
  await settled();
  serve(other.socket().accept());
  expect(theirs).toMatchObject({ status: 'live', error: undefined });
});

test('a token that is refused while the page was away: its rows are nobody’s to show', async () => {
  const { token } = tokens();
  const { server, client } = start({ token });
  const store = client.live('items');
  await settled();
  serve(server.socket().accept());
  server.socket().drop();
  await comesBack();
  server.socket().accept().drop(4502);
  expect(store.status).toBe('connecting');
  expect(store.rows).toEqual([]);
  await comesBack();
  server.socket().accept().drop(4502);
  expect(store).toMatchObject({ status: 'closed', rows: [], error: { code: 'unauthenticated' } });
});

/** Three live views on one socket, each with a row. */
async function three(options: ClientOptions) {
  const { server, client } = start(options);
  const stores = ['a', 'b', 'c'].map((view) => client.live(view));
  await settled();
  const socket = server.socket().accept();
  for (const { id } of socket.subs) {
    socket.say({ t: 'snap', id, rows: [['a', 1, { id: 'a' }]], more: false });
    socket.say({ t: 'live', id, ch: Number(id), epoch: 'e', pos: [[0, 1]] });
  }
  const shown = () => stores.map(({ status, rows }) => [status, rows.length]);
  expect(shown()).toEqual(stores.map(() => ['live', 1]));
  return { server, client, stores, socket, shown };
}
const each = (status: string, rows: number) => [1, 2, 3].map(() => [status, rows]);

test('a token that ended takes the rows of all its views, and ends for good when its successor is no better', async () => {
  const { server, client, stores, socket, shown } = await three({ token: () => 'always the same' });
  socket.say({ t: 'unsubbed', id: socket.sub.id, reason: 'token_expired', drop: true });
  expect(shown()).toEqual(each('connecting', 0));
  await comesBack();
  server.socket().accept().say({ t: 'err', code: 'auth_refused', message: 'the token has expired' });
  server.socket().drop(4004);
  expect(shown()).toEqual(each('closed', 0));
  for (const { error } of stores) {
    expect(error).toMatchObject({
      code: 'unauthenticated',
      closeCode: 4004,
      message: 'the token has expired',
    });
    expect(error?.cause).toMatchObject({ code: 'auth_refused' });
  }
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.sockets).toHaveLength(2);
  client.renew();
  await settled();
  expect(server.socket().accept().subs).toHaveLength(3);
});

test.each([
  [4003, 'stale', 1],
  [4004, 'connecting', 0],
  [4005, 'stale', 1],
  [4006, 'stale', 1],
  [4502, 'connecting', 0],
])(
  'close code %i with nothing said before: %s, %i rows; a fresh token brings all back',
  async (code, status, rows) => {
    const { asked, token } = tokens();
    const { server, socket, shown } = await three({ token });
    socket.drop(code);
    expect(shown()).toEqual(each(status, rows));
    await comesBack();
    expect(asked.at(-1)).toEqual({ refresh: ![4005, 4006].includes(code) });
    const next = server.socket().accept();
    next.say({ t: 'authed', expiresAt: null });
    for (const { id, from } of next.subs) {
      expect(from === undefined).toBe(rows === 0);
      if (from === undefined) next.say({ t: 'snap', id, rows: [['a', 1, { id: 'a' }]], more: false });
      next.say({ t: 'live', id, ch: Number(id), epoch: 'e', pos: [[0, 1]] });
    }
    expect(shown()).toEqual(each('live', 1));
  },
);

test('refusals count in a row: one that was taken meanwhile begins anew, a login that is away does not count', async () => {
  let isAway = false;
  const token = (): string => {
    if (isAway) throw new Error('the login is away');
    return 't';
  };
  const { server, shown } = await three({ token });
  for (let n = 0; n < 3; n++) {
    server.socket().drop(4004);
    expect(shown()).toEqual(each('connecting', 0));
    isAway = true;
    await comesBack();
    const { length } = server.sockets;
    isAway = false;
    await comesBack();
    expect(server.sockets).toHaveLength(length + 1);
    server.socket().accept().say({ t: 'authed', expiresAt: null });
  }
  server.socket().drop(4004);
  await comesBack();
  server.socket().accept().drop(4004);
  expect(shown()).toEqual(each('closed', 0));
});

test('whoever shows a token is not let in as nobody in particular where it is refused', async () => {
  const { server, client } = start({ token: () => 'no good' });
  const store = client.live('items');
  await settled();
  for (const status of ['connecting', 'closed']) {
    const socket = server.socket().accept();
    socket.say({ t: 'err', code: 'auth_refused', message: 'no' });
    serve(socket);
    expect(store.status).toBe(status);
    expect(store.rows).toEqual([]);
    await comesBack();
  }
  expect(server.sockets).toHaveLength(2);
});

test('a token that ended while the page slept is not shown again', async () => {
  const { asked, token } = tokens();
  const { server, socket, shown } = await three({ token });
  socket.say({ t: 'authed', expiresAt: Date.now() + 1_000 });
  socket.drop();
  vi.setSystemTime(Date.now() + 3_600_000);
  await comesBack();
  expect(asked.at(-1)).toEqual({ refresh: true });
  // So that nothing has to be read anew.
  expect(server.socket().accept().sub.from).toBeDefined();
  expect(shown()).toEqual(each('stale', 1));
});

test('renew: what the caller before saw is gone at once, also what was to come of a command', async () => {
  const { client, stores, shown } = await three({ token: () => 't' });
  client.optimistic('a', 'new', () => ({ id: 'new' }));
  expect(stores[0]?.rows).toHaveLength(2);
  let told = 0;
  const end = client.onRenew(() => told++);
  client.renew();
  expect(shown()).toEqual(each('connecting', 0));
  expect(stores[0]?.pending.size).toBe(0);
  expect(told).toBe(1);
  end();
});

test('an error says its sentence alone; what it is called is its code', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  socket.say({ t: 'err', id: socket.sub.id, code: 'invalid_filter', message: 'That is no filter.' });
  expect(store.error).toMatchObject({ code: 'invalid_filter', message: 'That is no filter.' });
});

test('a token function that fails is told, and asked again', async () => {
  let calls = 0;
  const token = async (): Promise<string> => {
    calls++;
    if (calls < 3) throw new Error('the login is away');
    return 'late';
  };
  const { server, client } = start({ token });
  const store = client.live('items');
  await settled();
  expect(store).toMatchObject({ status: 'connecting', error: { code: 'token_failed' } });
  await comesBack();
  await comesBack();
  expect(server.socket().accept().sent[0]).toEqual({ t: 'auth', token: 'late' });
});

test('closing the client ends what is live; nothing comes after', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  serve(socket);
  client.close();
  expect(store).toMatchObject({ status: 'closed', error: { code: 'closed' } });
  expect(socket.closedWith).toBe(1_000);
  client.renew();
  client.resume();
  await comesBack();
  expect(server.sockets).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});
