/** Server-sent events on a real Postgres: the same subscriptions as on the socket, and a place to come back to in each event. */
import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CursorPayload } from '../../../src/protocol/positions.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import { BOARD_LOG } from '../../support/realtime/board.js';
import { engines } from '../../support/realtime/engines.js';
import { EventClient } from '../../support/realtime/event-client.js';
import { LiveStream, streamUrl } from '../../support/realtime/live-stream.js';
import { RealtimeStack } from '../../support/realtime/stack.js';
import { randomFrom } from '../../support/random.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('streams over $name', (engine) => {
  let gateway: Gateway;
  const open: LiveStream[] = [];
  const own = (name: string): string => `${engine.name}-${name}`;
  const live = async (...asked: Parameters<typeof LiveStream.live>): Promise<LiveStream> => {
    const stream = await LiveStream.live(...asked);
    open.push(stream);
    return stream;
  };

  beforeAll(async () => {
    gateway = await stack.gateway(engine, { heartbeatMs: 100 });
  });
  afterAll(() => open.forEach(({ client }) => client.close()));

  it('begin with welcome, a snapshot and live; each change is an event that says where the stream stands then', async () => {
    const list = own('first');
    await stack.set(own('a'), list, true, 'ü\n"quoted"');
    await stack.caughtUp();
    const stream = await live(gateway.port, { view: 'board', where: { list } });
    expect(stream.client.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    expect(stream.frames.map(({ t }) => t).filter((t) => t !== 'hb')).toEqual(['welcome', 'snap', 'live']);
    expect(stream.client.retryMs).toBeGreaterThanOrEqual(1_500);
    expect([...stream.view.rows.values()].map(({ row }) => row)).toEqual([
      { id: own('a'), list, done: true, note: 'ü\n"quoted"' },
    ]);
    for (const name of ['b', 'c', 'd', 'e']) await stack.set(own(name), list);
    await stack.remove(own('a'));
    await stack.set(own('b'), own('elsewhere'));
    // Rows of several shards: which of them comes first is nobody's promise.
    await stream.until(() => [...stream.view.rows.keys()].sort().join() === ['c', 'd', 'e'].map(own).join());
    const cursor = stack.signer.verify(stream.client.lastEventId) as CursorPayload;
    expect(cursor).toMatchObject({
      kind: 'cursor',
      log: BOARD_LOG,
      bind: { view: 'board', where: { list } },
    });
    expect({ epoch: cursor.epoch, pos: new Map(cursor.pos) }).toEqual({
      epoch: stream.view.epoch,
      pos: stream.view.last,
    });
  });

  it('of the whole view and of a key are there too, and hear the heartbeat', async () => {
    const all = await live(gateway.port, { view: 'board' });
    const key = await live(gateway.port, { view: 'board', key: own('one/of?a&kind') });
    await stack.set(own('one/of?a&kind'), own('k'));
    await Promise.all(
      [all, key].map((stream) => stream.until(() => stream.view.rows.has(own('one/of?a&kind')))),
    );
    await key.client.next('hb');
    expect((stack.signer.verify(key.client.lastEventId) as CursorPayload).pos.length).toBe(1);
  });

  it('make one event of a change for all who ask for the same', async () => {
    const list = own('shared');
    const quiet = await stack.gateway(engine, { quietMs: 60_000 });
    const asked = { view: 'board', where: { list } };
    const streams = await Promise.all(Array.from({ length: 5 }, () => live(quiet.port, asked)));
    const key = await live(quiet.port, { view: 'board', key: own('shared') });
    let signed = 0;
    const sign = stack.signer.sign.bind(stack.signer);
    stack.signer.sign = (payload) => {
      if (JSON.stringify(payload).includes(own('shared'))) signed++;
      return sign(payload);
    };
    try {
      await stack.set(own('shared'), list);
      await Promise.all([...streams, key].map((one) => one.until(() => one.view.rows.has(own('shared')))));
    } finally {
      stack.signer.sign = sign;
    }
    expect(new Set(streams.map(({ client }) => client.lastEventId)).size).toBe(1);
    // One for the filter, one for the key.
    expect(signed).toBe(2);
  });

  it('that come back get what they missed, once and in order, wherever they were cut', async () => {
    const seed = randomInt(2 ** 31);
    const random = randomFrom(seed);
    const list = own('cut');
    const stream = await live(gateway.port, { view: 'board', where: { list } });
    let written = 0;
    for (let round = 0; round < 5; round++) {
      const writing = (async () => {
        for (let n = 0; n < 12; n++) {
          const id = own(`cut${random(12)}`);
          written++;
          if (random(5) === 0) await stack.remove(id);
          else await stack.set(id, random(5) > 0 ? list : own('other'), null, `${written}`);
        }
      })();
      const until = stream.view.seen.length + random(10);
      // Somewhere in the middle, as far as changes came.
      if (random(10) < 7) await Promise.race([writing, stream.until(() => stream.view.seen.length >= until)]);
      await stream.comeBack(gateway.port);
      await writing;
    }
    await stack.caughtUp();
    const wanted = [...(await stack.table())].filter(
      ([, { row }]) => (row as { list: string }).list === list,
    );
    await stream.until(() => {
      const rows = new Map(stream.view.rows);
      return rows.size === wanted.length && wanted.every(([key, { rev }]) => rows.get(key)?.rev === rev);
    });
    expect(stream.view.resets, `seed ${seed}`).toEqual([]);
  });

  it('go on from a cursor of HTTP', async () => {
    const list = own('http');
    const before = await live(gateway.port, { view: 'board', where: { list } });
    const from = before.client.lastEventId;
    await stack.set(own('later'), list);
    await before.until(() => before.view.rows.has(own('later')));
    const client = await EventClient.open(streamUrl(gateway.port, { view: 'board', where: { list }, from }));
    await client.next('live');
    expect(client.events.map(({ event }) => event).filter((event) => event !== 'hb')).toEqual([
      'welcome',
      'chg',
      'live',
    ]);
    expect(client.events.find(({ event }) => event === 'chg')?.data).toContain(own('later'));
    client.close();
  });

  it('begin anew with an id that is not good any more, as a browser can do nothing about it', async () => {
    const where = { list: own('old') };
    const elsewhere = await live(gateway.port, { view: 'board', key: own('k') });
    for (const id of [
      elsewhere.client.lastEventId,
      'made-up',
      stack.signer.sign({ kind: 'token', logs: {} }),
    ]) {
      const client = await EventClient.open(streamUrl(gateway.port, { view: 'board', where }), {
        lastEventId: id,
      });
      const reset = await client.next('reset');
      expect(JSON.parse(reset.data)).toEqual({ t: 'reset', id: 's', reason: 'epoch_changed' });
      await client.next('snap');
      expect((await client.next('live')).id).not.toBe('');
      client.close();
    }
  });

  it('end with the one subscription that they have, and say when to come back', async () => {
    const small = await stack.gateway(engine, { maxSnapshotRows: 1, retryMs: 1_000 });
    const list = own('many');
    await stack.set(own('m1'), list);
    await stack.set(own('m2'), list);
    await stack.caughtUp();
    const client = await EventClient.open(streamUrl(small.port, { view: 'board', where: { list } }));
    expect(JSON.parse((await client.next('err')).data)).toMatchObject({ id: 's', code: 'too_many_rows' });
    expect(await client.ended).toBe(true);
    expect(client.retryMs).toBeGreaterThanOrEqual(15_000);
    await expect.poll(() => small.stats()).toEqual({ sockets: 0, subscriptions: 0 });
  });

  it('say goodbye when the server stops, and whoever comes then is told to come later', async () => {
    const stopping = await stack.gateway(engine, { drainMs: 50 });
    const stream = await live(stopping.port, { view: 'board', key: own('k') });
    expect(stopping.stats()).toEqual({ sockets: 1, subscriptions: 1 });
    await stopping.stop();
    expect(await stream.client.ended).toBe(true);
    await stream.client.until(() => stream.client.events.find(({ event }) => event === 'bye'));
    const bye = JSON.parse(stream.client.events.at(-1)?.data ?? '') as {
      code: number;
      reconnectInMs: number;
    };
    expect(bye).toMatchObject({ t: 'bye', code: 4000 });
    expect(stream.client.retryMs).toBe(bye.reconnectInMs);
    // It went on from where it was.
    expect(stream.client.lastEventId).not.toBe('');
    await stream.comeBack(gateway.port);
    await stream.isLive();
  });

  it('that are read too slowly leave their channel, get back in with what they missed, or are cut off', async () => {
    const told: string[] = [];
    const slow = await stack.gateway(
      engine,
      { maxBufferedBytes: 64 * 1024, slowConsumerMs: 60_000 },
      { slowConsumer: (what) => told.push(what) },
    );
    const list = own('slow');
    const stream = await live(slow.port, { view: 'board', where: { list } });
    const reader = await live(slow.port, { view: 'board', where: { list } });
    stream.client.pause();
    const note = 'n'.repeat(400_000);
    let n = 0;
    while (!told.includes('left')) {
      await stack.set(own(`slow${n % 7}`), list, null, `${n}${note}`);
      n++;
      await reader.until(() => reader.view.seen.length >= n);
    }
    stream.client.resume();
    await stream.until(() => stream.view.rows.size === reader.view.rows.size && stream.view.state === 'live');
    await stack.set(own('slow-last'), list);
    await reader.until(() => reader.view.rows.has(own('slow-last')));
    // What it missed comes shard by shard: the last one may come before others.
    const revs = ({ view }: LiveStream) => [...view.rows].map(([key, { rev }]) => [key, rev]).sort();
    await stream.until(() => isDeepStrictEqual(revs(stream), revs(reader)));
    expect(stream.view.rows.has(own('slow-last'))).toBe(true);
  });

  it('of a client that reads nothing at all are cut off', async () => {
    const closed: number[] = [];
    const slow = await stack.gateway(
      engine,
      { maxBufferedBytes: 64 * 1024, slowConsumerMs: 300 },
      { socketClosed: (code) => closed.push(code) },
    );
    const list = own('stuck');
    const stream = await live(slow.port, { view: 'board', where: { list } });
    stream.client.pause();
    const note = 's'.repeat(400_000);
    for (let n = 0; closed.length === 0; n++) {
      await stack.set(own('stuck'), list, null, `${n}${note}`);
      await stack.caughtUp();
    }
    expect(closed).toEqual([4001]);
    expect(slow.stats()).toEqual({ sockets: 0, subscriptions: 0 });
    stream.client.resume();
    expect(await stream.client.ended).toBe(false);
  });

  it('forget their place with a reset, so that a browser that is cut off right then begins anew', async () => {
    const list = own('epoch');
    await stack.set(own('epoch'), list);
    await stack.caughtUp();
    const stream = await live(gateway.port, { view: 'board', where: { list } });
    const before = stream.client.lastEventId;
    const epoch = `new${engine.name}`;
    await stack.newEpoch(epoch);
    const reset = await stream.client.next('reset');
    expect(reset.id).toBe('');
    await stream.until(() => stream.view.state === 'live' && stream.view.epoch === epoch);
    expect(stack.signer.verify(stream.client.lastEventId)).toMatchObject({ epoch });
    const late = await EventClient.open(streamUrl(gateway.port, { view: 'board', where: { list } }), {
      lastEventId: before,
    });
    expect(JSON.parse((await late.next('reset')).data)).toMatchObject({ reason: 'epoch_changed' });
    expect((await late.next('snap')).id).toBe('');
    expect((await late.next('live')).id).not.toBe('');
    late.close();
  });
});
