/** Coming back: from a position, from a cursor of HTTP, to another process, and when the position is no longer good. */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CursorPayload } from '../../../src/protocol/positions.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import { BOARD_LOG } from '../../support/realtime/board.js';
import { engines } from '../../support/realtime/engines.js';
import { LiveView } from '../../support/realtime/live-view.js';
import { RealtimeStack, type LiveClient } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('resuming over $name', (engine) => {
  let gateway: Gateway;
  const list = `${engine.name}-list`;
  const own = (name: string): string => `${engine.name}-${name}`;

  beforeAll(async () => {
    gateway = await stack.gateway(engine, { maxReplayChanges: 20 });
  });

  const left = async (client: LiveClient): Promise<void> => {
    client.socket.ws.terminate();
    await client.socket.closed;
  };

  it('brings what was missed, once and in order, and nothing else', async () => {
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board', where: { list } });
    await left(client);
    await stack.set(own('a'), list);
    await stack.set(own('b'), list);
    // Two changes of a row in one batch of the projector would be one.
    await stack.caughtUp();
    await stack.set(own('c'), own('other'));
    await stack.set(own('a'), own('other'));
    await stack.caughtUp();
    const again = await stack.client(gateway);
    await again.goOn(view);
    expect(again.frames.map(({ t }) => t)).toEqual(expect.not.arrayContaining(['snap', 'reset']));
    // The feed may have handed over the last of them after `live`.
    await again.until(() => view.seen.length === 3);
    expect([...view.rows.keys()]).toEqual([own('b')]);
    await stack.set(own('b'), list, true);
    await again.until(() => view.seen.length === 4);
  });

  it('with nothing missed is live at once, without a snapshot', async () => {
    await stack.caughtUp();
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board' });
    await left(client);
    const again = await stack.client(gateway);
    await again.goOn(view);
    expect(again.frames.map(({ t }) => t)).toEqual(['welcome', 'live']);
  });

  it('goes on in another process, which reads from Postgres what it never saw', async () => {
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board' });
    const key = await client.live({ id: 'k', view: 'board', key: own('d') });
    await left(client);
    for (let n = 0; n < 4; n++) {
      await stack.set(own('d'), list, null, `${n}`);
      await stack.set(own(`d${n}`), list);
      await stack.caughtUp();
    }
    const backfilled: number[] = [];
    const other = await stack.gateway(
      engine,
      {},
      { backfilled: (_view, changes) => backfilled.push(changes) },
    );
    const [one, two] = [await stack.client(other), await stack.client(other)];
    await Promise.all([one.goOn(view), two.goOn(key)]);
    expect(view.seen.length).toBe(8);
    expect(key.seen.length).toBe(4);
    expect([...one.frames, ...two.frames].some(({ t }) => t === 'snap')).toBe(false);
    expect(backfilled.reduce((sum, n) => sum + n, 0)).toBe(8);
    expect(view.rows).toEqual(await stack.table());
  });

  it('takes the cursor of an HTTP read of the very same, and no other', async () => {
    await stack.caughtUp();
    const heads = await stack.db.query<[string, number, number]>(
      `SELECT epoch, shard, coalesce((SELECT max(seq) FROM tidemark.changes c WHERE c.log = s.log AND c.shard = s.shard), 0)
       FROM tidemark.shards s WHERE log = $1`,
      [BOARD_LOG],
    );
    const cursor: CursorPayload = {
      kind: 'cursor',
      log: BOARD_LOG,
      epoch: heads[0]?.[0] ?? '',
      pos: heads.map(([, shard, seq]) => [shard, seq]),
      bind: { view: 'board', where: { done: null, list } },
    };
    const signed = stack.signer.sign(cursor);
    await stack.set(own('e'), list, null, 'after the read');
    await stack.caughtUp();
    const client = await stack.client(gateway);
    const sub = { t: 'sub', view: 'board' } as const;
    const view = new LiveView({ id: 's', view: 'board', where: { list, done: null } });
    client.views.set('s', view);
    // The cursor is opaque: the client has no position of its own, so every shard stands at 0 for it.
    view.resumedFrom = cursor;
    client.send({ ...sub, id: 's', where: { list, done: null }, from: signed });
    await client.until(() => view.rows.has(own('e')));
    expect(client.frames.some(({ t }) => t === 'snap' || t === 'reset')).toBe(false);

    const token = stack.signer.sign({ kind: 'token', logs: {} });
    const where = { list, done: null };
    const wrong = [
      { ...sub, id: 'other filter', where: { list: 'x', done: null }, from: signed },
      { ...sub, id: 'no filter', from: signed },
      { ...sub, id: 'key', key: 'k', from: signed },
      {
        ...sub,
        id: 'tampered',
        where,
        from: signed.replace(/.{4}$/, (end) => (end.startsWith('AAA') ? 'BBBB' : 'AAAA')),
      },
      { ...sub, id: 'token', where, from: token },
      { ...sub, id: 'empty', where, from: '' },
      { ...sub, id: 'long', where, from: 'x'.repeat(10_000) },
      { ...sub, id: 'shard', from: { epoch: cursor.epoch, pos: [[99, 1]] as const } },
    ];
    for (const frame of wrong) {
      client.send(frame);
      expect(await client.next('err', ({ id }) => id === frame.id)).toMatchObject({ code: 'invalid_cursor' });
    }
  });

  it('begins anew where the position is no longer good, and says why', async () => {
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board' });
    const position = view.position();
    if (!position) throw new Error('no position');
    await left(client);

    const comeBack = async (from: typeof position | string): Promise<LiveView> => {
      const again = await stack.client(gateway);
      const fresh = new LiveView({ id: 's', view: 'board' });
      fresh.resumedFrom = position;
      again.views.set('s', fresh);
      again.send({ t: 'sub', id: 's', view: 'board', from });
      await again.until(() => fresh.state === 'live');
      expect(again.frames.map(({ t }) => t).slice(0, 3)).toEqual(['welcome', 'reset', 'snap']);
      return fresh;
    };
    const foreign: CursorPayload = { kind: 'cursor', log: 'board.v9', ...position, bind: { view: 'board' } };
    expect((await comeBack({ ...position, epoch: 'another' })).resets).toEqual(['epoch_changed']);
    expect((await comeBack(stack.signer.sign(foreign))).resets).toEqual(['epoch_changed']);
    expect((await comeBack({ ...position, pos: [[0, 1_000_000]] })).resets).toEqual(['position_ahead']);
    const watcher = await stack.client(gateway);
    const watching = await watcher.live({ id: 'w', view: 'board' });
    for (let n = 0; n < 21; n++) await stack.set(own('far'), list, null, `${n}`).then(() => stack.caughtUp());
    // How far behind a position is depends on how far the gateway is itself.
    const table = await stack.table();
    await watcher.until(() => isDeepStrictEqual(watching.rows, table));
    const far = await comeBack(position);
    expect(far.resets).toEqual(['too_far_behind']);
    expect(far.rows).toEqual(await stack.table());
  });

  it('from below the low-water mark begins anew', async () => {
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board' });
    await left(client);
    const watcher = await stack.client(gateway);
    const watching = await watcher.live({ id: 'w', view: 'board' });
    for (let n = 0; n < 3; n++) {
      await stack.set(own('trim'), list, null, `${n}`);
      await stack.caughtUp();
    }
    // The gateway itself is behind nothing that goes: else it would reset its own subscribers later, in the next test.
    const table = await stack.table();
    await watcher.until(() => isDeepStrictEqual(watching.rows, table));
    await stack.db.query(
      `UPDATE tidemark.shards s SET low = (SELECT coalesce(max(seq), 0) FROM tidemark.changes c WHERE c.log = s.log AND c.shard = s.shard) WHERE log = $1`,
      [BOARD_LOG],
    );
    const other = await stack.gateway(engine);
    const again = await stack.client(other);
    again.views.set('s', view);
    again.send(view.subscribe());
    await again.until(() => view.state === 'live');
    expect(view.resets).toEqual(['trimmed']);
    expect(view.rows).toEqual(await stack.table());
  });

  it('is asked of every subscriber when the epoch changes while they are live', async () => {
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board' });
    const other = await client.live({ id: 't', view: 'board', key: own('a') });
    const epoch = `new${engine.name}`;
    await stack.db.query(`UPDATE tidemark.shards SET epoch = $2 WHERE log = $1`, [BOARD_LOG, epoch]);
    await client.until(() => view.epoch === epoch && other.epoch === epoch);
    expect([view.resets, other.resets]).toEqual([['epoch_changed'], ['epoch_changed']]);
    expect(view.rows).toEqual(await stack.table());
    await stack.set(own('z'), list);
    await client.until(() => view.rows.has(own('z')));
  });
});
