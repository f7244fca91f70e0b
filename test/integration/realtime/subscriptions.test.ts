/** Subscriptions on a real Postgres and real sockets: what a client gets, from its first snapshot to its last change. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shardOf } from '../../../src/platform/murmur2.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import { SHARDS } from '../../support/realtime/board.js';
import { engines } from '../../support/realtime/engines.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('subscriptions over $name', (engine) => {
  let gateway: Gateway;
  /** Keys and lists of this engine’s own, as both share a table. */
  const own = (name: string): string => `${engine.name}-${name}`;

  beforeAll(async () => {
    gateway = await stack.gateway(engine);
  });

  it('begin with welcome, a snapshot, and the position from which changes go on', async () => {
    await stack.set(own('a'), own('first'), true, 'ü\n"quoted"');
    await stack.caughtUp();
    const client = await stack.client(gateway);
    expect(client.socket.ws.protocol).toBe('tidemark.v1');
    const welcome = await client.next('welcome');
    expect(welcome).toEqual({
      t: 'welcome',
      session: expect.stringMatching(/^[0-9a-f-]{36}$/),
      heartbeatMs: 15_000,
      limits: { maxSubscriptions: 128, maxFrameBytes: 16_384, maxSnapshotRows: 10_000 },
    });
    const view = await client.live({ id: 's', view: 'board', where: { list: own('first') } });
    expect(client.frames.map(({ t }) => t)).toEqual(['welcome', 'snap', 'live']);
    expect([...view.rows]).toEqual([
      [
        own('a'),
        {
          rev: expect.any(Number),
          row: { id: own('a'), list: own('first'), done: true, note: 'ü\n"quoted"' },
        },
      ],
    ]);
    const shard = shardOf(own('a'), SHARDS);
    expect(view.last.get(shard)).toBeGreaterThanOrEqual(view.rows.get(own('a'))?.rev ?? Infinity);
  });

  it('get each change of the whole view, a key, a filter, and a filter of two fields', async () => {
    const client = await stack.client(gateway);
    const list = own('each');
    const all = await client.live({ id: 'all', view: 'board' });
    const key = await client.live({ id: 'key', view: 'board', key: own('k') });
    const one = await client.live({ id: 'one', view: 'board', where: { list } });
    const two = await client.live({ id: 'two', view: 'board', where: { done: null, list } });
    expect([key.rows.size, one.rows.size, two.rows.size]).toEqual([0, 0, 0]);
    await stack.set(own('k'), list);
    await client.until(() => [all, key, one, two].every(({ rows }) => rows.has(own('k'))));
    await stack.set(own('k'), list, false);
    await client.until(() => !two.rows.has(own('k')));
    await stack.set(own('k'), own('elsewhere'), false);
    await client.until(() => !one.rows.has(own('k')));
    await stack.set(own('k'), list, null, 'back');
    await client.until(() => two.rows.has(own('k')));
    await client.until(() => [all, key, one].every(({ seen }) => seen.length === 4));
    expect(two.seen).toEqual([key.seen[0], key.seen[1], key.seen[3]]);
    expect(one.rows.get(own('k'))?.row).toEqual({ id: own('k'), list, done: null, note: 'back' });
    expect(key.last.size).toBeLessThanOrEqual(1);
  });

  it('see a row go and come back with a higher revision', async () => {
    const client = await stack.client(gateway);
    const id = own('phoenix');
    await stack.set(id, own('p'));
    await stack.caughtUp();
    const view = await client.live({ id: 's', view: 'board', key: id });
    const before = view.rows.get(id)?.rev ?? Infinity;
    await stack.remove(id);
    await client.until(() => !view.rows.has(id));
    await stack.set(id, own('p'));
    await client.until(() => view.rows.has(id));
    expect(view.rows.get(id)?.rev).toBeGreaterThan(before + 1);
    expect(view.seen.length).toBe(2);
  });

  it('may be two of one channel on a socket; each ends by itself', async () => {
    const client = await stack.client(gateway);
    const id = own('twice');
    const first = await client.live({ id: 'first', view: 'board', key: id });
    await stack.set(id, own('t'));
    await client.until(() => first.rows.has(id));
    const second = await client.live({ id: 'second', view: 'board', key: id });
    expect(second.ch).toBe(first.ch);
    await stack.set(id, own('t'), true);
    await client.until(() => second.seen.length === 1 && first.seen.length === 2);
    client.send({ t: 'unsub', id: 'first' });
    expect(await client.next('unsubbed')).toEqual({ t: 'unsubbed', id: 'first' });
    await stack.set(id, own('t'), false);
    await client.until(() => second.seen.length === 2);
    client.send({ t: 'unsub', id: 'second' });
    await client.next('unsubbed', (frame) => frame.id === 'second');
    const frames = client.frames.length;
    await stack.set(id, own('t'), null);
    const other = await stack.client(gateway);
    await stack.caughtUp();
    await other.live({ id: 'x', view: 'board', key: id });
    client.send({ t: 'ping' });
    await client.next('pong');
    expect(client.frames.slice(frames).filter(({ t }) => t === 'chg')).toEqual([]);
  });

  it('of a quiet channel move on by parts with no rows', async () => {
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board', where: { list: own('quiet') } });
    const id = own('noise');
    const shard = shardOf(id, SHARDS);
    const before = view.last.get(shard) ?? 0;
    await stack.set(id, own('noisy'));
    await client.until(() => (view.last.get(shard) ?? 0) > before);
    expect(view.seen).toEqual([]);
    const quiet = await client.next('chg', (frame) => 'ch' in frame && frame.ch === view.ch);
    expect(quiet.d.every(([, , , rows]) => rows.length === 0)).toBe(true);
  });

  it('answer ping, auth, and what is wrong, and go on', async () => {
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board', key: own('fine') });
    client.send({ t: 'sub', id: 's', view: 'board' });
    expect((await client.next('err')).code).toBe('id_in_use');
    view.state = 'live';
    client.send({ t: 'auth', token: 'secret' });
    client.send({ t: 'unsub', id: 'nobody' });
    client.send({ t: 'ping' });
    await client.next('pong');
    expect(client.frames.filter(({ t }) => t === 'err').slice(1)).toEqual([
      { t: 'err', code: 'auth_off', message: expect.any(String) },
      { t: 'err', id: 'nobody', code: 'unknown_id', message: expect.any(String) },
    ]);
    await stack.set(own('fine'), own('f'));
    await client.until(() => view.rows.size === 1);
  });
});
