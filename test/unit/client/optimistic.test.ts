/** Optimistic changes on top of what the server sends: when they are shown, applied anew, confirmed and taken back. */
import { createClient } from 'tidemark/client';
import { expect, test } from 'vitest';
import type { ServerFrame } from '../../../src/protocol/frames.js';
import { until } from '../../support/client/until.js';
import { scriptedHttp } from '../../support/client/scripted-http.js';
import { script } from '../../support/client/scripted-socket.js';

/** A cursor as `GET /views/items/<key>` gives it; what signs it is the server’s affair. */
function cursor(epoch: string, shard: number, seq: number): string {
  const payload = { kind: 'cursor', log: 'items.v1', bind: { view: 'items' }, epoch, pos: [[shard, seq]] };
  return `${Buffer.from(JSON.stringify(payload)).toString('base64url')}.tag`;
}

async function start(request: object = {}) {
  const server = script();
  const http = scriptedHttp();
  const client = createClient({
    url: 'http://shop.test',
    WebSocket: server.WebSocket,
    fetch: http.fetch,
    lingerMs: 0,
  });
  const store = client.live('items', request);
  await until(undefined, () => server.sockets.length > 0);
  const socket = server.socket().accept();
  const { id } = socket.sub;
  const rows: Extract<ServerFrame, { t: 'snap' }>['rows'] = [
    ['a', 3, { id: 'a', n: 1, list: 'x' }],
    ['b', 4, { id: 'b', n: 2, list: 'x' }],
  ];
  socket.say({ t: 'snap', id, rows, more: false }, { t: 'live', id, ch: 1, epoch: 'e', pos: [[0, 4]] });
  const change = (p: number, s: number, key: string, row: Record<string, unknown> | null): void =>
    socket.say({ t: 'chg', ch: 1, at: 1, d: [[0, p, s, [[key, s, row]]]] });
  const ns = () => store.rows.map((row) => `${String(row['id'])}${String(row['n'])}`).join(' ');
  return { client, store, socket, http, change, ns };
}
type Started = Awaited<ReturnType<typeof start>>;

const plus = (row: Readonly<Record<string, unknown>> | null) => row && { ...row, n: Number(row['n']) + 10 };
const answer = { streamId: 'a', version: 2, events: [], token: 'token-1' };

/** Sends a command that is expected to add ten to `key`; its answer is for the test to give. */
const send = ({ client }: Started, key: string) =>
  client.command('item', key, 'add', { n: 10 }, { optimistic: (expectRow) => expectRow('items', key, plus) });

test('shown at once; applied anew to what others change; dropped when the feed has the command’s own change', async () => {
  const started = await start();
  const { store, http, change, ns, client } = started;
  const sent = send(started, 'a');
  expect(ns()).toBe('a11 b2');
  expect([...store.pending]).toEqual(['a']);
  // Somebody else’s change comes first: ours is still to come on top of it.
  change(4, 5, 'a', { id: 'a', n: 5, list: 'x' });
  expect(ns()).toBe('a15 b2');
  (await http.next('/commands/item/a/add')).answer(200, answer);
  await sent;
  expect(ns()).toBe('a15 b2');
  const read = await http.next('/views/items/a?after=token-1');
  expect([...store.pending]).toEqual(['a']);
  read.answer(200, { id: 'a', n: 15 }, { 'tidemark-cursor': cursor('e', 0, 8) });
  // Up to 7 it is not in yet, at 8 it is: what the server says is shown, and nothing on top.
  change(5, 7, 'b', { id: 'b', n: 3, list: 'x' });
  expect(ns()).toBe('a15 b3');
  change(7, 8, 'a', { id: 'a', n: 16, list: 'x' });
  await until(store, () => store.pending.size === 0);
  expect(ns()).toBe('a16 b3');
  client.close();
});

test('the change may come before the answer, and a row may be gone by it', async () => {
  const started = await start();
  const { store, http, change, ns, client } = started;
  const sent = send(started, 'a');
  change(4, 5, 'a', null);
  expect(ns()).toBe('b2');
  (await http.next('/commands/item/a/add')).answer(200, answer);
  await sent;
  const problem = { code: 'row_not_found', detail: 'none', status: 404 };
  (await http.next('/views/items/a')).answer(404, problem, { 'tidemark-cursor': cursor('e', 0, 5) });
  await until(undefined, () => [...client.peek('items').pending].length === 0);
  expect(store.rows).toHaveLength(1);
  client.close();
});

test('a rejected command takes its own change back, and no other', async () => {
  const started = await start();
  const { store, http, ns, client } = started;
  const first = send(started, 'a');
  const second = send(started, 'a');
  expect(ns()).toBe('a21 b2');
  const [one, two] = [await http.next('/commands'), await http.next('/commands')];
  one.answer(409, { code: 'too_many', detail: 'no', status: 409 });
  await expect(first).rejects.toMatchObject({ code: 'too_many' });
  expect(ns()).toBe('a11 b2');
  two.answer(200, answer);
  await second;
  // Nobody can tell when the row has it: then what the server sends is shown.
  (await http.next('/views/items/a')).answer(403, { code: 'forbidden', detail: 'no', status: 403 });
  await until(store, () => ns() === 'a1 b2');
  expect(store.pending.size).toBe(0);
  client.close();
});

test('a row that leaves its filter is not shown, one that comes into it is, in its place', async () => {
  const { client, store, ns } = await start({ where: { list: 'x' }, sort: '-n', limit: 2 });
  expect(ns()).toBe('b2 a1');
  const moved = client.optimistic('items', 'b', (row) => row && { ...row, list: 'y' });
  expect(ns()).toBe('a1');
  const made = client.optimistic('items', 'c', () => ({ id: 'c', n: 7, list: 'x' }));
  expect(ns()).toBe('c7 a1');
  client.optimistic('items', 'd', () => ({ id: 'd', n: 8, list: 'y' }));
  client.optimistic('others', 'a', () => null);
  expect(ns()).toBe('c7 a1');
  moved.rollback();
  // A window of two: the third has no place.
  expect(ns()).toBe('c7 b2');
  made.rollback();
  made.rollback();
  expect(ns()).toBe('b2 a1');
  expect(store.pending.size).toBe(0);
  client.close();
});

test('another epoch: what the new log has is shown as it is', async () => {
  const started = await start();
  const { store, socket, http, ns, client } = started;
  const sent = send(started, 'a');
  (await http.next('/commands')).answer(200, answer);
  await sent;
  (await http.next('/views/items/a')).answer(200, {}, { 'tidemark-cursor': cursor('e2', 0, 2) });
  const { id } = socket.sub;
  socket.say(
    { t: 'reset', id, reason: 'epoch_changed' },
    { t: 'snap', id, rows: [['a', 2, { id: 'a', n: 11 }]], more: false },
    { t: 'live', id, ch: 1, epoch: 'e2', pos: [[0, 2]] },
  );
  await until(store, () => ns() === 'a11' && store.pending.size === 0);
  client.close();
});

test('a live view that has ended keeps no change waiting, nor does a caller whose own function throws', async () => {
  const started = await start();
  const { client, store, socket, http, change } = started;
  const other = client.live('items', { where: { list: 'z' } });
  socket.say({ t: 'err', id: socket.sub.id, code: 'invalid_filter', message: 'no' });
  await until(other, () => other.status === 'closed');
  const sent = send(started, 'a');
  (await http.next('/commands')).answer(200, answer);
  await sent;
  (await http.next('/views/items/a')).answer(200, {}, { 'tidemark-cursor': cursor('e', 0, 5) });
  change(4, 5, 'a', { id: 'a', n: 11, list: 'x' });
  await until(store, () => store.pending.size === 0);
  // It would be shown for ever in what is opened later, too.
  const late = client.optimistic('items', 'a', plus);
  late.rollback();
  expect(store.rows[0]).toMatchObject({ n: 11 });
  const fault = client.command(
    'item',
    'a',
    'add',
    {},
    {
      optimistic(expectRow) {
        expectRow('items', 'b', plus);
        throw new Error('of the page');
      },
    },
  );
  await expect(fault).rejects.toThrowError('of the page');
  expect(store.pending.size).toBe(0);
  client.close();
});
