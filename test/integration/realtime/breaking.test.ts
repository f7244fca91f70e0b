/** A change log that breaks under many subscribers: everyone is reset, in batches, and snapshots are read per channel. */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayObserver } from '../../../src/realtime/ports.js';
import { engines } from '../../support/realtime/engines.js';
import { LiveView, type Subscribe } from '../../support/realtime/live-view.js';
import { RealtimeStack, type LiveClient } from '../../support/realtime/stack.js';

const SOCKETS = 60;
const ROWS = 12;

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

/** A snapshot is kept for a second: how often one channel may have been read since, at the most. */
const inTurns = (began: number): number => 1 + Math.floor((performance.now() - began) / 1_000);

/** What is counted, and how many resets went out in one batch at the most. */
function counting() {
  const counts = { snapshots: 0, resets: 0, mostAtOnce: 0, turns: 0 };
  let inTurn = 0;
  const observer: GatewayObserver = {
    snapshotRead: () => void counts.snapshots++,
    reset: () => {
      counts.resets++;
      if (inTurn++ === 0) {
        counts.turns++;
        // Those of one batch go out in one call.
        queueMicrotask(() => (inTurn = 0));
      }
      counts.mostAtOnce = Math.max(counts.mostAtOnce, inTurn);
    },
  };
  return { counts, observer };
}

describe.each(engines)('a broken log over $name', (engine) => {
  const own = (name: string | number): string => `${engine.name}-${name}`;
  const wish = (n: number): Subscribe => {
    if (n % 3 === 0) return { id: 's', view: 'board' };
    if (n % 3 === 1) return { id: 's', view: 'board', where: { list: own(n % 4) } };
    return { id: 's', view: 'board', key: own(n % ROWS) };
  };
  const channels = new Set(Array.from({ length: SOCKETS }, (_, n) => JSON.stringify(wish(n)))).size;

  beforeAll(async () => {
    for (let n = 0; n < ROWS; n++) await stack.set(own(n), own(n % 4), null, 'before');
    await stack.caughtUp();
  });

  const expected = async ({ key, where }: Subscribe): Promise<Map<string, unknown>> =>
    new Map(
      [...(await stack.table())].filter(
        ([id, { row }]) =>
          (key === undefined || id === key) &&
          (where === undefined || Reflect.get(Object(row), 'list') === where['list']),
      ),
    );

  it('resets everyone in batches, reads a snapshot a channel, and publishes nothing before', async () => {
    const { counts, observer } = counting();
    const gateway = await stack.gateway(
      engine,
      { resetBatch: 7, resetSpreadMs: 400, heartbeatMs: 50 },
      observer,
    );
    const clients: LiveClient[] = [];
    const views: LiveView[] = [];
    for (let n = 0; n < SOCKETS; n++) {
      const client = await stack.client(gateway);
      clients.push(client);
      views.push(await client.live(wish(n)));
    }
    const before = counts.snapshots;
    const began = performance.now();
    const epoch = `broken${engine.name}`;
    await stack.newEpoch(epoch);
    await clients[0]?.until(() => counts.resets > 0);
    // While some wait for their turn: rows change, sockets go, others come with positions of before, one wants something else.
    await Promise.all([
      ...Array.from({ length: ROWS }, (_, n) => stack.set(own(n), own(n % 4), true, 'after')),
      stack.caughtUp(),
    ]);
    const gone = [SOCKETS - 1, SOCKETS - 2, SOCKETS - 3];
    for (const n of gone) clients[n]?.socket.ws.terminate();
    const back = gone.map(async (n) => {
      const client = await stack.client(gateway);
      clients[n] = client;
      const view = views[n];
      if (view) await client.goOn(view);
    });
    clients[5]?.send({ t: 'unsub', id: 's' });
    await Promise.all(back);
    // Nothing is on its way to the table any more that is compared with.
    await stack.caughtUp();
    for (const [n, client] of clients.entries()) {
      const view = views[n];
      if (!view || n === 5) continue;
      const rows = await expected(view.request);
      await client.until(() => view.epoch === epoch && isDeepStrictEqual(view.rows, rows));
      expect(view.resets).toEqual(['epoch_changed']);
      const reset = client.frames.findIndex(({ t }) => t === 'reset');
      const told = client.frames.findIndex(
        (frame) => frame.t === 'chg' && JSON.stringify(frame).includes('"after"'),
      );
      expect(told === -1 || told > reset).toBe(true);
    }
    expect(counts.resets).toBeGreaterThanOrEqual(SOCKETS - 1 - gone.length);
    expect(counts.resets).toBeLessThanOrEqual(SOCKETS + gone.length);
    expect(counts.mostAtOnce).toBeLessThanOrEqual(7);
    expect(counts.turns).toBeGreaterThanOrEqual(8);
    // Those that are reset early may read before the rows change, the others after: a few more than one each.
    expect(counts.snapshots - before).toBeLessThanOrEqual(2 * channels * inTurns(began));
    // Of those that were cut off, and of the one that ended its own, the server hears in its time.
    await expect.poll(() => gateway.stats().subscriptions).toBe(SOCKETS - 1);
  });

  it('that was trimmed under the gateway resets everyone, too', async () => {
    const { counts, observer } = counting();
    const gateway = await stack.gateway(engine, { resetBatch: 3, resetSpreadMs: 100 }, observer);
    const [one, two] = [await stack.client(gateway), await stack.client(gateway)];
    const views = [await one.live(wish(0)), await two.live(wish(1))];
    // The gateway did not get to read what was written last: as if it had stood still for a week.
    await stack.db.query(
      `UPDATE tidemark.shards s SET low = 1 + (SELECT max(c.seq) FROM tidemark.changes c WHERE c.log = s.log AND c.shard = s.shard) WHERE log = $1`,
      ['board.v1'],
    );
    for (const [n, client] of [one, two].entries()) {
      const view = views[n];
      await client.until(() => view?.state === 'live' && view.resets.length > 0);
      expect(view?.resets).toEqual(['trimmed']);
      expect(view?.rows).toEqual(await expected(wish(n)));
    }
    expect(counts.resets).toBe(2);
    await stack.set(own('new'), own(1));
    await two.until(() => views[1]?.rows.has(own('new')));
    await one.until(() => views[0]?.rows.has(own('new')));
  });

  it('that was rebuilt in place is noticed with its first change, before it goes out', async () => {
    const gateway = await stack.gateway(engine, {}, {}, false);
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board' });
    const epoch = `first${engine.name}`;
    await stack.newEpoch(epoch);
    await stack.set(own('first'), own(0), null, epoch);
    await client.until(() => view.state === 'live' && view.epoch === epoch);
    expect(view.resets).toEqual(['epoch_changed']);
    expect(client.frames.slice(0, 5).map(({ t }) => t)).toEqual(['welcome', 'snap', 'live', 'reset', 'snap']);
    expect(view.rows.has(own('first'))).toBe(true);
    await stack.set(own('first'), own(0), true, epoch);
    await client.until(() => view.seen.length > 0);
    expect(view.rows).toEqual(await stack.table());
  });

  it('and positions of another version, brought by many at once, are reset the same way', async () => {
    const { counts, observer } = counting();
    const gateway = await stack.gateway(engine, { resetBatch: 5, resetSpreadMs: 200 }, observer);
    await stack.caughtUp();
    const clients = await Promise.all(Array.from({ length: 40 }, () => stack.client(gateway)));
    const began = performance.now();
    const views = clients.map((client, n) => {
      const request = wish(n);
      const { key, where } = request;
      const view = new LiveView(request);
      const of = {
        view: 'board',
        ...(key === undefined ? {} : { key }),
        ...(where === undefined ? {} : { where }),
      };
      // As a process of the version before gave it out.
      view.resumedFrom = { epoch: 'before', pos: [[0, 7]] };
      const from = stack.signer.sign({ kind: 'cursor', log: 'board.v7', ...view.resumedFrom, bind: of });
      client.views.set(request.id, view);
      client.send({ t: 'sub', ...request, from });
      return view;
    });
    for (const [n, client] of clients.entries()) {
      const view = views[n];
      await client.until(() => view?.state === 'live');
      expect(view?.resets).toEqual(['epoch_changed']);
      expect(view?.rows).toEqual(await expected(wish(n)));
    }
    expect(counts.resets).toBe(40);
    expect(counts.mostAtOnce).toBeLessThanOrEqual(5);
    expect(counts.snapshots).toBeLessThanOrEqual(channels * inTurns(began));
  });

  it('resumes from below the mark with a reset, at it and after it without', async () => {
    const gateway = await stack.gateway(engine);
    const client = await stack.client(gateway);
    const view = await client.live({ id: 's', view: 'board', key: own(0) });
    const at = view.position();
    await stack.set(own(0), own(0), null, 'one');
    await client.until(() => view.seen.length === 1);
    const low = view.position();
    if (!at || !low) throw new Error('no position');
    await stack.caughtUp();
    await stack.trim();
    await stack.set(own(0), own(0), null, 'two');
    await stack.caughtUp();
    // Another process: it has nothing of it in memory.
    const other = await stack.gateway(engine);
    const resumed = async (position: typeof at | string): Promise<[LiveView, string[]]> => {
      const again = await stack.client(other);
      const fresh = new LiveView({ id: 's', view: 'board', key: own(0) });
      fresh.resumedFrom = at;
      // What the client kept; a cursor it cannot read.
      if (typeof position !== 'string') fresh.last = new Map(position.pos);
      again.views.set('s', fresh);
      again.send({ t: 'sub', id: 's', view: 'board', key: own(0), from: position });
      await again.until(() => fresh.state === 'live');
      return [fresh, again.frames.map(({ t }) => t)];
    };
    const cursor = (position: typeof at): string =>
      stack.signer.sign({
        kind: 'cursor',
        log: 'board.v1',
        ...position,
        bind: { view: 'board', key: own(0) },
      });
    for (const below of [at, cursor(at)]) {
      const [view2, frames] = await resumed(below);
      expect(frames).toEqual(['welcome', 'reset', 'snap', 'live']);
      expect(view2.resets).toEqual(['trimmed']);
      expect(view2.rows).toEqual(await expected(view2.request));
    }
    for (const above of [low, cursor(low)]) {
      const [, frames] = await resumed(above);
      expect(frames).toEqual(['welcome', 'chg', 'live']);
    }
  });
});
