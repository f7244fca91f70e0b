/** The fallback to event streams: when it is taken and left, and that everything above sees a socket. */
import { expect, test } from 'vitest';
import {
  after,
  change,
  comesBack,
  problem,
  RETRY_MS,
  revs,
  row,
  serve,
  settled,
  useSse,
  type Stream,
} from '../../support/client/sse.js';

const { start, streaming, fallen } = useSse();

test('two WebSockets that find no gateway: then streams, and no WebSocket is in the way of them', async () => {
  const { server, streams, client } = start();
  const store = client.live('items', { where: { list: 'x' }, sort: '-rev', limit: 5 });
  await settled();
  server.socket().drop();
  await comesBack();
  expect([server.sockets.length, streams.all.length]).toEqual([2, 0]);
  server.socket().drop();
  await comesBack();
  expect([server.sockets.length, streams.all.length]).toEqual([2, 1]);
  const stream = streams.last();
  expect(stream.url.href).toMatch(/^https:\/\/shop\.test\/api\/realtime\/sse\?/);
  expect(stream.asked).toEqual({ view: 'items', where: '{"list":"x"}', sort: '-rev', limit: '5' });
  await serve(stream);
  expect([store.status, revs(store)]).toEqual(['live', [1]]);
  change(stream, 1, 2);
  await settled();
  expect(revs(store)).toEqual([2]);
});

test('a proxy that swallows what it does not know: a WebSocket has eight seconds to hear something', async () => {
  const { server, streams, client } = start();
  client.live('items');
  for (let n = 0; n < 2; n++) {
    await after(6_000);
    expect(server.socket().isOver).toBe(false);
    await after(2_000);
    expect(server.socket().isOver).toBe(true);
    await comesBack();
  }
  expect([server.sockets.length, streams.all.length]).toEqual([2, 1]);
});

test('a gateway that closes is there: what it says is no reason for streams', async () => {
  const { server, streams, client } = start();
  client.live('items');
  for (let n = 0; n < 4; n++) {
    await comesBack();
    server.socket().accept();
    server.socket().drop(n % 2 === 0 ? 1006 : 4000);
  }
  await comesBack();
  server.socket().drop(4006);
  await comesBack();
  server.socket().drop(4005);
  await comesBack();
  expect(streams.all).toEqual([]);
});

test('as soon as a WebSocket gets through it is taken, from where the streams stood', async () => {
  const { server, streams, store } = await fallen();
  const statuses: string[] = [];
  store.subscribe(() => statuses.push(store.status));
  await serve(streams.last());
  // Looked at once the stream was there, and again later.
  expect(server.sockets.length).toBe(3);
  server.socket().drop();
  await after(RETRY_MS);
  expect(server.sockets.length).toBe(4);
  expect(store.status).toBe('live');
  server.socket().accept();
  await settled();
  expect(streams.last().signal.aborted).toBe(true);
  expect(server.sockets[3]?.isOver).toBe(true);
  const socket = server.socket().accept();
  expect(server.sockets.length).toBe(5);
  expect(socket.sub.from).toEqual({ epoch: 'e', pos: [[0, 1]] });
  socket.say({ t: 'live', id: socket.sub.id, ch: 7, epoch: 'e', pos: [[0, 1]] });
  expect(revs(store)).toEqual([1]);
  for (let n = 0; n < 5; n++) {
    await after(15_000);
    socket.say({ t: 'hb', at: 0 });
  }
  expect(server.sockets.length).toBe(5);
  expect([...new Set(statuses)]).toEqual(['live', 'stale']);
  expect(statuses.filter((status) => status === 'stale')).toHaveLength(1);
});

test('where neither gets through they take turns: whatever comes back first is used', async () => {
  const { server, streams, client } = start();
  const store = client.live('items');
  await settled();
  server.socket().drop();
  await comesBack();
  server.socket().drop();
  for (let n = 0; n < 3; n++) {
    await comesBack();
    streams.last().cut();
    await comesBack();
    server.socket().drop();
  }
  expect([server.sockets.length, streams.all.length]).toEqual([5, 3]);
  await comesBack();
  streams.last().refuse(502, '<h1>Bad Gateway</h1>');
  await comesBack();
  expect(store.error?.code).toBe('bad_answer');
  const socket = server.socket().accept();
  const { id } = socket.sub;
  socket.say({ t: 'snap', id, rows: [row('a', 1)], more: false });
  socket.say({ t: 'live', id, ch: 1, epoch: 'e', pos: [[0, 1]] });
  expect(store.status).toBe('live');
});

test('each subscription has a stream; one that ends does not touch the others; too many are told', async () => {
  const { streams, client } = streaming({ maxStreams: 2 });
  const [one, two, three] = ['a', 'b', 'c'].map((key) => client.live('items', { key }));
  await settled();
  expect(streams.all.map(({ asked }) => asked['key'])).toEqual(['a', 'b']);
  for (const stream of streams.all) await serve(stream);
  expect([one?.status, two?.status, three?.error?.code]).toEqual(['live', 'live', 'too_many_subscriptions']);
  streams.all[1]?.say({ t: 'unsubbed', id: 's', reason: 'forbidden', drop: true }, '').end();
  await settled();
  expect([one?.status, two?.status, two?.rows]).toEqual(['live', 'closed', []]);
  await comesBack();
  expect(streams.all.map(({ asked }) => asked['key'])).toEqual(['a', 'b', 'c']);
  one?.close();
  await after(2_000);
  expect(streams.all.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
});

test('a stream that is cut: the line is lost, and comes back with the positions', async () => {
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  await serve(streams.last());
  streams.last().cut();
  await settled();
  expect(store.status).toBe('stale');
  await comesBack();
  expect(streams.last().asked).toEqual({ view: 'items', from: '{"epoch":"e","pos":[[0,1]]}' });
  await serve(streams.last());
  expect([store.status, revs(store)]).toEqual(['live', [1]]);
  streams.last().say({ t: 'bye', code: 4000, reconnectInMs: 5_000 }).end();
  await after(4_900);
  expect(streams.all.length).toBe(2);
  await after(200);
  expect(streams.all.length).toBe(3);
});

test('a silent stream is dead after two heartbeats and a half, and sooner where somebody asks', async () => {
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  await serve(streams.last());
  for (let n = 0; n < 4; n++) {
    await after(15_000);
    streams.last().say({ t: 'hb', at: 0 });
    await settled();
  }
  expect([store.status, streams.all.length]).toEqual(['live', 1]);
  await after(30_000);
  expect(store.status).toBe('live');
  await after(15_000);
  expect(store.status).toBe('stale');
  await comesBack();
  await serve(streams.last());
  // Half an event is a sign of life, too.
  await after(20_000);
  streams.last().write('event: chg\n');
  await after(20_000);
  expect([store.status, streams.all.length]).toEqual(['live', 2]);
});

test('a token is renewed under way: each stream goes on from its cursor, and nobody sees it', async () => {
  let tokens = 0;
  const token = (): string => `t${++tokens}`;
  const { streams, client } = streaming({}, { token });
  const store = client.live('items');
  const late = client.live('items', { key: 'late' });
  const statuses: string[] = [];
  store.subscribe(() => statuses.push(store.status));
  await settled();
  const [first, second] = streams.all as [Stream, Stream];
  expect(first.headers.get('authorization')).toBe('Bearer t1');
  await serve(first, Date.now() + 40_000);
  second.accept().say({ t: 'snap', id: 's', rows: [row('late', 1)], more: true });
  change(first, 1, 2);
  await after(37_500);
  expect(tokens).toBe(2);
  // Half a snapshot cannot be gone on from: that one waits.
  expect(streams.all.map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
  const third = streams.last();
  expect([third.headers.get('authorization'), third.headers.get('last-event-id')]).toEqual([
    'Bearer t2',
    'cursor-2',
  ]);
  third.accept();
  third.say({ t: 'chg', id: 's', at: 0, d: [[0, 0, 3, [row('a', 3)]]] }, 'cursor-3');
  third.say({ t: 'live', id: 's', ch: 1, epoch: 'e', pos: [[0, 3]] }, 'cursor-3');
  change(third, 3, 4);
  second.say({ t: 'live', id: 's', ch: 1, epoch: 'e', pos: [[0, 1]] }, 'late-1');
  await settled();
  expect(revs(store)).toEqual([4]);
  expect(new Set(statuses)).toEqual(new Set(['live']));
  expect(streams.last().headers.get('last-event-id')).toBe('late-1');
  await serve(streams.last());
  change(streams.last(), 1, 5);
  await settled();
  expect(late.status).toBe('live');
});

test('other rights: the stream ends, and another one begins with a snapshot', async () => {
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  await serve(streams.last());
  streams.last().say({ t: 'reset', id: 's', reason: 'rights_changed' }, '').end();
  await settled();
  expect(store.rows).toEqual([]);
  expect(streams.all.length).toBe(2);
  expect(streams.last().headers.has('last-event-id')).toBe(false);
  await serve(streams.last());
  expect([store.status, revs(store)]).toEqual(['live', [1]]);
});

const at = (path: string) => ({ errors: [{ path, message: 'x' }] });

test.each([
  [problem(404, 'unknown_view'), 'unknown_view'],
  [problem(403, 'forbidden'), 'forbidden'],
  [problem(400, 'invalid_cursor'), 'invalid_cursor'],
  [problem(400, 'invalid_parameter', at('/where')), 'invalid_filter'],
  [problem(400, 'invalid_parameter', at('/limit')), 'invalid_window'],
  [problem(400, 'invalid_parameter', at('/other')), 'invalid_parameter'],
  [problem(414, 'url_too_long'), 'url_too_long'],
])('a refusal of what is asked for ends that subscription: %j', async ([status, body], code) => {
  const { streams, client } = streaming();
  const good = client.live('items');
  const bad = client.live('items', { key: 'x' });
  await settled();
  await serve(streams.all[0] as Stream);
  streams.last().refuse(status, body);
  await settled();
  expect([bad.status, bad.error?.code]).toEqual(['closed', code]);
  await comesBack();
  expect([good.status, streams.all.length]).toEqual(['live', 2]);
});

test('a refusal of the caller is what it is on a socket: one more try with a fresh token, then all is closed', async () => {
  const asked: boolean[] = [];
  const token = ({ refresh }: { refresh: boolean }): string => `t${asked.push(refresh)}`;
  const { streams, client } = streaming({}, { token });
  const store = client.live('items');
  await settled();
  streams.last().refuse(...problem(401, 'token_expired'));
  await comesBack();
  streams.last().refuse(...problem(401, 'unauthenticated'));
  await comesBack();
  expect([store.status, store.error?.code, asked]).toEqual(['closed', 'unauthenticated', [false, true]]);
});

test('a gateway that is full says when to come back; as many as the caller may have end none of those it has', async () => {
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  streams.last().refuse(...problem(503, 'overloaded'), { 'retry-after': '4' });
  await after(3_900);
  expect([streams.all.length, store.error?.code]).toEqual([1, 'overloaded']);
  await after(1_200);
  await serve(streams.last());
  const more = client.live('items', { key: 'x' });
  await settled();
  streams.last().refuse(...problem(429, 'too_many_connections'));
  await settled();
  expect([store.status, more.status, more.error?.code]).toEqual([
    'live',
    'connecting',
    'too_many_subscriptions',
  ]);
});

test('a page that answers in the gateway’s place is no gateway', async () => {
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  streams.last().refuse(200, '<h1>Log in to the hotel’s network</h1>', { 'content-type': 'text/html' });
  await settled();
  expect([store.status, store.error?.code]).toEqual(['connecting', 'bad_answer']);
  await comesBack();
  expect(streams.all.length).toBe(2);
});

test('what is closed asks for nothing more', async () => {
  const { streams, client } = streaming();
  client.live('items');
  await settled();
  await serve(streams.last());
  client.close();
  await after(120_000);
  expect(streams.all.map(({ signal }) => signal.aborted)).toEqual([true]);
});
