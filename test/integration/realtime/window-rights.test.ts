/** Windows under row scopes, and over a log that begins anew, on a real Postgres and real sockets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BoardRow } from '../../support/realtime/board.js';
import { engines } from '../../support/realtime/engines.js';
import { LiveStream } from '../../support/realtime/live-stream.js';
import type { LiveView } from '../../support/realtime/live-view.js';
import { Passes } from '../../support/realtime/passes.js';
import { RealtimeStack, type LiveClient } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

const keysOf = (view: LiveView): readonly string[] =>
  [...view.rows.values()]
    .map(({ row }) => (row as BoardRow).id)
    .sort()
    .reverse();

describe.each(engines)('windows over $name', (engine) => {
  const own = (name: string): string => `${engine.name}-${name}`;
  const shows = (client: LiveClient | LiveStream, view: LiveView, names: readonly string[]): Promise<void> =>
    client.until(() => view.state === 'live' && keysOf(view).join() === names.map(own).join());
  const newest = { view: 'board', sort: '-id', limit: 2 };

  it('have the rows of their principal only, which move up and leave as they become its own and another’s', async () => {
    const [ann, bob] = [own('ann'), own('bob')];
    for (const n of [1, 2, 3, 4]) await stack.set(own(`s${n}`), ann, null, 'of ann');
    await stack.set(own('s9'), bob, null, 'of bob');
    await stack.caughtUp();
    const passes = new Passes({ recheckMs: 50 });
    passes.give('ann', 'ann', { list: ann });
    passes.give('bob', 'bob', { list: bob });
    passes.give('all', 'root', true);
    const gateway = await stack.gateway(engine, { windowSpareRows: 0 }, {}, true, { rights: passes.rights });
    const signIn = async (token: string): Promise<LiveClient> => {
      const client = await stack.client(gateway);
      client.send({ t: 'auth', token });
      await client.next('authed');
      return client;
    };
    const [hers, his, roots] = [await signIn('ann'), await signIn('bob'), await signIn('all')];
    const her = await hers.live({ id: 'w', ...newest });
    const him = await his.live({ id: 'w', ...newest });
    const root = await roots.live({ id: 'w', ...newest, where: { list: ann } });
    const headers = { authorization: 'Bearer ann' };
    const stream = await LiveStream.live(gateway.port, newest, { headers });
    // Whoever sees the same shares the window.
    expect(new Set([her.ch, root.ch, stream.view.ch]).size).toBe(1);
    const annSees = async (names: readonly string[]): Promise<void> => {
      await shows(hers, her, names);
      await shows(roots, root, names);
      await shows(stream, stream.view, names);
    };
    await annSees(['s4', 's3']);
    await shows(his, him, ['s9']);
    await stack.set(own('s3'), bob, null, 'of bob');
    await annSees(['s4', 's2']);
    await shows(his, him, ['s9', 's3']);
    await stack.set(own('s9'), ann, null, 'of ann');
    await annSees(['s9', 's4']);
    await shows(his, him, ['s3']);
    expect([...hers.socket.received, ...stream.client.events.map(({ data }) => data)].join('')).not.toContain(
      'of bob',
    );

    // Her rows are others from now on: with a snapshot, on the socket in place and on a new stream.
    passes.give('ann', 'ann', { list: bob });
    await shows(hers, her, ['s3']);
    expect(her.resets).toEqual(['rights_changed']);
    expect(await stream.client.ended).toBe(true);
    await shows(roots, root, ['s9', 's4']);
    await stack.set(own('s4'), bob, null, 'of bob');
    await shows(hers, her, ['s4', 's3']);
    await shows(roots, root, ['s9', 's2']);

    // A place that was given out under these rights is none under others.
    const again = await signIn('all');
    await again.goOn(root);
    expect(root.resets).toEqual([]);
    const place = her.position();
    again.send({ t: 'sub', id: 'x', ...newest, where: { list: bob }, ...(place ? { from: place } : {}) });
    expect(await again.next('reset')).toMatchObject({ id: 'x', reason: 'epoch_changed' });

    passes.revoke('ann');
    expect(await hers.next('unsubbed')).toEqual({
      t: 'unsubbed',
      id: 'w',
      reason: 'token_revoked',
      drop: true,
    });
    for (const client of [his, roots, again, hers]) await client.socket.end();
    await gateway.stop();
    expect(gateway.stats()).toEqual({ sockets: 0, subscriptions: 0 });
  });

  it('begin anew with a log that does: a reset and a snapshot for all who watch, and on from there', async () => {
    const list = own('anew');
    for (const n of [1, 2, 3]) await stack.set(own(`n${n}`), list);
    await stack.caughtUp();
    let opened = 0;
    const gateway = await stack.gateway(
      engine,
      { windowSpareRows: 0, heartbeatMs: 50, resetSpreadMs: 100 },
      { windows: (_view, by) => void (opened += by) },
    );
    const asked = { ...newest, where: { list } };
    const clients = await Promise.all([0, 1].map(() => stack.client(gateway)));
    const views = await Promise.all(clients.map((client) => client.live({ id: 'w', ...asked })));
    const stream = await LiveStream.live(gateway.port, asked);
    const place = views[0]?.position();
    const epoch = `anew${engine.name}`;
    // The window is short of rows in the turn in which the log breaks.
    const writing = stack.remove(own('n3'));
    await stack.newEpoch(epoch);
    await writing;
    const all = [...clients.map((client, n) => [client, views[n]] as const), [stream, stream.view] as const];
    for (const [client, view] of all)
      await client.until(() => view?.state === 'live' && view.epoch === epoch && view.rows.size === 2);
    await stack.set(own('n4'), list);
    for (const [client, view] of all) if (view) await shows(client, view, ['n4', 'n2']);
    for (const [, view] of all) expect(new Set(view?.resets)).toEqual(new Set(['epoch_changed']));
    const late = await stack.client(gateway);
    late.send({ t: 'sub', id: 'w', ...asked, ...(place ? { from: place } : {}) });
    expect(await late.next('reset')).toMatchObject({ reason: 'epoch_changed' });
    await late.next('live');
    await stream.comeBack(gateway.port);
    await stream.isLive();
    expect(opened).toBe(1);
    stream.client.close();
    await gateway.stop();
    expect(opened).toBe(0);
  });
});
