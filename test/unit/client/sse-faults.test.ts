/** Streams that fail, one at a time and all together: the others go on, nobody knocks without a pause, and nothing is left. */
import type { SocketConstructor } from 'tidemark/client';
import { expect, test, vi } from 'vitest';
import {
  after,
  change,
  comesBack,
  problem,
  revs,
  row,
  serve,
  settled,
  useSse,
  type Stream,
} from '../../support/client/sse.js';

const { start, streaming, fallen } = useSse();

/** Two views, the first of them live. */
async function two() {
  const all = streaming();
  const good = all.client.live('items');
  const other = all.client.live('items', { key: 'x' });
  await settled();
  await serve(all.streams.all[0] as Stream);
  return { ...all, good, other, first: all.streams.all[0] as Stream };
}
/** One view whose token ends soon, and the stream that the fresh token is shown to. */
async function renewed(wanted: object = {}, ms = 40_000) {
  let tokens = 0;
  const all = streaming({}, { token: () => `t${++tokens}` });
  const store = all.client.live('items', wanted);
  await settled();
  const before = all.streams.last();
  await serve(before, Date.now() + ms);
  await after(0.94 * ms);
  expect(all.streams.last().headers.get('authorization')).toBe('Bearer t2');
  return { ...all, store, before, second: all.streams.last() };
}

test('a page that is looked at again: one that is alive stays', async () => {
  const listeners = new Map<string, () => void>();
  vi.stubGlobal('addEventListener', (type: string, listener: () => void) => listeners.set(type, listener));
  vi.stubGlobal('removeEventListener', () => undefined);
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  await serve(streams.last());
  listeners.get('online')?.();
  // The next sign of the server’s would come after 15 s.
  await after(10_000);
  expect([store.status, streams.all.length]).toEqual(['live', 1]);
  await after(13_000);
  listeners.get('online')?.();
  await settled();
  expect(store.status).toBe('stale');
});

test.each([
  ['a page of a proxy', (stream: Stream) => stream.refuse(502, '<h1>Bad Gateway</h1>')],
  [
    'a full gateway',
    (stream: Stream) => stream.refuse(...problem(503, 'overloaded'), { 'retry-after': '3' }),
  ],
  [
    'a gateway that cannot ask who it is',
    (stream: Stream) => stream.refuse(...problem(503, 'auth_unavailable')),
  ],
  [
    'the limit of the caller',
    (stream: Stream) => stream.accept().say({ t: 'bye', code: 4006, reconnectInMs: 2_000 }).end(),
  ],
  [
    'a failure of the server',
    (stream: Stream) => stream.accept().say({ t: 'bye', code: 4002, reconnectInMs: 2_000 }).end(),
  ],
  ['a cut', (stream: Stream) => stream.cut()],
])('%s is the one stream’s matter: it comes back later and later, the other goes on', async (_what, fail) => {
  const { streams, good, other, first } = await two();
  for (let n = 0; n < 8; n++) {
    fail(streams.last());
    await settled();
    expect([good.status, other.status]).toEqual(['live', 'connecting']);
    expect(other.error?.code).toMatch(/^(unavailable|too_many_subscriptions)$/);
    const then = streams.all.length;
    await after(n < 4 ? 40 : 450);
    expect(streams.all.length).toBe(then);
    first.say({ t: 'hb', at: 0 });
    await comesBack();
    expect(streams.all.length).toBe(then + 1);
  }
  await serve(streams.last());
  expect([good.status, other.status, first.signal.aborted]).toEqual(['live', 'live', false]);
});

test('a stream that is not answered does not end the others', async () => {
  const { streams, good, first } = await two();
  for (let n = 0; n < 4; n++) {
    await after(14_000);
    first.say({ t: 'hb', at: 0 });
  }
  expect([good.status, first.signal.aborted, streams.all.length]).toEqual(['live', false, 3]);
});

test('one bad stream among those that only begin does not keep the good one from its place', async () => {
  const { streams, client } = streaming();
  client.live('items', { key: 'x' });
  const good = client.live('items');
  await settled();
  for (let n = 0; n < 5; n++) {
    for (const stream of streams.all.filter(({ signal }) => !signal.aborted))
      if (stream.asked['key'] === 'x') stream.refuse(502, 'x');
    await settled();
    if (n === 0) await serve(streams.all[1] as Stream);
    await comesBack();
  }
  expect([good.status, streams.all[1]?.signal.aborted]).toEqual(['live', false]);
});

test('a token that is refused right after it was taken: a fresh one is asked for, and nobody is forgotten', async () => {
  const { streams, good, other } = await two();
  streams.last().accept().say({ t: 'err', code: 'auth_refused', message: 'x' }).end();
  await settled();
  expect([good.rows, other.rows]).toEqual([[], []]);
  await comesBack();
  for (const stream of streams.all.slice(2)) await serve(stream);
  expect([good.status, other.status]).toEqual(['live', 'live']);
});

test('a gateway that stops: all come back together, when it says', async () => {
  const { streams, good, first } = await two();
  await serve(streams.last());
  first.say({ t: 'bye', code: 4000, reconnectInMs: 5_000 }).end();
  await after(4_900);
  expect([good.status, streams.all.length]).toEqual(['stale', 2]);
  await after(200);
  expect(streams.all.length).toBe(4);
});

test.each(['0', '-5', '3600', '1e30'])('Retry-After: %s is kept to within reason', async (seconds) => {
  const { streams, client } = streaming();
  client.live('items');
  await settled();
  for (let ms = 0; ms < 5_000; ms += 10) {
    streams.last().refuse(...problem(503, 'overloaded'), { 'retry-after': seconds });
    await after(10);
  }
  expect(streams.all.length).toBeLessThanOrEqual(6);
  await after(80_000);
  expect(streams.all.length).toBeGreaterThan(1);
});

test('what a page for people says of an hour is none of ours', async () => {
  const { streams, client } = streaming();
  client.live('items');
  await settled();
  streams.last().refuse(503, '<h1>We are back soon</h1>', { 'retry-after': '3600' });
  await comesBack();
  expect(streams.all.length).toBe(2);
});

test('a network that answers nothing is told by its name', async () => {
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  streams.last().cut();
  await settled();
  expect(store.error?.code).toBe('network_error');
});

test('a WebSocket that may not be made: streams, and no probe that ends them', async () => {
  function Forbidden(): never {
    throw new Error('the policy of the page');
  }
  const { streams, client } = start({ WebSocket: Forbidden as unknown as SocketConstructor });
  const store = client.live('items');
  await settled();
  await serve(streams.last());
  for (let n = 0; n < 3; n++) {
    await after(15_000);
    streams.last().say({ t: 'hb', at: 0 });
  }
  expect([store.status, streams.all.length]).toEqual(['live', 1]);
});

test('one WebSocket is tried at a time, however seldom or often, and none is left behind', async () => {
  const { server, streams, client } = await fallen({ retrySocketMs: 1_000 });
  await serve(streams.last());
  await after(7_500);
  expect(server.sockets.filter(({ isOver }) => !isOver)).toHaveLength(1);
  client.close();
  await settled();
  expect([server.socket().isOver, vi.getTimerCount()]).toEqual([true, 0]);
  const seldom = await fallen({ retrySocketMs: Infinity });
  await serve(seldom.streams.last());
  await after(9_000);
  expect(seldom.server.sockets).toHaveLength(3);
});

test('streams that are left before they are there say nothing of the network', async () => {
  const { server, streams, client } = await fallen();
  client.renew();
  await settled();
  expect([server.sockets.length, streams.all.length]).toEqual([2, 2]);
});

test('a fetch that wants to be called by itself, as a browser’s does', async () => {
  const called: unknown[] = [];
  function own(this: unknown): Promise<Response> {
    called.push(this);
    return Promise.reject(new TypeError('no network'));
  }
  const { client } = start(
    { WebSocket: null, fetch: own as typeof fetch },
    { fetch: own as typeof fetch, attempts: 1 },
  );
  client.live('items');
  await client.view('items').catch(() => undefined);
  await settled();
  expect(called).toEqual([undefined, undefined]);
});

test('what a listener of the caller’s throws is told, and ends no stream', async () => {
  const thrown: unknown[] = [];
  const later = queueMicrotask;
  vi.stubGlobal('queueMicrotask', (work: () => void) =>
    later(() => {
      try {
        work();
      } catch (error) {
        thrown.push(error);
      }
    }),
  );
  const { streams, client } = streaming();
  const changes = (): never => {
    throw new Error('of the caller');
  };
  const watched = client.subscribe('items', {}, { changes });
  await settled();
  await serve(streams.last());
  change(streams.last(), 1, 2);
  change(streams.last(), 2, 3);
  await settled();
  expect([watched.status, thrown.length, streams.all.length]).toEqual(['live', 2, 1]);
});

test('too many are told after the call that asked for them', async () => {
  const { streams, client } = streaming({ maxStreams: 1 });
  client.live('items', { key: 'a' });
  await settled();
  await serve(streams.last());
  const status = vi.fn(() => void more.position);
  const more = client.subscribe('items', {}, { status });
  await settled();
  expect(more.status).toBe('connecting');
  expect(status).toHaveBeenCalled();
});

test('a stream that the server has ended is left, also where a proxy keeps it open', async () => {
  const { streams, good, other, first } = await two();
  streams.last().accept().say({ t: 'err', id: 's', code: 'too_many_rows', message: 'x' });
  await settled();
  expect([other.status, other.error?.code, streams.last().signal.aborted]).toEqual([
    'closed',
    'too_many_rows',
    true,
  ]);
  expect([good.status, first.signal.aborted]).toEqual(['live', false]);
});

/** Two views whose token ends soon, and their streams with the fresh one. */
async function renewedTwice() {
  let tokens = 0;
  const all = streaming({}, { token: () => `t${++tokens}` });
  const one = all.client.live('items');
  const other = all.client.live('items', { key: 'x' });
  await settled();
  for (const stream of [...all.streams.all]) await serve(stream, Date.now() + 40_000);
  await after(37_600);
  const [first, second] = all.streams.all.slice(2) as [Stream, Stream];
  return { ...all, one, other, first, second };
}

test('a fresh token that is refused: the rows are gone, and another one brings them back', async () => {
  const { streams, store, second } = await renewed();
  second.refuse(...problem(401, 'unauthenticated'));
  await settled();
  expect(store.rows).toEqual([]);
  await comesBack();
  expect(streams.last().headers.get('authorization')).toBe('Bearer t3');
  await serve(streams.last());
  expect([store.status, revs(store)]).toEqual(['live', [1]]);
});

test('a renewal that fails for one stream is its own: it comes back with the fresh token', async () => {
  const { streams, one, other, first, second } = await renewedTwice();
  second.refuse(...problem(503, 'overloaded'));
  await serve(first, Date.now() + 3_600_000);
  expect([one.status, other.status]).toEqual(['live', 'stale']);
  await comesBack();
  expect([streams.all.length, streams.last().headers.get('authorization')]).toEqual([5, 'Bearer t2']);
  await serve(streams.last(), Date.now() + 3_600_000);
  expect([one.status, other.status, revs(other)]).toEqual(['live', 'live', [1]]);
});

test('a renewal that nobody answers is given up, and tried again', async () => {
  const { streams, one, other, first } = await renewedTwice();
  await serve(first, Date.now() + 3_600_000);
  for (let n = 0; n < 5; n++) {
    await after(10_000);
    first.say({ t: 'hb', at: 0 });
  }
  expect([one.status, other.status, streams.all.length]).toEqual(['live', 'stale', 5]);
});

test('a gateway that is behind the one before: nothing is applied again, and nothing goes back', async () => {
  const { streams, client } = streaming();
  const store = client.live('items');
  await settled();
  await serve(streams.last());
  change(change(streams.last(), 1, 2), 2, 3);
  await settled();
  const seen: unknown[] = [];
  store.subscribe(() => seen.push(...revs(store)));
  streams.last().cut();
  await comesBack();
  await serve(streams.last());
  change(change(change(streams.last(), 1, 2), 2, 3), 3, 4);
  await settled();
  expect([...new Set(seen)]).toEqual([3, 4]);
});

test('streams that nobody answers, one begun after the other: a WebSocket has its turn', async () => {
  const { server, client } = await fallen();
  await after(10_000);
  client.live('items', { key: 'x' });
  await after(10 * 60_000);
  expect(server.sockets.length).toBeGreaterThan(5);
});

test('a refusal of the gateway’s is no reason to try a WebSocket first', async () => {
  const { server, streams } = await fallen();
  await serve(streams.last());
  server.socket().drop();
  const { length } = server.sockets;
  streams.last().cut();
  await comesBack();
  streams.last().refuse(...problem(401, 'token_expired'));
  await comesBack();
  expect([server.sockets.length, streams.all.length]).toEqual([length, 3]);
});

test('a subscription that is closed by the very listener that hears of its loss stays closed', async () => {
  const { streams, client } = streaming();
  client.live('items');
  const one = client.subscribe('items', { key: 'x' }, { status: (_status, error) => error && one.close() });
  await settled();
  await serve(streams.all[0] as Stream);
  streams.last().refuse(502, 'x');
  await comesBack();
  expect(streams.all.map(({ signal }) => signal.aborted)).toEqual([false, true]);
});

test('a fresh token of other rights: the rows of before are gone at once', async () => {
  const { streams, store, second } = await renewed();
  second.accept().say({ t: 'authed', expiresAt: null });
  // What the server makes of an id of other rights.
  second.say({ t: 'reset', id: 's', reason: 'epoch_changed' }, '');
  await settled();
  expect(store.rows).toEqual([]);
  second.say({ t: 'snap', id: 's', rows: [row('mine', 9)], more: false });
  second.say({ t: 'live', id: 's', ch: 1, epoch: 'e2', pos: [[0, 9]] }, 'cursor-9');
  await settled();
  expect([store.status, revs(store), streams.last()]).toEqual(['live', [9], second]);
});

test('a window that comes in parts has none of them before it has all', async () => {
  const { streams, store, second } = await renewed({ limit: 5 });
  second.accept();
  second.say({ t: 'chg', id: 's', at: 0, d: [[0, 0, 2, [row('b', 7)]]] });
  await settled();
  expect(revs(store)).toEqual([1]);
  second.cut();
  await comesBack();
  // Where it stood before: what it would have missed of the first part comes again.
  expect(streams.last().asked['from']).toBe('{"epoch":"e","pos":[[0,1]]}');
  streams.last().accept();
  streams.last().say({ t: 'chg', id: 's', at: 0, d: [[0, 0, 2, [row('b', 7)]]] });
  streams.last().say({ t: 'chg', id: 's', at: 0, d: [[0, 2, 3, [row('c', 3)]]] });
  streams.last().say({ t: 'live', id: 's', ch: 1, epoch: 'e', pos: [[0, 3]] }, 'cursor-3');
  await settled();
  expect(revs(store)).toEqual([1, 7, 3]);
});

test('a window that is renewed again while it comes in parts', async () => {
  const { streams, store, second } = await renewed({ limit: 5 }, 8_000);
  second.accept().say({ t: 'authed', expiresAt: Date.now() + 4_000 });
  second.say({ t: 'chg', id: 's', at: 0, d: [[0, 0, 3, [row('a', 3)]]] });
  await after(5_100);
  const third = streams.last();
  expect(third.headers.get('last-event-id')).toBe('cursor-1');
  third.accept();
  // All rows stand in the shard that is the furthest ahead, with the same seq as before.
  third.say({
    t: 'chg',
    id: 's',
    at: 0,
    d: [
      [0, 0, 3, [row('a', 3), row('b', 1)]],
      [1, 0, 1, []],
    ],
  });
  third.say(
    {
      t: 'live',
      id: 's',
      ch: 1,
      epoch: 'e',
      pos: [
        [0, 3],
        [1, 1],
      ],
    },
    'cursor-3',
  );
  await settled();
  expect(store.rows.map(({ id }) => id)).toEqual(['a', 'b']);
});
