/** Writers, a trimmer that never stops, subscribers that come and go: every one ends equal to the table, none has a hole. */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomFrom } from '../../support/random.js';
import { engines } from '../../support/realtime/engines.js';
import { LiveView, type Subscribe } from '../../support/realtime/live-view.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('constant trims over $name', (engine) => {
  it('give every subscriber what the table has, by resets where what it missed is gone', async () => {
    const seed = randomInt(2 ** 31);
    const random = randomFrom(seed);
    // No rings to speak of, so that who comes back is served from Postgres; heartbeats, so that who waits is woken by something.
    const settings = { heartbeatMs: 50, ringBytes: 1, resetBatch: 2, resetSpreadMs: 100 };
    const resets = new Map<string, number>();
    const gateway = await stack.gateway(engine, settings, {
      reset: (_view, reason) => void resets.set(reason, (resets.get(reason) ?? 0) + 1),
    });
    const lists = [0, 1].map((n) => `${engine.name}${n}`);
    const id = (): string => `${engine.name}-${random(12)}`;
    const list = (): string => lists[random(2)] ?? '';
    let writing = true;
    let trims = 0;
    let onTrim: (() => void)[] = [];
    const nextTrim = (): Promise<void> => new Promise((resolve) => onTrim.push(resolve));
    const trimmed = (): void => {
      for (const go of onTrim) go();
      onTrim = [];
    };

    const writer = async (): Promise<void> => {
      for (let n = 0; n < 60 || trims < 6 || resets.size === 0; n++) {
        // With all that it should have written, it only goes on until there was a reset: a little for each trim.
        if (n >= 60) await nextTrim();
        if (random(5) === 0) await stack.remove(id());
        else await stack.set(id(), list(), [true, false, null][random(3)] ?? null, 'x'.repeat(random(300)));
      }
    };
    const trimmer = async (): Promise<void> => {
      while (writing) {
        await stack.trim();
        trims++;
        trimmed();
        await stack.caughtUp();
      }
    };
    const wish = (n: number): Subscribe => {
      const one: Subscribe = { id: `v${n}`, view: 'board' };
      if (n % 3 === 0) return one;
      return n % 3 === 1 ? { ...one, key: id() } : { ...one, where: { list: list() } };
    };
    const fits = ({ key, where }: Subscribe, row: unknown): boolean =>
      Object.entries({ ...(key === undefined ? {} : { id: key }), ...where }).every(
        ([name, value]) => Reflect.get(Object(row), name) === value,
      );
    const comeAndGo = async (view: LiveView): Promise<void> => {
      for (;;) {
        const last = !writing;
        const client = await stack.client(gateway);
        await client.goOn(view);
        if (last) {
          const rows = [...(await stack.table())].filter(([, { row }]) => fits(view.request, row));
          const wanted = JSON.stringify(rows.sort());
          await client.until(() => JSON.stringify([...view.rows].sort()) === wanted);
          return;
        }
        const frames = client.frames.length + random(10);
        await client.until(() => !writing || client.frames.length > frames);
        client.socket.ws.terminate();
        await client.socket.closed;
        for (let away = random(3); away > 0 && writing; away--) await nextTrim();
      }
    };
    try {
      const views = Array.from({ length: 6 }, (_, n) => new LiveView(wish(n)));
      const trimming = trimmer();
      const watching = Promise.all(views.map(comeAndGo));
      await Promise.all([writer(), writer()]);
      await stack.caughtUp();
      writing = false;
      trimmed();
      await Promise.all([watching, trimming]);
      expect(trims).toBeGreaterThanOrEqual(6);
      expect(resets.get('trimmed') ?? 0).toBeGreaterThan(0);
      expect([...resets.keys()].filter((reason) => reason !== 'trimmed')).toEqual([]);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  });
});
