/** Rights on the field that is the key, on sockets and streams: the row of another is as one that is not there. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engines } from '../../support/realtime/engines.js';
import { LiveStream } from '../../support/realtime/live-stream.js';
import { Passes } from '../../support/realtime/passes.js';
import { RealtimeStack, type LiveClient } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('a key that says whose its row is, over $name', (engine) => {
  const own = (name: string): string => `${engine.name}-${name}`;
  const signIn = async (port: Parameters<RealtimeStack['client']>[0], token: string): Promise<LiveClient> => {
    const client = await stack.client(port);
    client.send({ t: 'auth', token });
    await client.next('authed');
    return client;
  };

  it('gives strangers the same whether the row is there or not, and tells them of no change', async () => {
    const passes = new Passes({ recheckMs: 60 });
    const [ann, bob] = [own('ann'), own('bob')];
    passes.give('ann', 'ann', { id: ann });
    passes.give('bob', 'bob', { id: bob });
    await stack.set(bob, own('l'), null, 'of bob');
    await stack.caughtUp();
    const gateway = await stack.gateway(engine, { slowConsumerMs: 80 }, {}, true, { rights: passes.rights });
    const [hers, his] = [await signIn(gateway, 'ann'), await signIn(gateway, 'bob')];
    const there = await hers.live({ id: 'there', view: 'board', key: bob });
    const nowhere = await hers.live({ id: 'nowhere', view: 'board', key: own('nobody') });
    const stream = await LiveStream.live(
      gateway.port,
      { view: 'board', key: bob },
      { headers: { authorization: 'Bearer ann' } },
    );
    const him = await his.live({ id: 's', view: 'board', key: bob });
    expect(him.rows.size).toBe(1);
    const framesOf = (id: string) =>
      hers.frames.flatMap((frame) => ('id' in frame && frame.id === id ? [frame.t] : []));
    expect([framesOf('there'), framesOf('nowhere')]).toEqual([
      ['snap', 'live'],
      ['snap', 'live'],
    ]);
    await stack.set(bob, own('l'), true, 'of bob, changed');
    await his.until(() => him.seen.length === 1);
    await stack.remove(bob);
    await his.until(() => him.rows.size === 0);
    await stack.set(bob, own('l'), null, 'of bob, again');
    await his.until(() => him.rows.size === 1);
    // Until here nothing but that the log went on.
    for (const view of [there, nowhere, stream.view]) expect([view.rows.size, view.seen]).toEqual([0, []]);
    const heard = [...hers.socket.received, ...stream.client.events.map(({ data }) => data)].join('');
    expect(heard).not.toContain('of bob');

    // Who comes back with a position goes on in the same silence.
    await stream.comeBack(gateway.port);
    await stream.isLive();
    expect([stream.view.rows.size, stream.view.resets]).toEqual([0, []]);

    // Rights that change are those of the key, both ways.
    passes.give('ann', 'ann', { id: bob });
    await hers.until(() => there.state === 'live' && there.rows.size === 1);
    expect([there.resets, nowhere.resets]).toEqual([['rights_changed'], ['rights_changed']]);
    passes.give('ann', 'ann', { id: ann });
    await hers.until(() => there.state === 'live' && there.resets.length === 2);
    expect(there.rows.size).toBe(0);
    expect(hers.frames.some(({ t }) => t === 'unsubbed' || t === 'err')).toBe(false);
    stream.client.close();
    await gateway.stop();
  });
});
