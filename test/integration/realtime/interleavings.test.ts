/** Writers, subscribers that come and go, and gateways that are replaced, all at once on a real Postgres. */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gateway } from '../../../src/realtime/gateway.js';
import { engines } from '../../support/realtime/engines.js';
import { randomFrom } from '../../support/random.js';
import { LiveView, type Subscribe } from '../../support/realtime/live-view.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

const fits = ({ key, where }: Subscribe, row: unknown): boolean =>
  Object.entries({ ...(key === undefined ? {} : { id: key }), ...where }).every(
    ([name, value]) => Reflect.get(Object(row), name) === value,
  );

describe.each(engines)('interleavings over $name', (engine) => {
  it('give every subscriber what the table has, and break no rule of the contract on the way', async () => {
    const seed = randomInt(2 ** 31);
    const random = randomFrom(seed);
    // Heartbeats, so that who waits for the end of the writing is woken by something.
    const settings = {
      heartbeatMs: 100,
      outFrameBytes: 2_000,
      ringBytes: 20_000,
      maxBufferedBytes: 64 * 1024,
    };
    let gateway = await stack.gateway(engine, settings);
    const lists = [0, 1, 2].map((n) => `${engine.name}${n}`);
    const id = (): string => `${engine.name}-${random(15)}`;
    const list = (): string => lists[random(3)] ?? '';
    let writing = true;

    const writer = async (): Promise<void> => {
      for (let n = 0; n < 150; n++) {
        if (random(5) === 0) await stack.remove(id());
        else await stack.set(id(), list(), [true, false, null][random(3)] ?? null, 'x'.repeat(random(300)));
      }
    };
    const wish = (number: number): Subscribe => {
      const one: Subscribe = { id: `v${number}`, view: 'board' };
      switch (number % 4) {
        case 0:
          return one;
        case 1:
          return { ...one, key: id() };
        case 2:
          return { ...one, where: { list: list() } };
        default:
          return { ...one, where: { done: null, list: list() } };
      }
    };
    const comeAndGo = async (view: LiveView): Promise<void> => {
      for (;;) {
        const last = !writing;
        const on: Gateway = gateway;
        // A gateway that is being replaced refuses, or says goodbye: the client comes back to the next one.
        const client = await stack.client(on).catch(() => undefined);
        const live = await client?.goOn(view).then(
          () => true,
          (error: unknown) => {
            if (!String(error).includes('closed with')) throw error;
            return false;
          },
        );
        if (!client || !live) {
          await Promise.resolve();
          continue;
        }
        const frames = client.frames.length + random(20);
        await client
          .until(() => last || !writing || client.frames.length > frames)
          .catch((error: unknown) => {
            if (!String(error).includes('closed with')) throw error;
          });
        if (!last) {
          client.socket.ws.terminate();
          continue;
        }
        const table = [...(await stack.table())].filter(([, { row }]) => fits(view.request, row));
        const wanted = JSON.stringify(table.sort());
        await client.until(() => JSON.stringify([...view.rows].sort()) === wanted);
        return;
      }
    };
    try {
      const views = Array.from({ length: 8 }, (_, number) => new LiveView(wish(number)));
      const watching = Promise.all(views.map(comeAndGo));
      const replacing = (async () => {
        for (let n = 0; n < 3; n++) {
          await Promise.race([watching, stack.caughtUp()]);
          const old = gateway;
          gateway = await stack.gateway(engine, settings);
          await old.stop();
        }
      })();
      await Promise.all([writer(), writer(), writer(), replacing]);
      // Whoever reads the table to compare with reads the last word: nothing is written after `writing`.
      await stack.set(`${engine.name}-0`, lists[0] ?? '');
      await stack.caughtUp();
      writing = false;
      await watching;
      expect(views.every(({ state }) => state === 'live')).toBe(true);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  });
});
