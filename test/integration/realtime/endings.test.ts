/** Ends that come at a bad time: a right that is lost under a slow reader, a stop in the middle of joins and of questions. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServerFrame } from '../../../src/protocol/frames.js';
import { engines } from '../../support/realtime/engines.js';
import { EventClient } from '../../support/realtime/event-client.js';
import { streamUrl } from '../../support/realtime/live-stream.js';
import { Passes } from '../../support/realtime/passes.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

const LOCK = 'LOCK TABLE tidemark.board__v1 IN ACCESS EXCLUSIVE MODE';

describe.each(engines)('over $name', (engine) => {
  const own = (name: string): string => `${engine.name}-${name}`;

  it.each(['lost', 'changed'] as const)(
    'a right that is %s under a slow reader holds when it reads on',
    async (how) => {
      const passes = new Passes({ recheckMs: 100 });
      const [mine, others] = [own(`mine-${how}`), own(`others-${how}`)];
      passes.give('t', 'ann', { list: mine });
      passes.give('boss', 'boss', true);
      const told: string[] = [];
      let isKnown = (): void => undefined;
      const known = new Promise<void>((resolve) => (isKnown = resolve));
      const gateway = await stack.gateway(
        engine,
        { maxBufferedBytes: 64 * 1024, slowConsumerMs: 60_000 },
        {
          slowConsumer: (what) => told.push(what),
          dropped: () => isKnown(),
          reset: () => isKnown(),
        },
        true,
        { rights: passes.rights },
      );
      const [slow, boss] = [await stack.client(gateway), await stack.client(gateway)];
      slow.send({ t: 'auth', token: 't' });
      boss.send({ t: 'auth', token: 'boss' });
      const view = await slow.live({ id: 's', view: 'board' });
      const all = await boss.live({ id: 's', view: 'board', where: { list: mine } });
      slow.socket.pause();
      const note = 'n'.repeat(400_000);
      for (let n = 0; !told.includes('left'); n++) {
        await stack.set(own(`slow-${how}`), mine, null, `${n}${note}`);
        await boss.until(() => all.seen.length > n);
      }
      if (how === 'lost') passes.give('t', 'ann', false);
      else passes.give('t', 'ann', { list: others });
      // From here on the gateway knows it: nothing of what follows is hers.
      await known;
      await stack.set(own(`late-${how}`), mine, null, 'too late for her');
      await stack.set(own(`new-${how}`), others);
      await boss.until(() => all.rows.has(own(`late-${how}`)));
      slow.socket.resume();
      if (how === 'lost') {
        expect(await slow.next('unsubbed')).toEqual({
          t: 'unsubbed',
          id: 's',
          reason: 'forbidden',
          drop: true,
        });
        const ended = slow.frames.findIndex(({ t }) => t === 'unsubbed');
        slow.send({ t: 'ping' });
        await slow.next('pong');
        expect(slow.frames.slice(ended + 1).filter(({ t }) => t === 'chg' || t === 'snap')).toEqual([]);
      } else {
        await slow.until(() => view.state === 'live' && [...view.rows.keys()].join() === own(`new-${how}`));
        expect(view.resets).toEqual(['rights_changed']);
      }
      expect(slow.socket.received.join('')).not.toContain('too late for her');
      await gateway.stop();
    },
  );

  it('a stop ends joins and streams whose rows cannot be read, and requests whose token is looked at', async () => {
    const passes = new Passes();
    passes.give('t', 'ann', true);
    const moved: (string | undefined)[] = [];
    const gateway = await stack.gateway(
      engine,
      { drainMs: 50 },
      { socketMoved: (from, to) => void moved.push(to ?? `-${from ?? ''}`) },
      true,
      { rights: passes.rights },
    );
    const headers = { authorization: 'Bearer t' };
    const url = streamUrl(gateway.port, { view: 'board' });
    const clients = await Promise.all(Array.from({ length: 10 }, () => stack.client(gateway)));
    await stack.db.transaction(async (tx) => {
      await tx.query(LOCK);
      for (const client of clients) {
        client.send({ t: 'auth', token: 't' });
        client.send({ t: 'sub', id: 's', view: 'board' });
        client.send({ t: 'sub', id: 'w', view: 'board', limit: 3 });
        await client.next('authed');
      }
      const streams = await Promise.all([0, 1, 2].map(() => EventClient.open(url, { headers })));
      for (const stream of streams) await stream.next('authed');
      // A token that nobody has shown yet is still being looked at when the process stops.
      let answer = (): void => undefined;
      passes.held = new Promise((resolve) => (answer = resolve));
      const looks = passes.asked.length;
      const late = EventClient.open(url, { headers: { authorization: 'Bearer other' } }).catch(
        (error: unknown) => error,
      );
      const asking = await stack.client(gateway);
      asking.send({ t: 'auth', token: 'third' });
      asking.send({ t: 'ping' });
      await asking.next('pong');
      await asking.until(() => passes.asked.length >= looks + 1);
      await gateway.stop();
      for (const { socket } of [...clients, asking]) {
        expect(await socket.closed).toMatchObject({ code: 4000 });
        const byes = socket.received.filter((text) => (JSON.parse(text) as ServerFrame).t === 'bye');
        expect(byes.length).toBe(1);
      }
      for (const stream of streams) {
        expect(await stream.ended).toBe(true);
        expect(stream.events.at(-1)?.event).toBe('bye');
      }
      answer();
      expect(await late).toBeInstanceOf(Error);
    });
    // What was awaited comes after all, and finds nobody.
    await stack.set(own('after'), own('after'));
    await stack.caughtUp();
    expect(gateway.stats()).toEqual({ sockets: 0, subscriptions: 0 });
    const open = moved.filter((to) => to === 'waiting').length;
    expect(moved.filter((to) => to?.startsWith('-')).length).toBe(open);
  });
});
