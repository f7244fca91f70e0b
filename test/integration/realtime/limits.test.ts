/** What is bounded, refused or said goodbye to. */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLOSE_CODES, SOCKET_ERRORS, SUBPROTOCOL } from '../../../src/protocol/frames.js';
import { PROBLEMS, type Problem } from '../../../src/protocol/problems.js';
import { engines } from '../../support/realtime/engines.js';
import { Refused, SocketClient } from '../../support/realtime/socket-client.js';
import type { LiveView } from '../../support/realtime/live-view.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('limits over $name', (engine) => {
  const own = (name: string): string => `${engine.name}-${name}`;

  it('a snapshot comes in frames of the limit, a larger row alone; too many rows are an error, and the id is free', async () => {
    const list = own('big');
    const notes = ['a', 'b'.repeat(600), 'c', 'd'.repeat(3_000), 'e'];
    for (const [n, note] of notes.entries()) await stack.set(own(`big${n}`), list, null, note);
    await stack.caughtUp();
    const gateway = await stack.gateway(engine, { outFrameBytes: 1_000, maxSnapshotRows: 5 });
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board', where: { list } });
    expect([...view.rows.values()].map(({ row }) => row)).toEqual(
      notes.map((note, n) => ({ id: own(`big${n}`), list, done: null, note })),
    );
    const snaps = client.socket.received.filter((text) => text.startsWith('{"t":"snap"'));
    expect(snaps.length).toBeGreaterThan(2);
    expect(snaps.filter((text) => text.length > 1_100).length).toBe(1);
    await stack.set(own('big5'), list);
    await client.until(() => view.rows.size === 6);
    client.send({ t: 'sub', id: 'again', view: 'board', where: { list } });
    expect(await client.next('err', ({ id }) => id === 'again')).toMatchObject({ code: 'too_many_rows' });
    await client.live({ id: 'again', view: 'board', key: own('big0') });
  });

  it('subscriptions are counted, also those that are being brought up', async () => {
    const gateway = await stack.gateway(engine, { maxSubscriptions: 2 });
    const client = await stack.client(gateway);
    for (const id of ['a', 'b', 'c']) client.send({ t: 'sub', id, view: 'board', key: id });
    expect(await client.next('err')).toMatchObject({ id: 'c', code: 'too_many_subscriptions' });
    client.send({ t: 'unsub', id: 'a' });
    await client.next('unsubbed');
    await client.live({ id: 'c', view: 'board', key: 'c' });
    expect(gateway.stats()).toEqual({ sockets: 1, subscriptions: 2 });
  });

  it.each([{}, { limit: 5 }])(
    'who comes and goes while rows cannot be read has none read (%j)',
    async (more) => {
      let read = 0;
      const gateway = await stack.gateway(engine, {}, { snapshotRead: () => void read++ });
      const client = await stack.client(gateway);
      const atOnce = 3; // snapshotConcurrency
      await stack.db.transaction(async (tx) => {
        await tx.query(`LOCK TABLE tidemark.board__v1 IN ACCESS EXCLUSIVE MODE`);
        for (let n = 1; n <= 40; n++) {
          client.send({ t: 'sub', id: 's', view: 'board', ...more });
          client.send({ t: 'ping' });
          // It was begun before it is ended.
          await client.until(() => client.frames.filter(({ t }) => t === 'pong').length === n);
          await new Promise(setImmediate);
          client.send({ t: 'unsub', id: 's' });
          await client.until(() => client.frames.filter(({ t }) => t === 'unsubbed').length === n);
        }
        client.send({ t: 'sub', id: 's', view: 'board', ...more });
      });
      await client.next('live');
      expect(read).toBeLessThanOrEqual(atOnce + 1);
      expect(gateway.stats()).toEqual({ sockets: 1, subscriptions: 1 });
    },
  );

  it('an unsub ends a subscription whose snapshot is on its way', async () => {
    const gateway = await stack.gateway(engine);
    const client = await stack.client(gateway);
    client.send({ t: 'sub', id: 's', view: 'board' });
    client.send({ t: 'unsub', id: 's' });
    client.send({ t: 'sub', id: 's', view: 'board', key: own('k') });
    await client.next('live');
    expect(client.frames.map(({ t }) => t)).toEqual(['welcome', 'unsubbed', 'snap', 'live']);
  });

  it('a view that cannot be read is an error for who asks, and for nobody else', async () => {
    const gateway = await stack.gateway(engine);
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board', key: own('k') });
    const rename = (from: string, to: string): Promise<unknown> =>
      stack.db.query(`ALTER TABLE tidemark."${from}" RENAME TO "${to}"`);
    await rename('board__v1', 'board__away');
    try {
      client.send({ t: 'sub', id: 'x', view: 'board' });
      expect(await client.next('err')).toEqual({
        t: 'err',
        id: 'x',
        code: 'unavailable',
        message: SOCKET_ERRORS.unavailable.message,
      });
    } finally {
      await rename('board__away', 'board__v1');
    }
    await client.live({ id: 'x', view: 'board' });
    await stack.set(own('k'), own('l'));
    await client.until(() => view.rows.size === 1);
  });

  it('a client that does not read is closed with slow_consumer and comes back with its position; its neighbour misses nothing', async () => {
    const slow: string[] = [];
    const gateway = await stack.gateway(
      engine,
      { maxBufferedBytes: 256 * 1024, slowConsumerMs: 400 },
      { slowConsumer: (what) => slow.push(what) },
    );
    const [frozen, neighbour] = [await stack.client(gateway), await stack.client(gateway)];
    const list = own('heavy');
    const view = await frozen.live({ id: 's', view: 'board', where: { list } });
    const other = await neighbour.live({ id: 's', view: 'board', where: { list } });
    frozen.socket.pause();
    let written = 0;
    // One after the other, as each comes to the neighbour, which shall not be late itself.
    const write = async (): Promise<void> => {
      await stack.set(own(`h${written % 10}`), list, null, `${written}:${'x'.repeat(200_000)}`);
      written++;
      await neighbour.until(() => other.seen.length === written);
    };
    while (!slow.includes('left')) await write();
    for (let n = 0; n < 3; n++) await write();
    await expect.poll(() => slow).toEqual(['left', 'closed']);
    frozen.socket.resume();
    const { code } = await frozen.socket.closed;
    expect([CLOSE_CODES.slow_consumer.code, 1006]).toContain(code);
    const again = await stack.client(gateway);
    await again.goOn(view);
    const table = [...(await stack.table())].filter(([key]) => key.startsWith(own('h')));
    const sorted = (one: LiveView): unknown => new Map([...one.rows].sort());
    const wanted = new Map(table.sort());
    for (const [reader, shown] of [[neighbour, other] as const, [again, view] as const])
      await reader.until(() => isDeepStrictEqual(sorted(shown), wanted));
    expect(view.resets).toEqual([]);
    expect(other.resets).toEqual([]);
  });

  it('a stop says bye with a time to come back, closes with 4000, and takes no more', async () => {
    const gateway = await stack.gateway(engine);
    const clients = await Promise.all([1, 2, 3].map(() => stack.client(gateway)));
    for (const client of clients) await client.live({ id: 's', view: 'board', key: 'k' });
    const { port } = gateway;
    await Promise.all([gateway.stop(), gateway.stop()]);
    for (const client of clients) {
      expect(await client.next('bye')).toEqual({ t: 'bye', code: 4000, reconnectInMs: expect.any(Number) });
      expect(await client.socket.closed).toEqual({ code: 4000, reason: 'going_away' });
    }
    await expect(SocketClient.connect(`ws://127.0.0.1:${port}/realtime`)).rejects.toThrow(/ECONNREFUSED/);
  });

  it('beats its heart', async () => {
    const gateway = await stack.gateway(engine, { heartbeatMs: 20 });
    const client = await stack.client(gateway);
    const { at } = await client.next('hb');
    expect(Math.abs(Date.now() - at)).toBeLessThan(60_000);
  });

  it('only those who may open a socket do, and the others are told why', async () => {
    const gateway = await stack.gateway(engine);
    const url = `ws://127.0.0.1:${gateway.port}`;
    const refusal = async (path: string, options: Parameters<typeof SocketClient.connect>[1]) => {
      const refused: unknown = await SocketClient.connect(url + path, options).catch(
        (error: unknown) => error,
      );
      if (!(refused instanceof Refused)) throw new Error('not refused');
      expect(refused.contentType).toContain('application/problem+json');
      const problem = JSON.parse(refused.body) as Problem;
      expect(problem.status).toBe(refused.status);
      return problem.code;
    };
    const protocols = [SUBPROTOCOL];
    expect(await refusal('/elsewhere', { protocols })).toBe('route_not_found');
    expect(await refusal('/realtime', { headers: { origin: 'https://evil.example' } })).toBe(
      'forbidden_origin',
    );
    expect(await refusal('/realtime', { headers: { host: 'evil.example' } })).toBe('forbidden_host');
    expect(await refusal('/realtime', { protocols: ['mqtt', 'graphql-ws'] })).toBe('invalid_header');
    for (const good of [
      {},
      { protocols },
      { protocols: ['x', SUBPROTOCOL] },
      { headers: { origin: 'http://localhost:5173' } },
      { headers: { host: `localhost:${gateway.port}` } },
    ]) {
      const client = await SocketClient.connect(`${url}/realtime?any=query`, good);
      expect(client.ws.protocol).toBe('protocols' in good ? SUBPROTOCOL : '');
      await client.count(1);
      await client.end();
    }
    const plain = await fetch(`http://127.0.0.1:${gateway.port}/realtime`);
    expect(plain.status).toBe(PROBLEMS.upgrade_required.status);
    expect(plain.headers.get('upgrade')).toBe('websocket');
    expect(await plain.json()).toMatchObject({ code: 'upgrade_required' });
    expect((await fetch(`http://127.0.0.1:${gateway.port}/`, { method: 'POST', body: 'x' })).status).toBe(
      404,
    );
  });
});
