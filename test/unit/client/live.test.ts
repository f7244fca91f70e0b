/** A live view and its socket, frame by frame: what is applied, what is dropped, when it asks again, and what it shows meanwhile. */
import { createClient, type ClientOptions } from 'tidemark/client';
import { expect, test, vi } from 'vitest';
import type { ChangePart } from '../../../src/protocol/frames.js';
import { script, type Script } from '../../support/client/scripted-socket.js';
import { useClients } from '../../support/client/use-clients.js';

const noted = useClients();

function start(options: ClientOptions = {}) {
  const server = script();
  const client = createClient({
    url: 'http://shop.test',
    WebSocket: server.WebSocket,
    backoff: { minMs: 100, maxMs: 1_000 },
    ...options,
  });
  noted(client);
  return { server, client };
}

/** Tokens are asked for, listeners are told: microtasks. */
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

const row = (id: string, n: number) => ({ id, n });

/** Live on channel 7, at seq 5 of shard 0 and 3 of shard 1, with a and b. */
async function live(server: Script): Promise<void> {
  await settled();
  const socket = server.socket().accept();
  const { id } = socket.sub;
  socket.say(
    {
      t: 'snap',
      id,
      rows: [
        ['a', 5, row('a', 1)],
        ['b', 3, row('b', 1)],
      ],
      more: false,
    },
    {
      t: 'live',
      id,
      ch: 7,
      epoch: 'e1',
      pos: [
        [0, 5],
        [1, 3],
      ],
    },
  );
  await settled();
}

const shown = (store: { readonly rows: readonly unknown[] }) => JSON.stringify(store.rows);

test('a snapshot in pieces and what came after it are shown at once, when they are complete', async () => {
  const { server, client } = start();
  const store = client.live('items', { where: { list: 'x' } });
  expect(store.getSnapshot()).toMatchObject({ rows: [], status: 'connecting' });
  await settled();
  const socket = server.socket().accept();
  expect(socket).toMatchObject({ url: 'ws://shop.test/realtime', protocol: 'tidemark.v1' });
  expect(socket.sub).toEqual({ t: 'sub', id: socket.sub.id, view: 'items', where: { list: 'x' } });
  const { id } = socket.sub;
  socket.say(
    { t: 'snap', id, rows: [['b', 2, row('b', 1)]], more: true },
    { t: 'snap', id, rows: [['a', 1, row('a', 1)]], more: false },
    {
      t: 'chg',
      id,
      at: 1,
      d: [
        [
          0,
          0,
          4,
          [
            ['b', 3, null],
            ['c', 4, row('c', 1)],
          ],
        ],
      ],
    },
  );
  expect(store.rows).toEqual([]);
  socket.say({ t: 'live', id, ch: 1, epoch: 'e1', pos: [[0, 4]] });
  expect(store).toMatchObject({ rows: [row('a', 1), row('c', 1)], status: 'live' });
});

test('parts: repeats are dropped, overlaps are told by revision, empty ones move on, a gap is asked for', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await live(server);
  const socket = server.socket();
  const say = (...d: readonly ChangePart[]): void => socket.say({ t: 'chg', ch: 7, at: 1, d });
  say([0, 5, 6, [['a', 6, row('a', 2)]]]);
  expect(shown(store)).toBe(JSON.stringify([row('a', 2), row('b', 1)]));
  say([0, 5, 6, [['a', 6, row('a', 99)]]]);
  expect(store.rows[0]).toEqual(row('a', 2));
  say([
    0,
    4,
    8,
    [
      ['a', 5, row('a', 99)],
      ['b', 8, null],
    ],
  ]);
  expect(shown(store)).toBe(JSON.stringify([row('a', 2)]));
  say([0, 8, 20, []]);
  say([0, 20, 21, [['a', 21, row('a', 3)]]]);
  expect(shown(store)).toBe(JSON.stringify([row('a', 3)]));
  const before = socket.sub.id;
  // Shard 1 stands at 3: 4 to 6 are missing. What comes after that is not shown.
  say([1, 6, 7, [['z', 7, row('z', 1)]]], [0, 21, 22, [['a', 22, row('a', 4)]]]);
  expect(store).toMatchObject({ status: 'stale', rows: [row('a', 3)] });
  await settled();
  expect(socket.sent.at(-2)).toEqual({ t: 'unsub', id: before });
  expect(socket.sub).toMatchObject({
    from: {
      epoch: 'e1',
      pos: [
        [0, 21],
        [1, 3],
      ],
    },
  });
  // Of the channel that it has left, nothing counts.
  say([1, 3, 9, [['old', 9, row('old', 1)]]]);
  const { id } = socket.sub;
  socket.say(
    { t: 'unsubbed', id: before },
    {
      t: 'chg',
      id,
      at: 1,
      d: [
        [
          1,
          3,
          7,
          [
            ['y', 5, row('y', 1)],
            ['z', 7, row('z', 1)],
          ],
        ],
      ],
    },
    { t: 'chg', id, at: 1, d: [[0, 21, 22, [['a', 22, row('a', 4)]]]] },
    {
      t: 'live',
      id,
      ch: 7,
      epoch: 'e1',
      pos: [
        [0, 22],
        [1, 9],
      ],
    },
  );
  expect(store).toMatchObject({ status: 'live', rows: [row('a', 4), row('y', 1), row('z', 1)] });
});

test('a gap that comes again and again is asked for ever more slowly', async () => {
  const { server, client } = start();
  client.live('items');
  await live(server);
  const socket = server.socket();
  const gap = (): void => {
    const { id } = socket.sub;
    socket.say(
      { t: 'live', id, ch: 7, epoch: 'e1', pos: [] },
      { t: 'chg', ch: 7, at: 1, d: [[0, 50, 51, []]] },
    );
  };
  for (let n = 0; n < 50; n++) {
    gap();
    await vi.advanceTimersByTimeAsync(20);
  }
  expect(socket.subs.length).toBeLessThan(8);
});

test('after a drop it goes on from its position; a reset begins anew, and rows stay until the new ones are there', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await live(server);
  const before = store.rows;
  server.socket().drop();
  expect(store).toMatchObject({ status: 'stale', rows: before });
  await vi.advanceTimersByTimeAsync(200);
  expect(server.sockets).toHaveLength(2);
  const socket = server.socket().accept();
  expect(socket.sub.from).toEqual({
    epoch: 'e1',
    pos: [
      [0, 5],
      [1, 3],
    ],
  });
  const { id } = socket.sub;
  socket.say({ t: 'reset', id, reason: 'epoch_changed' });
  expect(store).toMatchObject({ status: 'stale', rows: before });
  socket.say({ t: 'snap', id, rows: [['n', 1, row('n', 1)]], more: false });
  // The line breaks before it is complete: half a snapshot is none, and the old position is gone.
  socket.drop();
  expect(store.rows).toEqual(before);
  await vi.advanceTimersByTimeAsync(400);
  const next = server.socket().accept();
  expect(next.sub.from).toBeUndefined();
  next.say(
    { t: 'snap', id: next.sub.id, rows: [['m', 1, row('m', 1)]], more: false },
    { t: 'live', id: next.sub.id, ch: 2, epoch: 'e2', pos: [[0, 1]] },
  );
  expect(store).toMatchObject({ status: 'live', rows: [row('m', 1)] });
});

test('a window: a row that comes back with an old revision is shown; order and ties are the server’s', async () => {
  const { server, client } = start();
  const store = client.live('items', { sort: ['-n', 'id'], limit: 2 });
  await settled();
  const socket = server.socket().accept();
  const { id } = socket.sub;
  expect(socket.sub).toMatchObject({ sort: '-n,id', limit: 2 });
  socket.say(
    {
      t: 'snap',
      id,
      rows: [
        ['a', 9, row('a', 3)],
        ['b', 4, row('b', 2)],
      ],
      more: false,
    },
    {
      t: 'live',
      id,
      ch: 1,
      epoch: 'e1',
      pos: [
        [0, 10],
        [1, 10],
      ],
    },
    // c pushes b out, then leaves again: b comes with the revision that it had.
    {
      t: 'chg',
      ch: 1,
      at: 1,
      d: [
        [
          0,
          10,
          11,
          [
            ['c', 11, row('c', 5)],
            ['b', 11, null],
          ],
        ],
      ],
    },
  );
  expect(store.rows).toEqual([row('c', 5), row('a', 3)]);
  socket.say({
    t: 'chg',
    ch: 1,
    at: 1,
    d: [
      [
        1,
        10,
        12,
        [
          ['c', 12, null],
          ['b', 4, row('b', 2)],
        ],
      ],
    ],
  });
  expect(store.rows).toEqual([row('a', 3), row('b', 2)]);
});

test('equal requests are one subscription; it lingers after the last who used it', async () => {
  const { server, client } = start({ lingerMs: 500 });
  const one = client.live('items', { where: { x: 1, y: null } });
  const two = client.live({ name: 'items' }, { where: { y: null, x: 1 } });
  const other = client.live('items', { where: { x: 1 } });
  await settled();
  const socket = server.socket().accept();
  expect(socket.subs).toHaveLength(2);
  one.close();
  two.close();
  one.close();
  await vi.advanceTimersByTimeAsync(499);
  const three = client.live('items', { where: { x: 1, y: null } });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(socket.sent.filter(({ t }) => t === 'unsub')).toEqual([]);
  three.close();
  await vi.advanceTimersByTimeAsync(500);
  expect(socket.sent.at(-1)).toEqual({ t: 'unsub', id: socket.subs[0]?.id });
  other.close();
  await vi.advanceTimersByTimeAsync(500);
  expect(socket.closedWith).toBe(1_000);
  expect(server.sockets).toHaveLength(1);
});

test('one frame tells each listener once; snapshots are the same object until something changes', async () => {
  const { server, client } = start();
  const store = client.live('items');
  const key = client.live('items', { key: 'a' });
  await settled();
  const socket = server.socket().accept();
  let calls = 0;
  const end = store.subscribe(() => calls++);
  for (const { id } of socket.subs) {
    socket.say(
      { t: 'snap', id, rows: [['a', 5, row('a', 1)]], more: false },
      { t: 'live', id, ch: 7, epoch: 'e1', pos: [[0, 5]] },
    );
  }
  await settled();
  expect(calls).toBe(1);
  const before = store.getSnapshot();
  expect(store.getSnapshot()).toBe(before);
  expect(Object.isFrozen(before) && Object.isFrozen(before.rows)).toBe(true);
  socket.say({
    t: 'chg',
    ch: 7,
    at: 1,
    d: [
      [0, 5, 6, [['a', 6, row('a', 2)]]],
      [1, 0, 6, [['b', 6, row('b', 2)]]],
      [2, 0, 6, []],
    ],
  });
  await settled();
  expect(calls).toBe(2);
  expect(before.rows).toEqual([row('a', 1)]);
  expect(store.rows).toHaveLength(2);
  expect(key.rows[0]).toEqual(row('a', 2));
  socket.say({ t: 'hb', at: 1 }, { t: 'pong' });
  await settled();
  expect(calls).toBe(2);
  end();
  socket.say({ t: 'chg', ch: 7, at: 1, d: [[0, 6, 7, [['a', 7, null]]]] });
  await settled();
  expect(calls).toBe(2);
});

test('rows are in the order of their keys’ UTF-8 bytes', async () => {
  const { server, client } = start();
  const store = client.live('items');
  await settled();
  const socket = server.socket().accept();
  const { id } = socket.sub;
  const keys = ['z', '\u{1f600}', '\uffee', 'a', 'ab', 'é', '\u{10000}', '\ud7ff', ''.padEnd(3, 'a')];
  socket.say(
    { t: 'snap', id, rows: keys.map((key) => [key, 1, { id: key }]), more: false },
    { t: 'live', id, ch: 1, epoch: 'e', pos: [] },
  );
  expect(store.rows.map((one) => one['id'])).toEqual(
    keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
});
